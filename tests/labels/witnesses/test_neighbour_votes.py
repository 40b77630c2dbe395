import math

import pytest
import torch

from pml_ahsml.labels.witnesses import neighbour_votes as nv


def test_votes_are_those_of_a_loop():
    generator = torch.Generator().manual_seed(0)
    neighbours = torch.randint(6, (20, 4), generator=generator)
    labels = torch.randint(6, (20,), generator=generator)
    weights = torch.tensor([0.1, 0.4, 0.8, 1.0])
    expected = [[0.0] * 6 for _ in range(20)]
    for i in range(20):
        for r in range(4):
            k = int(neighbours[i, r])
            expected[i][k] += float(weights[r]) if k == int(labels[i]) else 1.0
    torch.testing.assert_close(
        nv.votes(neighbours, labels, weights, 6), torch.tensor(expected, dtype=torch.float32)
    )


@pytest.mark.parametrize("base", [0.2, 0.6])
def test_weights_are_the_share_of_agreeing_rows_that_are_no_copies(base):
    # the two nearest rows are copies with probability .5 and .2, the others never
    generator = torch.Generator().manual_seed(0)
    is_copy = torch.rand(1_000_000, 8, generator=generator) < torch.tensor([0.5, 0.2] + [0.0] * 6)
    agrees = is_copy | (torch.rand(1_000_000, 8, generator=generator) < base)
    agreement = agrees.float().mean(0)
    expected = (agrees & ~is_copy).float().sum(0) / agrees.float().sum(0)
    assert nv.rank_weights(agreement).tolist() == pytest.approx(expected.tolist(), abs=0.01)
    assert nv.expected_copies(agreement.tolist()) == pytest.approx(0.7, abs=0.02)


def test_of_an_odd_number_of_rows_the_middle_one_may_be_a_copy():
    agreement = torch.tensor([0.75, 0.75, 0.75, 0.5, 0.5])
    # by the last two a row agrees in half of the cases, so that half of the first three are copies
    assert nv.expected_copies(agreement.tolist()) == 1.5
    assert nv.rank_weights(agreement).tolist() == pytest.approx([1 / 3] * 3 + [1.0] * 2)


def test_uninformative_agreement_removes_no_votes():
    for share in (0.0, 0.5, 1.0):
        agreement = torch.full((5,), share)
        assert nv.rank_weights(agreement).tolist() == pytest.approx([1.0] * 5)
        assert nv.expected_copies(agreement.tolist()) == pytest.approx(0)
    # farther rows agree more: nobody gets more than a vote, and nothing is a copy
    assert nv.rank_weights(torch.tensor([0.2, 0.2, 0.8, 0.8])).max() == 1
    assert nv.expected_copies([0.2, 0.2, 0.8, 0.8]) == 0


def test_weight_gradient_is_that_of_the_marginal_likelihood():
    generator = torch.Generator().manual_seed(0)
    log_p, log_prior = torch.randn(2, 12, 5, generator=generator, dtype=torch.float64)
    votes = 3 * torch.rand(12, 5, generator=generator, dtype=torch.float64)

    def likelihood(log_weight: float) -> torch.Tensor:
        return (log_p + math.exp(log_weight) * votes).log_softmax(1)

    def value(log_weight: float) -> float:
        return float((likelihood(log_weight) + log_prior).logsumexp(1).mean())

    at, step = math.log(0.7), 1e-5
    p = likelihood(at)
    slope = nv.weight_gradient((p + log_prior).softmax(1) - p.exp(), votes, 0.7)
    expected = (value(at + step) - value(at - step)) / (2 * step)
    assert slope == pytest.approx(expected, rel=1e-6)
