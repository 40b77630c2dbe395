import math

import pytest

from benchmarks.noise.data import load


def test_a_long_tail_keeps_all_of_one_class_and_few_of_another():
    full, tail = load("digits", None), load("digits_long_tailed", None)
    before, after = full.train[1].bincount(), tail.train[1].bincount()
    share = (after / before).sort().values
    assert share[-1] == 1
    assert share[0] == pytest.approx(0.05, abs=0.01)
    assert share.log().diff() == pytest.approx(math.log(20) / 9, abs=0.15)  # whole samples
    assert tail.epochs * len(tail.train[1]) == pytest.approx(25 * 1200, rel=0.02)
    # rows of the full set, each with its own label
    kept = {(*x.tolist(), y) for x, y in zip(tail.train[0], tail.train[1].tolist(), strict=True)}
    assert kept <= {(*x.tolist(), int(y)) for x, y in zip(*full.train, strict=True)}
    assert len(kept) == len(tail.train[1])
