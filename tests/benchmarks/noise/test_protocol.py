import itertools
import math
from dataclasses import replace

import pytest
import torch

from benchmarks.noise import protocol
from benchmarks.noise.data import Benchmark, load
from benchmarks.noise.protocol import batches, num_steps, train
from benchmarks.noise.results import Job


@pytest.fixture
def small(monkeypatch):
    """A data set that is trained on in no time, in the place of all others."""
    generator = torch.Generator().manual_seed(0)
    y = torch.arange(32).repeat_interleave(16)
    x = torch.randn(32, 8, generator=generator)[y] + torch.randn(512, 8, generator=generator)
    data = Benchmark((x, y), (x, y), 8, lambda: torch.nn.Linear(8, 128), lambda batch: batch)
    monkeypatch.setattr(protocol, "load", lambda *_: data)
    return data


def without_time(result):
    return replace(result, seconds=0.0)


@pytest.mark.parametrize("run", ["plain", "prism", "ours", "ours_views", "hyperbolic"])
def test_a_run_is_the_same_when_it_is_made_again(small, run):
    job = Job("small", "SupCon", "symmetric:0.4", 1, run)
    result = train(job, None)
    # a run in between leaves no trace
    train(replace(job, seed=2), None)
    assert repr(without_time(train(job, None))) == repr(without_time(result))
    assert result.job == job
    assert 0 < result.map_at_r < result.precision_at_1 <= 1
    assert result.noise_rate_seen == pytest.approx(0.4, abs=0.05)
    is_ours = run not in ("plain", "prism")
    assert math.isfinite(result.noise_rate) == is_ours
    assert math.isfinite(result.trust_auroc) == is_ours


def test_with_right_labels_only_no_wrong_one_is_seen(small):
    result = train(Job("small", "SupCon", "symmetric:0.4", 1, "clean_only"), None)
    assert result.noise_rate_seen == 0


def test_without_noise_trust_has_nothing_to_tell_apart(small):
    result = train(Job("small", "SupCon", "none:0", 1, "ours"), None)
    assert result.noise_rate < 0.3
    assert math.isnan(result.trust_auroc)


def test_longer_trainings_have_so_many_times_the_steps():
    data = load("digits", None)
    assert num_steps(data) == data.epochs * (len(data.train[1]) // 128)
    assert num_steps(data, 3) == 3 * num_steps(data)


def test_batches_hold_four_samples_of_a_class():
    labels = torch.arange(64).repeat_interleave(10)
    for rows in itertools.islice(batches(labels), 12):
        assert labels[rows].bincount().unique().tolist() in ([0, 4], [4])


def test_of_few_classes_a_batch_holds_more():
    labels = torch.arange(10).repeat_interleave(40)
    for rows in itertools.islice(batches(labels), 12):
        assert len(rows) == 128
        assert labels[rows].bincount().max() == 13
