import math

import pytest
import torch

from pml_ahsml.labels import confusion_prior as cp
from pml_ahsml.labels.witnesses.confusion_counts import ConfusionCounts
from tests import reference

K = 5


def neighbours() -> torch.Tensor:
    points = torch.randn(K, 3)
    return torch.cdist(points, points).fill_diagonal_(torch.inf)


def test_counts_are_the_sums_of_the_posteriors_older_ones_for_less():
    counts, expected = ConfusionCounts(K), [[0.0] * K for _ in range(K)]
    classes, strengths = neighbours(), []
    for _ in range(11):
        posterior, labels = torch.rand(20, K).softmax(1), torch.randint(K, (20,))
        counts.count(posterior, labels, classes, 0.7)
        expected = [[0.98 * c for c in row] for row in expected]
        for i, y in enumerate(labels.tolist()):
            for k in range(K):
                expected[k][y] += float(posterior[i, k]) if k != y else 0.0
        torch.testing.assert_close(counts.counts, torch.tensor(expected))
        shares = cp.confusion_shares(classes, 0.7)
        strength = reference.weight_of_distances(expected, shares.tolist())
        strengths.append((float(counts.strength), max(5.0, strength)))
    # the first and every tenth after it
    assert [found for found, _ in strengths[:10]] == [strengths[0][0]] * 10
    for found, now in (strengths[0], strengths[10]):
        assert found == pytest.approx(now, rel=1e-3)
    assert strengths[10][0] != strengths[0][0]


def test_has_nothing_to_say_before_anything_was_counted_and_where_chance_explains_the_counts():
    counts, classes = ConfusionCounts(K), neighbours()
    log_prior, posterior = torch.rand(4, K).log_softmax(1), torch.rand(4, K).softmax(1)
    labels = torch.tensor([0, 1, 2, 2])
    assert counts.revise(log_prior, labels, 0.2, posterior) is None
    # each class labelled as each other, as often as the distances say
    shares = cp.confusion_shares(classes, 0.7)
    counts.count(100 * shares.T, torch.arange(K), classes, 0.7)
    assert counts.counts.sum() == pytest.approx(100 * K, rel=1e-5)
    assert counts.strength == math.inf
    # all of class 0 labelled 1
    for _ in range(10):
        counts.count(100 * torch.eye(K)[:1], torch.tensor([1]), classes, 0.7)
    counted = counts.revise(log_prior, labels, 0.2, posterior)
    assert counted is not None
    # of a wrong label of class 0 it has become likely to be 1
    assert counted[1, 0].exp() > 0.15


def test_its_size_must_be_that_of_two_classes_at_least():
    with pytest.raises(ValueError, match="num_classes must be at least 2, got 1"):
        ConfusionCounts(1)
