import math

import pytest
import torch

from pml_ahsml.labels import linear_discriminant as ld

N, K, D = 30, 4, 3


def setting():
    samples, labels = torch.randn(N, D, dtype=torch.float64), torch.arange(N) % (K - 1)
    masses = torch.tensor([3.0, 0.7, 12.0, 0.0], dtype=torch.float64)
    sums = torch.randn(K, D, dtype=torch.float64) * masses[:, None]
    return samples, labels, sums, masses


def test_whitening_makes_the_ridged_covariance_the_identity():
    root = torch.randn(D, D, dtype=torch.float64)
    scatter = root @ root.T
    ridge = 0.3 * sum(float(scatter[i, i]) for i in range(D)) / D
    whiten = ld.whitening(scatter)
    ridged = scatter + ridge * torch.eye(D)
    torch.testing.assert_close(whiten.T @ ridged @ whiten, torch.eye(D).double())


@pytest.mark.parametrize("scatter", [torch.zeros(D, D), 1e-30 * torch.eye(D)])
def test_samples_in_one_place_have_a_finite_whitening(scatter):
    assert ld.whitening(scatter).isfinite().all()


def test_whitening_does_not_depend_on_the_unit_of_length():
    root = torch.randn(D, D)
    scatter = root @ root.T
    torch.testing.assert_close(10 * ld.whitening(100 * scatter), ld.whitening(scatter))


def test_densities_are_those_of_gaussians_whose_means_are_uncertain():
    samples, _, sums, masses = setting()
    root = torch.randn(D, D, dtype=torch.float64)
    covariance = root @ root.T + torch.eye(D)
    whiten = torch.linalg.cholesky(covariance.inverse())
    densities = ld.log_densities(samples, sums, masses, whiten)
    for k in range(K - 1):
        n = float(masses[k])
        wider = (1 + 1 / max(n, 0.5)) * covariance
        gaussian = torch.distributions.MultivariateNormal(sums[k] / n, wider)
        constant = D / 2 * math.log(2 * math.pi) + covariance.logdet() / 2
        torch.testing.assert_close(densities[:, k], gaussian.log_prob(samples) + constant)
    assert densities[:, K - 1].eq(-math.inf).all()  # it has no samples


def test_densities_of_the_own_class_are_those_of_all_classes():
    samples, labels, sums, masses = setting()
    labels[0] = K - 1  # which has no samples
    whiten = torch.randn(D, D, dtype=torch.float64)
    expected = ld.log_densities(samples, sums, masses, whiten).gather(1, labels[:, None])
    found = ld.own_log_densities(samples, sums[labels], masses[labels], whiten)
    torch.testing.assert_close(found, expected.squeeze(1))
    assert found[0] == -math.inf


def test_scatter_is_the_covariance_within_classes_added_up_one_by_one():
    samples, labels, sums, masses = setting()
    labels[labels == 2] = 1  # only two classes
    counts = [int((labels == k).sum()) for k in range(K)]
    expected = torch.zeros(D, D, dtype=torch.float64)
    for x, y in zip(samples, labels.tolist(), strict=True):
        m = float(masses[y])
        r = x - sums[y] / m
        expected += torch.outer(r, r) * m / (m + 1) / (counts[y] * 2)
    found = ld.within_scatter(samples, labels, sums[labels], masses[labels], len(masses))
    torch.testing.assert_close(found, expected)


def test_samples_without_others_do_not_count_in_the_scatter():
    samples, labels, sums, masses = setting()
    masses[1] = 0
    own, known = (sums[labels], masses[labels]), labels != 1
    assert 0 < known.sum() < len(labels)
    found = ld.within_scatter(samples, labels, *own, len(masses))
    expected = ld.within_scatter(samples[known], labels[known], *(x[known] for x in own), K)
    torch.testing.assert_close(found, expected)
    nobody = torch.zeros_like(own[1])
    assert ld.within_scatter(samples, labels, own[0], nobody, K).abs().max() == 0


def test_scatter_is_unbiased_for_few_samples():
    generator = torch.Generator().manual_seed(0)
    scatters = []
    for _ in range(4000):
        x = torch.randn(4, 1, dtype=torch.float64, generator=generator)
        sums, masses = x[:2].sum(0).expand(2, 1), torch.full((2,), 2.0, dtype=torch.float64)
        scatters.append(ld.within_scatter(x[2:], torch.zeros(2).long(), sums, masses, 1))
    assert float(torch.stack(scatters).mean()) == pytest.approx(1, abs=0.05)


def test_transitions_are_counted_shares_drawn_towards_the_noise_rate():
    joint = torch.rand(K, K, dtype=torch.float64) * 5
    labels, seen = torch.tensor([2, 0, 2]), torch.tensor([True, True, True, False])
    found = ld.log_transitions(joint, labels, seen, 2.0).exp()
    total = float(joint.sum())
    rate = 1 - sum(float(joint[k, k]) for k in range(K)) / total
    for i, y in enumerate(labels.tolist()):
        for k in range(K):
            prior = (1 - rate) * (k == y) + rate / 3
            expected = (float(joint[k, y]) + 2 * prior) / (float(joint[k].sum()) + 2)
            assert float(found[i, k]) == pytest.approx(expected)


def test_transitions_add_up_to_one_and_stay_possible_without_a_wrong_label():
    labels, seen = torch.arange(K), torch.ones(K).bool()
    for joint in (torch.zeros(K, K), 1000 * torch.eye(K), torch.rand(K, K)):
        found = ld.log_transitions(joint, labels, seen, 2.0)
        assert found.isfinite().all()
        torch.testing.assert_close(found.exp().sum(0), torch.ones(K))


@pytest.mark.parametrize("noise_rate", [0.0, 0.3, 1.0])
def test_even_transitions_are_alike_for_every_other_class_that_has_been_seen(noise_rate):
    labels, seen = torch.tensor([2, 0]), torch.tensor([True, True, True, False])
    found = ld.log_even_transitions(noise_rate, labels, seen).exp()
    rate = max(noise_rate, 1e-4)  # with 0 a wrong label would be impossible
    for i, y in enumerate(labels.tolist()):
        for k in range(4):
            expected = rate / 3 + (1 - rate) * (k == y)
            assert float(found[i, k]) == pytest.approx(expected, rel=1e-5)
