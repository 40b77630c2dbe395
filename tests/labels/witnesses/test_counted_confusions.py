import pytest
import torch

from pml_ahsml.labels import confusion_prior as cp
from pml_ahsml.labels.witnesses import counted_confusions as cc
from tests import reference
from tests.neighbourhoods import all_neighbours

K = 7


def divergence() -> torch.Tensor:
    points = torch.randn(K, 3, dtype=torch.float64)
    return torch.cdist(points, points)


def counts_of(number: float) -> torch.Tensor:
    return (number * torch.rand(K, K, dtype=torch.float64)).fill_diagonal_(0)


@pytest.mark.parametrize("strength", [0.5, 5.0, 300.0])
def test_the_counted_prior_is_the_formula_written_out(strength):
    d, labels, counts = divergence(), torch.tensor([0, 3, 3, 6]), counts_of(8)
    own = torch.rand(len(labels), K, dtype=torch.float64)
    log_z, _ = cp.log_normaliser(all_neighbours(d), 0.7)
    prior = cp.log_prior(d[labels], labels, log_z, 0.3, 0.7)
    counted = cc.counted_log_prior(prior, labels, 0.3, counts, own, strength).exp()
    table = reference.transition(d, 0.3, 0.7)
    for i, label in enumerate(labels.tolist()):
        expected = reference.counted_transition(
            table, counts.tolist(), own[i].tolist(), label, strength
        )
        assert counted[i].tolist() == pytest.approx(expected, rel=1e-9)


def test_without_own_parts_the_counted_rows_sum_to_one():
    d, labels = divergence(), torch.arange(K)
    log_z, _ = cp.log_normaliser(all_neighbours(d), 0.7)
    prior = cp.log_prior(d[labels], labels, log_z, 0.3, 0.7)
    counted = cc.counted_log_prior(prior, labels, 0.3, counts_of(50), torch.zeros(K, K), 5.0)
    torch.testing.assert_close(counted.exp().sum(0), torch.ones(K, dtype=torch.float64))


def test_the_weight_of_distances_is_the_formula_written_out():
    neighbours = all_neighbours(divergence())
    shares = cp.confusion_shares(neighbours.distances, 0.7)
    counts = counts_of(20)
    expected = reference.weight_of_distances(counts.tolist(), shares.tolist())
    assert 0 < expected < float("inf")
    assert cc.weight_of_distances(counts, shares) == pytest.approx(expected, rel=1e-9)


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
    found = cc.weight_of_distances(counts, shares)
    assert found == pytest.approx(strength, rel=0.25)
    by_chance = torch.distributions.Multinomial(draws, shares).sample()
    assert cc.weight_of_distances(by_chance, shares) > 1000


def test_where_nothing_has_been_counted_the_distances_say_all():
    shares = cp.confusion_shares(all_neighbours(divergence()).distances, 0.7)
    assert cc.weight_of_distances(0 * shares, shares) == float("inf")
