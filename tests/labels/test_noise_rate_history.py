import math

import pytest
import torch

from pml_ahsml.labels.noise_rate_history import NoiseRateHistory


def test_has_settled_once_fifty_rates_lie_within_a_tenth():
    history = NoiseRateHistory()
    for step in range(49):
        history.add(torch.tensor(0.3 + 0.09 * (step % 2)))
        assert not history.has_settled
    history.add(torch.tensor(0.3))
    assert history.has_settled
    history.add(torch.tensor(0.41))
    assert not history.has_settled


def test_value_is_the_larger_of_two_running_means():
    history = NoiseRateHistory()
    assert math.isnan(history.value)
    rates, shares = [0.1, 0.5, 0.2], [0.3, 0.3, 0.4]
    sums = [0.0, 0.0, 0.0]
    for rate, share in zip(rates, shares, strict=True):
        history.smooth(torch.tensor(rate), torch.tensor(share))
        sums = [0.98 * s + 0.02 * x for s, x in zip(sums, (1, rate, share), strict=True)]
    assert history.value == pytest.approx(max(sums[1:]) / sums[0])
