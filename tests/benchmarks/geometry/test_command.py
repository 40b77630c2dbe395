import importlib
import json

import pytest

from benchmarks.geometry.ways import OURS

command = importlib.import_module("benchmarks.geometry.__main__")


def measure(output, *words):
    return command.main(command.parser().parse_args(["--fast", "--output", str(output), *words]))


@pytest.fixture(scope="module")
def output(tmp_path_factory):
    folder = tmp_path_factory.mktemp("geometry")
    measure(folder)
    return folder


@pytest.fixture
def figures(output):
    return json.loads((output / "geometry.json").read_text())


def test_the_fast_mode_writes_tables_and_a_plot(output, figures):
    text = (output / "geometry.md").read_text()
    for expected in ("| 32 | 8 | collapsed | PoincareDistance |", "duplicates at 0.0001", "HNSW"):
        assert expected in text
    assert (output / "geometry.png").stat().st_size > 1000
    ours = [r for r in figures["accuracy"]["rows"] if r["way"] == OURS]
    assert max(r["distance"] for r in ours) < 1e-4
    assert max(r["gradient"] for r in ours) < 5e-3
    assert all(row["identical"] == 1 for row in figures["knn"]["rows"]["agreement"])


def test_the_cost_of_the_wrapper_is_in_it(output, figures):
    text = (output / "geometry.md").read_text()
    overhead = figures["overhead"]["rows"]
    for row in overhead["steps"]:
        assert (
            f"| {row['loss']} | {row['classes']} | {100 * row['wrong']:.0f} % | "
            f"{row['alone_ms']:.2f} |"
        ) in text
        assert row["rows"] == 128
    assert [row["classes"] for row in overhead["many"]] == [60, 33_000]
    assert all(row["peak_mb"] > 0 for row in overhead["many"])
    for part in overhead["errors"]:
        assert [row["way"] for row in part["rows"]] == ["lists", "candidates"]


def test_parts_not_measured_again_are_kept(output, figures):
    again = measure(output, "--parts", "accuracy")
    assert again["knn"] == figures["knn"]
    assert again["accuracy"]["rows"] == figures["accuracy"]["rows"]
    assert measure(output, "--parts") == again
