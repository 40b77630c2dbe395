import math

import pytest

from benchmarks.noise.rows import rows_of
from tests.benchmarks.noise.made_results import result


def test_recovered_is_the_share_of_the_gap():
    scores = {"plain": (0.5, 0.6), "ours": (0.7, 0.8), "clean_only": (0.8, 0.9)}
    (row,) = rows_of(
        result(run, score, seed) for run, pair in scores.items() for seed, score in enumerate(pair)
    )
    assert row.scores("ours") == [0.7, 0.8]
    assert row.mean("ours") == pytest.approx(0.75)
    assert row.mean("ours", "trust_auroc") == pytest.approx(0.98)
    assert row.recovered("ours") == pytest.approx((0.75 - 0.55) / (0.85 - 0.55))


def test_a_small_gap_has_no_share_recovered():
    (row,) = rows_of([result("plain", 0.8), result("ours", 0.9), result("clean_only", 0.82)])
    assert math.isnan(row.recovered("ours"))


def test_a_missing_run_has_no_mean():
    (row,) = rows_of([result("plain", 0.8)])
    assert row.scores("ours") == []
    assert math.isnan(row.mean("ours"))


def test_rows_keep_their_order():
    noises = ["near:0.4", "symmetric:0.2", "near:0.4", "none:0"]
    rows = rows_of(result("plain", 0.8, seed, noise) for seed, noise in enumerate(noises))
    assert [row.noise for row in rows] == ["near:0.4", "symmetric:0.2", "none:0"]
