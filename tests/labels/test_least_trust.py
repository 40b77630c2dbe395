"""Tests of pml_ahsml.labels.least_trust."""

import pytest
import torch

from pml_ahsml.labels.least_trust import LeastTrust


def test_it_is_the_quantile_averaged_over_the_batches():
    least, generator = LeastTrust(0.3), torch.Generator().manual_seed(0)
    total = weight = 0.0
    for _ in range(7):
        trust = torch.rand(51, generator=generator)
        # of 51 values, 15 lie below the 0.3-quantile
        quantile = float(trust.sort().values[15])
        total, weight = 0.98 * total + 0.02 * quantile, 0.98 * weight + 0.02
        least.learn(trust)
    assert least.value == pytest.approx(total / weight, rel=1e-5)


def test_it_keeps_the_other_labels_of_a_batch():
    least, trust = LeastTrust(0.25), torch.linspace(0.01, 1, 100)
    for _ in range(200):
        least.learn(trust)
    assert (trust >= least.value).sum() == 75


@pytest.mark.parametrize("value", [1.0, 0.8, 0.1])
def test_labels_trusted_alike_all_reach_it(value):
    least, trust = LeastTrust(0.4), torch.full((16,), value)
    for _ in range(300):
        least.learn(trust)
        assert (trust >= least.value).all()


def test_nothing_is_asked_before_it_has_learnt():
    assert LeastTrust(0.5).value == 0


def test_a_saved_state_goes_on():
    one, other, trust = LeastTrust(0.2), LeastTrust(0.2), torch.rand(32)
    one.learn(trust)
    other.load_state_dict(one.state_dict())
    for each in (one, other):
        each.learn(trust**2)
    assert other.value == one.value


@pytest.mark.parametrize("rate", [-0.1, 0.95, float("nan"), "0.3"])
def test_the_rate_must_be_a_share(rate):
    with pytest.raises((ValueError, TypeError), match="noise_rate must be"):
        LeastTrust(rate)
