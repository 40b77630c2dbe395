import math
from types import SimpleNamespace

import pytest
import torch

from pml_ahsml.labels import confusion_prior as cp
from pml_ahsml.labels import posterior as lp
from pml_ahsml.labels.witnesses import CentroidDistances
from tests import reference
from tests.neighbourhoods import all_neighbours

N, K = 6, 5


def setting():
    points = torch.randn(K, 3, dtype=torch.float64)
    divergence = torch.cdist(points, points)
    distances = torch.cdist(torch.randn(N, 3, dtype=torch.float64), points)
    sizes = 1 + 9 * torch.rand(K, dtype=torch.float64)
    labels = torch.tensor([0, 1, 2, 3, 4, 0])
    return distances, divergence, sizes, labels


def class_log_likelihood(distances, temperature, log_sizes):
    """Log p_i(k), as the label model makes it of the distances alone."""
    evidence = SimpleNamespace(distances=distances)
    return CentroidDistances().add_to(log_sizes, evidence, (), temperature).log_softmax(1)


def prior_of(divergence, labels, noise_rate, spread):
    log_z, _ = cp.log_normaliser(all_neighbours(divergence), spread)
    return cp.log_prior(divergence[labels], labels, log_z, noise_rate, spread)


@pytest.mark.parametrize(("noise_rate", "spread"), [(0.1, 0.2), (0.5, 1.0), (0.9, 50.0)])
def test_posterior_is_bayes_rule_written_out(noise_rate, spread):
    distances, divergence, sizes, labels = setting()
    p = class_log_likelihood(distances, 0.4, sizes.log())
    prior = prior_of(divergence, labels, noise_rate, spread)
    posterior = lp.label_posterior(p, prior)
    table = reference.transition(divergence, noise_rate, spread)
    for i in range(N):
        likelihood = reference.likelihood(distances[i].tolist(), 0.4, sizes.tolist())
        expected, _ = reference.posterior(likelihood, table, int(labels[i]))
        assert p[i].exp().tolist() == pytest.approx(likelihood)
        assert posterior[i].tolist() == pytest.approx(expected)


def test_unseen_classes_take_no_part():
    distances, divergence, sizes, labels = setting()
    distances[:, 3] = torch.inf
    divergence[3], divergence[:, 3] = torch.inf, torch.inf
    p = class_log_likelihood(distances, 0.4, sizes.log())
    rows = labels != 3
    posterior = lp.label_posterior(p, prior_of(divergence, labels, 0.3, 0.7))[rows]
    others = [0, 1, 2, 4]
    small = reference.transition(divergence[others][:, others], 0.3, 0.7)
    for row, d, label in zip(posterior, distances[rows], labels[rows].tolist(), strict=True):
        likelihood = reference.likelihood(d[others].tolist(), 0.4, sizes[others].tolist())
        expected, _ = reference.posterior(likelihood, small, others.index(label))
        assert row[others].tolist() == pytest.approx(expected)
        assert row[3] == 0


@pytest.mark.parametrize(("noise_rate", "spread"), [(0.1, 0.2), (0.5, 1.0), (0.8, 5.0)])
def test_the_slope_is_that_of_the_marginal_likelihood(noise_rate, spread):
    distances, divergence, sizes, labels = setting()
    start = torch.tensor(
        [math.log(noise_rate / (1 - noise_rate)), math.log(0.4), math.log(spread)],
        dtype=torch.float64,
    )

    def log_marginal(x) -> float:
        table = reference.transition(divergence, float(x[0].sigmoid()), float(x[2].exp()))
        total = 0.0
        for d, y in zip(distances.tolist(), labels.tolist(), strict=True):
            p = reference.likelihood(d, float(x[1].exp()), sizes.tolist())
            total += math.log(reference.posterior(p, table, y)[1])
        return total / N

    p = class_log_likelihood(distances, 0.4, sizes.log())
    posterior = lp.label_posterior(p, prior_of(divergence, labels, noise_rate, spread))
    _, mean_distance = cp.log_normaliser(all_neighbours(divergence), spread)
    trust = posterior.gather(1, labels[:, None]).squeeze(1)
    by_noise_rate, by_spread = lp.prior_slopes(
        posterior, trust, divergence[labels], mean_distance, labels, noise_rate, spread
    )
    evidence = SimpleNamespace(distances=distances)
    by_temperature = CentroidDistances().slope(posterior - p.exp(), evidence, (), 0.4)
    slope = (by_noise_rate, by_temperature, by_spread)
    for i, step in enumerate(1e-6 * torch.eye(3, dtype=torch.float64)):
        expected = (log_marginal(start + step) - log_marginal(start - step)) / 2e-6
        assert float(slope[i]) == pytest.approx(expected, rel=1e-5, abs=1e-8)


