import math
from types import SimpleNamespace

import pytest
import torch

from pml_ahsml.labels.witnesses import CentroidDistances


def setting():
    generator = torch.Generator().manual_seed(0)
    distances = 3 * torch.rand(6, 4, generator=generator, dtype=torch.float64)
    log_odds, log_prior = torch.randn(2, 6, 4, generator=generator, dtype=torch.float64)
    return SimpleNamespace(distances=distances), log_odds, log_prior


def test_evidence_falls_with_the_distance_in_units_of_the_temperature():
    evidence, log_odds, _ = setting()
    evidence.distances[2, 1] = torch.inf  # a class never seen
    found = CentroidDistances().add_to(log_odds, evidence, (), 0.4)
    for i in range(6):
        for k in range(4):
            expected = float(log_odds[i, k]) - float(evidence.distances[i, k]) / 0.4
            assert float(found[i, k]) == pytest.approx(expected)
    assert CentroidDistances().parameter.start == 0.1


def test_the_slope_is_that_of_the_marginal_likelihood():
    evidence, log_odds, log_prior = setting()

    def value(log_temperature: float) -> float:
        log_p = (log_odds - evidence.distances / math.exp(log_temperature)).log_softmax(1)
        return float((log_p + log_prior).logsumexp(1).mean())

    at, step = math.log(0.4), 1e-5
    log_p = CentroidDistances().add_to(log_odds, evidence, (), 0.4).log_softmax(1)
    surprise = (log_p + log_prior).softmax(1) - log_p.exp()
    expected = (value(at + step) - value(at - step)) / (2 * step)
    slope = CentroidDistances().slope(surprise, evidence, (), 0.4)
    assert slope == pytest.approx(expected, rel=1e-6)
