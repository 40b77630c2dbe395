import pytest
import torch

from pml_ahsml.functional import label_posterior as lp
from tests import reference

N, K = 6, 5


def setting():
    points = torch.randn(K, 3, dtype=torch.float64)
    divergence = torch.cdist(points, points)
    distances = torch.cdist(torch.randn(N, 3, dtype=torch.float64), points)
    balance = 0.3 * torch.randn(K, dtype=torch.float64)
    labels = torch.tensor([0, 1, 2, 3, 4, 0])
    return distances, divergence, balance, labels, torch.ones(K, dtype=torch.bool)


@pytest.mark.parametrize(("noise_rate", "spread"), [(0.1, 0.2), (0.5, 1.0), (0.9, 50.0)])
def test_posterior_and_marginal_are_bayes_rule_written_out(noise_rate, spread):
    distances, divergence, balance, labels, seen = setting()
    p = lp.class_log_likelihood(distances, 0.4, balance, seen)
    t = lp.log_transition(divergence, noise_rate, spread, seen)
    posterior = lp.label_posterior(p, t, labels)
    marginal = lp.log_joint(p, t, labels).logsumexp(1).exp()
    table = reference.transition(divergence, noise_rate, spread)
    torch.testing.assert_close(t.exp(), torch.tensor(table, dtype=torch.float64))
    for i in range(N):
        likelihood = reference.likelihood(distances[i].tolist(), 0.4, balance.tolist())
        expected, total = reference.posterior(likelihood, table, int(labels[i]))
        assert p[i].exp().tolist() == pytest.approx(likelihood)
        assert posterior[i].tolist() == pytest.approx(expected)
        assert float(marginal[i]) == pytest.approx(total)


def test_unseen_classes_take_no_part():
    distances, divergence, balance, labels, seen = setting()
    seen[3] = False
    distances[:, 3] = torch.inf
    divergence[3], divergence[:, 3] = torch.nan, torch.nan
    log_parameters = torch.tensor([0.3, 0.4, 0.7], dtype=torch.float64, requires_grad=True)
    noise_rate, temperature, spread = log_parameters
    p = lp.class_log_likelihood(distances, temperature, balance, seen)
    t = lp.log_transition(divergence, noise_rate, spread, seen)
    rows = labels != 3
    posterior = lp.label_posterior(p[rows], t, labels[rows])
    others = [0, 1, 2, 4]
    small = reference.transition(divergence[others][:, others], 0.3, 0.7)
    for row, d, label in zip(posterior, distances[rows], labels[rows].tolist(), strict=True):
        likelihood = reference.likelihood(d[others].tolist(), 0.4, balance[others].tolist())
        expected, _ = reference.posterior(likelihood, small, others.index(label))
        assert row[others].tolist() == pytest.approx(expected)
        assert row[3] == 0
    lp.log_joint(p, t, labels)[rows].logsumexp(1).sum().backward()
    assert log_parameters.grad.isfinite().all()


def test_a_class_alone_has_nothing_to_be_confused_with():
    seen = torch.tensor([True, False])
    divergence = torch.tensor([[0.0, torch.nan], [torch.nan, torch.nan]])
    t = lp.log_transition(divergence, 0.2, 1.0, seen)
    assert t[0].exp().tolist() == pytest.approx([0.8, 0.0])
    p = lp.class_log_likelihood(torch.tensor([[0.5, torch.inf]]), 1.0, torch.zeros(2), seen)
    assert lp.label_posterior(p, t, torch.tensor([0])).tolist() == [[1.0, 0.0]]


def test_geodesic_gap_is_measured_by_the_spacing_of_seen_classes():
    distances, divergence, _, labels, seen = setting()
    guesses = labels.roll(1)
    others = [[float(divergence[k, j]) for j in range(K) if j != k] for k in range(K)]
    for neighbours in (2, 9):
        spacing = sum(sum(sorted(row)[:neighbours]) / min(neighbours, K - 1) for row in others) / K
        gap = lp.geodesic_gap(distances, divergence, labels, guesses, neighbours)
        for i in range(N):
            nearer = float(distances[i, labels[i]] - distances[i, guesses[i]])
            assert float(gap[i]) == pytest.approx(nearer / spacing)
    seen[3] = False
    distances[:, 3], divergence[3], divergence[:, 3] = torch.inf, torch.nan, torch.nan
    gap = lp.geodesic_gap(distances, divergence, labels, guesses)
    assert torch.equal(gap.isnan(), (labels == 3) | (guesses == 3))
