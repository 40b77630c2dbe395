import torch

from pml_ahsml.miners.hardest_pairs import hardest_pairs


def test_hardest_pairs_by_a_loop_over_the_pairs():
    s = 2 * torch.rand(6, 5, dtype=torch.float64) - 1
    labels, ref_labels = [0, 0, 1, 2, 3, 1], [0, 1, 1, 0, 2]  # class 3 has no reference
    positives = [(i, j) for i, a in enumerate(labels) for j, b in enumerate(ref_labels) if a == b]
    negatives = [(i, j) for i, a in enumerate(labels) for j, b in enumerate(ref_labels) if a != b]
    found = hardest_pairs(s, tuple(torch.tensor(positives).T), tuple(torch.tensor(negatives).T))
    for i in range(6):
        of_anchor = [float(s[i, j]) for k, j in positives if k == i]
        assert found.positive[i] == min(of_anchor, default=float("inf"))
        assert found.negative[i] == max(float(s[i, j]) for k, j in negatives if k == i)
    assert found.half_range == (s.max() - s.min()) / 2


def test_pairs_that_are_not_listed_do_not_count():
    s = torch.tensor([[9.0, 0.3, 0.1], [0.2, 9.0, -0.5]])
    one, other = torch.tensor([0]), torch.tensor([1])
    found = hardest_pairs(s, (one, other), (other, one))
    assert found.positive.tolist() == [s[0, 1], float("inf")]
    assert found.negative.tolist() == [-float("inf"), s[1, 0]]
    assert found.half_range == (s[0, 1] - s[1, 0]) / 2


def test_without_pairs_there_is_no_range():
    nothing = torch.zeros(0, dtype=torch.long)
    found = hardest_pairs(torch.ones(1, 1), (nothing, nothing), (nothing, nothing))
    assert found.positive.tolist() == [float("inf")]
    assert found.negative.tolist() == [-float("inf")]
    assert found.half_range == 0
