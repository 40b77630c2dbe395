import math

import pytest
import torch

from pml_ahsml.labels import confusion_prior as cp
from pml_ahsml.labels.witnesses.confusion_counts import (
    ConfusionCounts,
    counted_log_prior,
    weight_of_distances,
)
from tests import reference
from tests.neighbourhoods import all_neighbours

K, CLASSES = 5, 7


def neighbours() -> torch.Tensor:
    points = torch.randn(K, 3)
    return torch.cdist(points, points).fill_diagonal_(torch.inf)


def test_counts_are_decayed_sums_of_posteriors():
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


def test_says_nothing_without_counts_or_if_chance_explains_them():
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


def test_it_needs_at_least_two_classes():
    with pytest.raises(ValueError, match="num_classes must be at least 2, got 1"):
        ConfusionCounts(1)


def divergence() -> torch.Tensor:
    points = torch.randn(CLASSES, 3, dtype=torch.float64)
    return torch.cdist(points, points)


def counts_of(number: float) -> torch.Tensor:
    return (number * torch.rand(CLASSES, CLASSES, dtype=torch.float64)).fill_diagonal_(0)


@pytest.mark.parametrize("strength", [0.5, 5.0, 300.0])
def test_the_counted_prior_is_the_formula_written_out(strength):
    d, labels, counts = divergence(), torch.tensor([0, 3, 3, 6]), counts_of(8)
    own = torch.rand(len(labels), CLASSES, dtype=torch.float64)
    log_z, _ = cp.log_normaliser(all_neighbours(d), 0.7)
    prior = cp.log_prior(d[labels], labels, log_z, 0.3, 0.7)
    counted = counted_log_prior(prior, labels, 0.3, counts, own, strength).exp()
    table = reference.transition(d, 0.3, 0.7)
    for i, label in enumerate(labels.tolist()):
        expected = reference.counted_transition(
            table, counts.tolist(), own[i].tolist(), label, strength
        )
        assert counted[i].tolist() == pytest.approx(expected, rel=1e-9)


def test_without_own_parts_the_counted_rows_sum_to_one():
    d, labels = divergence(), torch.arange(CLASSES)
    log_z, _ = cp.log_normaliser(all_neighbours(d), 0.7)
    prior = cp.log_prior(d[labels], labels, log_z, 0.3, 0.7)
    counted = counted_log_prior(
        prior, labels, 0.3, counts_of(50), torch.zeros(CLASSES, CLASSES), 5.0
    )
    torch.testing.assert_close(counted.exp().sum(0), torch.ones(CLASSES, dtype=torch.float64))


def test_the_weight_of_distances_is_the_formula_written_out():
    neighbours = all_neighbours(divergence())
    shares = cp.confusion_shares(neighbours.distances, 0.7)
    counts = counts_of(20)
    expected = reference.weight_of_distances(counts.tolist(), shares.tolist())
    assert 0 < expected < float("inf")
    assert float(weight_of_distances(counts, shares)) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("strength", [2.0, 20.0])
def test_the_weight_of_distances_is_that_of_the_prior_the_counts_were_drawn_from(strength):
    size, draws = 60, 400
    generator = torch.Generator().manual_seed(0)
    shares = torch.rand(size, size, dtype=torch.float64, generator=generator).fill_diagonal_(0)
    shares /= shares.sum(1, keepdim=True)
    torch.manual_seed(0)  # Gamma and Multinomial take no generator
    gamma = torch.distributions.Gamma((strength * shares).clamp_min(1e-9), 1.0).sample()
    gamma.fill_diagonal_(0)
    counts = torch.distributions.Multinomial(draws, gamma).sample()
    found = weight_of_distances(counts, shares)
    assert float(found) == pytest.approx(strength, rel=0.25)
    by_chance = torch.distributions.Multinomial(draws, shares).sample()
    assert weight_of_distances(by_chance, shares) > 1000


def test_without_counts_only_distances_decide():
    shares = cp.confusion_shares(all_neighbours(divergence()).distances, 0.7)
    assert weight_of_distances(0 * shares, shares) == float("inf")
