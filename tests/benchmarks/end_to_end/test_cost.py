import torch

from benchmarks.end_to_end import cost
from benchmarks.noise.results import Job
from tests.benchmarks.end_to_end.conftest import WHO


def test_steps_are_taken_in_turn_on_the_same_batches(small, monkeypatch):
    taken = []

    def seconds(training, _, rows, views):
        taken.append((training.has_ids, rows, views))
        return (3.0 if training.has_ids else 2.0) + len(taken)  # (a machine that slows down)

    monkeypatch.setattr(cost._Training, "seconds", seconds)
    measured = cost.measure(Job("photos", "MultiSimilarity", WHO, 0, "ours_ids"), small, 2, 3)
    assert [has_ids for has_ids, *_ in taken] == [True, False, False, True] * 2 + [True, False]
    for first, second in zip(taken[::2], taken[1::2], strict=True):
        assert torch.equal(first[1], second[1])
        assert torch.equal(first[2], second[2])
    # rounds 3 to 5: (8, 8), (9, 11), (12, 12)
    assert measured == cost.Cost(3, 9.0, 11.0, 1.0)


def test_a_real_step_with_and_without_the_wrapper_is_timed(small):
    measured = cost.measure(Job("photos", "MultiSimilarity", WHO, 0, "ours_ids"), small, 1, 3)
    assert 0 < measured.alone < 60
    assert 0.1 < measured.ratio < 1000


def test_the_table_has_the_ratio_to_a_thousandth():
    row = cost.cost_table(cost.Cost(31, 1.234, 1.256, 1.0178)).splitlines()[2]
    assert row == "| 1.23 s | 1.26 s | 1.018 | 31 |"
