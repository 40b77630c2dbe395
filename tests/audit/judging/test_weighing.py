"""The weights of witnesses: gradient zero at the optimum, and never negative."""

import math

import pytest
import torch

from pml_ahsml.audit.judging import weighing
from pml_ahsml.audit.judging.weighing import fitted_weights, log_probabilities, with_rest

N, C = 200, 4
NEVER = torch.zeros(N, C, dtype=torch.bool)


def made(num_others, seed=0):
    """Two witnesses that know something, one that knows nothing, and targets of their making."""
    generator = torch.Generator().manual_seed(seed)
    good, weak, blind = (torch.randn(N, C, generator=generator) for _ in range(3))
    witnesses = [with_rest(w, NEVER) for w in (good, weak, blind)]
    log_q = log_probabilities(torch.tensor([1.5, 0.4, 0.0]), witnesses, num_others)
    return witnesses, log_q.exp()


def naive_probabilities(weights, witnesses, num_others):
    """p_k ∝ exp Σ_w a_w·f_wk, with the last column once for each class it stands for."""
    found = []
    for i in range(len(witnesses[0])):
        sums = [
            sum(float(a) * float(w[i, k]) for a, w in zip(weights, witnesses, strict=True))
            for k in range(witnesses[0].shape[1])
        ]
        terms = [math.exp(s) for s in sums]
        total = sum(terms[:-1]) + num_others * terms[-1]
        found.append([t / total for t in terms[:-1]])
    return torch.tensor(found, dtype=torch.float64)


@pytest.mark.parametrize("num_others", [0, 1, 30])
def test_probabilities_are_normalised_over_all_classes(num_others):
    witnesses, _ = made(num_others)
    weights = torch.tensor([0.7, 0.2, 1.1])
    found = log_probabilities(weights, witnesses, num_others).exp()
    expected = naive_probabilities(weights, witnesses, num_others)
    torch.testing.assert_close(found.double(), expected, rtol=1e-5, atol=1e-7)


def test_the_rest_fits_as_the_worst_class_other_than_the_label():
    evidence = torch.tensor([[-3.0, -1.0, -7.0], [-1.0, -torch.inf, -2.0], [0.0, -9.0, -5.0]])
    is_label = torch.tensor([[0, 0, 1], [1, 0, 0], [1, 0, 0]]).bool()
    assert with_rest(evidence, is_label)[:, -1].tolist() == [-3, -2, -9]


def test_the_rest_is_impossible_where_only_the_label_is_in_question():
    evidence = torch.tensor([[-3.0, -torch.inf]])
    assert with_rest(evidence, torch.tensor([[True, False]]))[0, -1] == -torch.inf


@pytest.mark.parametrize("weight", [0.0, 0.5])
def test_what_is_impossible_for_one_witness_is_impossible(weight):
    evidence = torch.tensor([[-torch.inf, 0.0, 0.0]])
    found = log_probabilities(torch.tensor([weight, 1.0]), [evidence, torch.zeros(1, 3)], 0)
    assert found[0].tolist() == [-torch.inf, 0]


@pytest.mark.parametrize("num_others", [0, 30])
def test_the_slope_is_zero_at_the_weights(num_others):
    witnesses, targets = made(num_others)
    generator = torch.Generator().manual_seed(5)
    targets = (targets + 0.2 * torch.rand(N, C, generator=generator)).double()
    targets /= targets.sum(1, keepdim=True)
    found = fitted_weights(witnesses, targets.float(), num_others, torch.full((3,), 0.3), seed=0)

    def slopes(at):
        weights = at.double().requires_grad_()
        evidence = sum(a * w.double() for a, w in zip(weights, witnesses, strict=True))
        terms = torch.cat([evidence[:, :-1].exp(), num_others * evidence[:, -1:].exp()], 1)
        log_p = evidence[:, :-1] - terms.sum(1, keepdim=True).log()
        (slope,) = torch.autograd.grad(-(targets * log_p).sum() / N, weights)
        return slope

    # L-BFGS stops where a step gains less than 2e-9, that is at slopes of about √(2·2e-9)
    at_optimum = slopes(found)
    inside = found > 0
    assert at_optimum[inside].abs().max() < 1e-4
    assert (at_optimum[~inside] > -1e-4).all()
    assert slopes(torch.full((3,), 0.3)).abs().max() > 1e-2


@pytest.mark.parametrize("num_others", [0, 30])
def test_weights_that_made_the_targets_are_found(num_others):
    witnesses, targets = made(num_others)
    # without the mass outside, the targets are not what the last column says
    found = fitted_weights(witnesses, targets, 0, torch.full((3,), 0.3), seed=0)
    if num_others == 0:
        torch.testing.assert_close(found, torch.tensor([1.5, 0.4, 0.0]), rtol=0, atol=0.01)
    assert (found >= 0).all()


def test_a_witness_that_is_always_wrong_gets_no_weight():
    witnesses, targets = made(0)
    found = fitted_weights([witnesses[0], -witnesses[1]], targets, 0, torch.ones(2), seed=0)
    assert found[1] == 0
    assert found[0] > 1


def test_targets_that_a_witness_holds_for_impossible_do_not_count():
    witnesses, targets = made(0)
    some = torch.tensor([0.3, 0.3, 0.3])
    kept = [w[20:] for w in witnesses]
    expected = fitted_weights(kept, targets[20:], 0, some, seed=0)
    impossible = witnesses[0].clone()
    impossible[:20] = -torch.inf
    found = fitted_weights([impossible, *witnesses[1:]], targets, 0, some, seed=0)
    torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-3)


def test_many_samples_are_drawn_by_the_seed_alone(monkeypatch):
    witnesses, targets = made(0)
    generator = torch.Generator().manual_seed(3)
    targets = targets[torch.randperm(N, generator=generator)]  # so that each choice fits otherwise
    monkeypatch.setattr(weighing, "_MOST_SAMPLES", 50)

    def fitted(seed):
        return fitted_weights(witnesses, targets, 0, torch.full((3,), 0.3), seed)

    torch.manual_seed(0)
    first = fitted(0)
    torch.manual_seed(1)
    assert torch.equal(first, fitted(0))
    assert not torch.equal(first, fitted(1))
