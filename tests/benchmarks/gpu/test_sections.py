import math
import time
from dataclasses import replace

import pytest
import torch

from benchmarks.geometry.neighbours import ALL_RADII, brute_force, points
from benchmarks.gpu import searches, waits
from benchmarks.gpu.budget import Deadline
from benchmarks.gpu.cases import PROBLEM, measure
from benchmarks.gpu.sampler import Sampler
from benchmarks.gpu.sections import SECTIONS
from benchmarks.gpu.sizes import QUICK, Sizes
from benchmarks.gpu.steps import Images

CPU = torch.device("cpu")


def rows_of(name, sizes=QUICK):
    return list(measure(SECTIONS[name].cases(sizes, CPU), Deadline(time.time() + 300)))


def test_the_distance_is_measured_beside_cdist_and_cosine():
    rows = {row["way"]: row for row in rows_of("kernel", replace(QUICK, rounds=2))}
    assert set(rows) >= {"torch.cdist", "CosineSimilarity", "PoincareDistance", "LorentzSimilarity"}
    assert rows["torch.cdist"]["ratio"] == 1
    for row in rows.values():
        assert (row["n"], row["d"], row["rounds"]) == (32, 8, 2)
        assert 0 < row["forward_ms"] < row["both_ms"]
        assert row["matrices"] >= 3  # distances, their incoming gradient, and at least one more


def test_steps_are_measured_with_wrong_labels_left_out():
    rows = rows_of("steps", replace(QUICK, warmup=60))
    assert [(row["precision"], row["wrong"]) for row in rows] == [
        ("float32", 0.0), ("float32", 0.5), ("bfloat16", 0.0), ("bfloat16", 0.5)
    ]  # fmt: skip
    for row in rows:
        assert PROBLEM not in row
        assert row["network"] == "stand-in"
        assert row["alone_ms"] > 0
        assert row["wrapped_ms"] > 0
        assert row["ratio"] == pytest.approx(row["wrapped_ms"] / row["alone_ms"])
    # the loss has judged: half of the labels are wrong, and it knows
    for right, half in (rows[:2], rows[2:]):
        assert right["noise_rate"] < half["noise_rate"] - 0.1
        assert right["rows"] <= 128


def test_images_of_a_class_resemble_each_other():
    sampler = Sampler(4, 2, 0.0)
    images = Images(sampler, 28, CPU)[torch.tensor([0, 1, 2])]
    assert images.shape == (3, 3, 28, 28)
    near, far = (float((images[0] - images[other]).square().mean()) for other in (1, 2))
    assert near < far / 2


def test_operations_and_waits_are_counted_alone_and_wrapped():
    rows = rows_of("waits")
    assert len(rows) == 2 * 2 * len(waits.LOSSES)
    for row in rows:
        assert row["alone_operations"] < row["wrapped_operations"]
        assert row["alone_waits"] < row["wrapped_waits"]
        assert not any(key.endswith(("kernels", "syncs")) for key in row)


def test_calls_of_cuda_are_sorted_without_those_of_the_profiler(monkeypatch):
    seen = {"cudaLaunchKernel": 4, "cuLaunchKernel": 1, "cudaStreamSynchronize": 2, "aten::add": 9}

    def calls(action):
        action()
        return waits.Counter(seen | {"cudaDeviceSynchronize": 1})

    monkeypatch.setattr(waits, "calls_of_cuda", calls)
    idle = waits.Counter({"cudaDeviceSynchronize": 1})
    found = waits.counts(lambda: torch.ones(2) + 1, torch.device("cuda"), "alone", idle)
    assert found == {
        "alone_kernels": 5, "alone_syncs": 2, "alone_operations": 2, "alone_waits": 0
    }  # fmt: skip
    assert waits.without_blind_zeros(found) == found


def test_a_profiler_that_sees_nothing_is_no_count_of_zero():
    counted = {"alone_operations": 51, "wrapped_waits": 7}
    row = waits.without_blind_zeros(counted | {"alone_kernels": 0, "wrapped_syncs": 0})
    assert "the profiler saw no kernels" in row.pop(PROBLEM)
    assert row == counted


def test_searches_find_the_neighbours_of_float64():
    rows = {row["way"]: row for row in rows_of("searches")}
    assert rows[searches.OURS]["identical"] == 1
    assert all(row["identical"] > 0.9 for row in rows.values() if PROBLEM not in row)
    missing = [row[PROBLEM] for row in rows.values() if PROBLEM in row]
    assert missing == [searches.why_no_faiss(CPU)]


def test_exact_neighbours_are_those_of_the_geometry_benchmark():
    e = points(ALL_RADII, 300, 8)
    assert torch.equal(searches.exact_neighbours(e, 4), brute_force(e, 4, 0.1))


def test_shares_are_of_the_whole():
    assert math.fsum(section.share for section in SECTIONS.values()) == pytest.approx(1)
    assert [*SECTIONS] == ["checks", "kernel", "steps", "waits", "searches"]
    for section in SECTIONS.values():
        assert section.cases(Sizes(), CPU)
