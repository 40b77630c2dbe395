import json

import pytest
import torch

from benchmarks import geometry, hyperbolic_baselines, wrapper_overhead
from pml_ahsml import PoincareDistance


@pytest.mark.parametrize("c", geometry.CURVATURES)
def test_all_ways_to_the_matrix_agree(c):
    e = geometry.inputs(12, 6, "random", torch.device("cpu")).double()
    ways = geometry.contestants(c)
    expected = ways[geometry.OURS](e)
    for name, way in ways.items():
        if name not in (geometry.EUCLIDEAN, "CosineSimilarity"):
            torch.testing.assert_close(way(e), expected, rtol=1e-5, atol=1e-6, msg=name)
    plain = hyperbolic_baselines.PlainDistance(c, geometry.CLIP)
    torch.testing.assert_close(plain(e, e[:5]), expected[:, :5], rtol=1e-8, atol=1e-8)


def test_a_way_that_is_off_shows_in_the_errors():
    e = geometry.inputs(6, 4, "random", torch.device("cpu"))
    pairs = ~torch.eye(6, dtype=torch.bool)
    exact = geometry.errors(PoincareDistance(), e, 0.1, pairs)
    off = geometry.errors(lambda x: 1.01 * PoincareDistance()(x), e, 0.1, pairs)
    assert max(exact.values()) < 1e-5
    assert off["distance"] == pytest.approx(0.01, rel=1e-3)
    assert off["gradient"] == pytest.approx(0.01, rel=1e-3)


def test_memory_is_counted_in_matrices():
    # a matrix that is kept, its exponential, and the two gradients
    e = torch.randn(64, 1).requires_grad_()
    peak = geometry.peak_memory(lambda x: (x + x.T).exp(), e, 64)
    assert 3 <= peak < 4.5


@pytest.mark.parametrize(("n", "kind"), [(512, "random"), (1024, "classes"), (1024, "collapsed")])
def test_six_matrices_are_enough_even_for_wide_embeddings(n, kind):
    embeddings = geometry.inputs(n, 512, kind, torch.device("cpu")).requires_grad_()
    assert geometry.peak_memory(PoincareDistance(), embeddings, n) <= 6


def test_where_every_class_is_listed_nothing_is_approximated():
    sizes = wrapper_overhead.Sizes(embedding_size=8, exact=12, batches=5)
    for row in wrapper_overhead.errors(0.3, sizes)["rows"]:
        assert row["log_z"] < 1e-5
        assert row["trust_max"] < 1e-5
        assert row["same_class"] == 1


def test_the_fast_mode_writes_tables_and_a_plot(tmp_path):
    arguments = geometry.parser().parse_args(["--fast", "--output", str(tmp_path)])
    figures = geometry.main(arguments)
    assert json.loads((tmp_path / "geometry.json").read_text()) == figures
    text = (tmp_path / "geometry.md").read_text()
    for expected in ("| 32 | 8 | collapsed | PoincareDistance |", "duplicates at 0.0001", "HNSW"):
        assert expected in text
    assert (tmp_path / "geometry.png").stat().st_size > 1000
    # accuracies may have been measured where more packages were installed
    figures["accuracy"]["rows"].append(figures["accuracy"]["rows"][-1] | {"way": "another"})
    (tmp_path / "geometry.png").unlink()
    geometry.plot(figures, tmp_path / "geometry.png")
    assert (tmp_path / "geometry.png").stat().st_size > 1000
    ours = [r for r in figures["accuracy"]["rows"] if r["way"] == geometry.OURS]
    assert max(r["distance"] for r in ours) < 1e-4
    assert max(r["gradient"] for r in ours) < 5e-3
    assert all(row["identical"] == 1 for row in figures["knn"]["rows"]["agreement"])
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
    # what is not measured again is kept
    again = geometry.parser().parse_args(
        ["--fast", "--output", str(tmp_path), "--parts", "accuracy"]
    )
    assert geometry.main(again)["knn"] == figures["knn"]