def test_the_slope_by_the_spread_keeps_its_digits_where_hardly_anything_is_confused():
    # its sign is what Adam goes by
    distances, divergence, sizes, labels = setting()
    slopes = []
    for dtype in (torch.float64, torch.float32):
        d, between = distances.to(dtype), divergence.to(dtype)
        d[torch.arange(N), labels] = 0
        p = class_log_likelihood(d + 5 * (d > 0), 0.4, sizes.log().to(dtype))
        posterior = lp.label_posterior(p, prior_of(between, labels, 0.007, 0.7))
        trust = posterior.gather(1, labels[:, None]).squeeze(1)
        _, mean = cp.log_normaliser(all_neighbours(between), 0.7)
        _, slope = lp.prior_slopes(posterior, trust, between[labels], mean, labels, 0.5, 1)
        slopes.append(float(slope))
    assert 0 < abs(slopes[0]) < 1e-6
    assert slopes[1] == pytest.approx(slopes[0], rel=1e-3)


def test_the_gap_is_in_units_of_the_spacing_and_unknown_for_unseen_classes():
    distances, _, _, labels = setting()
    guesses = labels.roll(1)
    gap = lp.geodesic_gap(distances, torch.tensor(0.7), labels, guesses)
    for i in range(N):
        nearer = float(distances[i, labels[i]] - distances[i, guesses[i]])
        assert float(gap[i]) == pytest.approx(nearer / 0.7)
    distances[:, 3] = torch.inf
    gap = lp.geodesic_gap(distances, torch.tensor(0.7), labels, guesses)
    assert torch.equal(gap.isnan(), (labels == 3) | (guesses == 3))


def trusted_by_the_book(trust: list[float]) -> list[bool]:
    above = sum(q for q in trust if q > 0.5)
    below = sum(q for q in trust if q <= 0.5)
    largest = sorted(trust, reverse=True)[: int(above + below)]
    tops_up = below > above and bool(largest)
    return [q > 0.5 or (tops_up and q >= largest[-1]) for q in trust]


@pytest.mark.parametrize("scale", [0.1, 0.3, 0.6, 1.0])
def test_trusted_are_the_likely_labels_and_enough_of_them(scale):
    trust = scale * torch.rand(40, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    trusted = lp.trusted_labels(trust)
    assert trusted.tolist() == trusted_by_the_book(trust.tolist())
    assert trusted.any()


def test_no_more_are_trusted_where_the_likely_labels_hold_half_of_the_right_ones():
    trust = torch.tensor([0.75, 0.75, 0.5, 0.5, 0.5])
    assert lp.trusted_labels(trust).tolist() == [True, True, False, False, False]
    # with a little more below ½ three are expected to be right, and the third is worth as much
    trust = torch.tensor([0.75, 0.75, 0.5, 0.5, 0.5, 0.125])
    assert lp.trusted_labels(trust).tolist() == [True, True, True, True, True, False]


def test_labels_below_a_limit_are_not_trusted():
    trust = torch.tensor([0.9, 0.7, 0.6, 0.2])
    assert lp.trusted_labels(trust, least=0.7).tolist() == [True, True, False, False]
    # nor those that are trusted only because too few others are
    trust = torch.tensor([0.5, 0.5, 0.5, 0.3])
    assert lp.trusted_labels(trust).tolist() == [True, True, True, False]
    assert not lp.trusted_labels(trust, least=0.6).any()


def test_labels_that_are_trusted_equally_are_treated_alike():
    trust = torch.tensor([0.4, 0.3, 0.3, 0.3, 0.1])  # one is expected to be right
    assert lp.trusted_labels(trust).tolist() == [True, False, False, False, False]
    trust = torch.tensor([0.4, 0.45, 0.4, 0.4, 0.4])  # two
    assert lp.trusted_labels(trust).all()
    for nothing in (torch.zeros(0), torch.zeros(3), torch.full((3,), 0.3)):
        assert not lp.trusted_labels(nothing).any()
