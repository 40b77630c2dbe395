import pytest
import torch

from pml_ahsml.labels import confusion_prior as cp
from tests import reference
from tests.neighbourhoods import all_neighbours

K = 7


def divergence(size: int = K) -> torch.Tensor:
    points = torch.randn(size, 3, dtype=torch.float64)
    return torch.cdist(points, points)


@pytest.mark.parametrize(("noise_rate", "spread"), [(0.1, 0.2), (0.5, 1.0), (0.9, 50.0)])
def test_the_prior_is_the_transition_written_out(noise_rate, spread):
    d, labels = divergence(), torch.tensor([0, 3, 3, 6])
    log_z, mean = cp.log_normaliser(all_neighbours(d), spread)
    prior = cp.log_prior(d[labels], labels, log_z, noise_rate, spread).exp()
    table = torch.tensor(reference.transition(d, noise_rate, spread), dtype=torch.float64)
    torch.testing.assert_close(prior, table.T[labels])
    shares = table / noise_rate
    torch.testing.assert_close(mean, (shares.fill_diagonal_(0) * d).sum(1))


def test_unseen_classes_are_confused_with_nothing():
    d = divergence()
    d[2], d[:, 2] = torch.inf, torch.inf
    log_z, mean = cp.log_normaliser(all_neighbours(d), 0.7)
    others = [k for k in range(K) if k != 2]
    expected = torch.tensor(reference.transition(d[others][:, others], 0.3, 0.7)).double()
    labels = torch.tensor(others)
    prior = cp.log_prior(d[labels], labels, log_z, 0.3, 0.7).exp()
    torch.testing.assert_close(prior[:, others], expected.T)
    assert (prior[:, 2] == 0).all()
    assert log_z[2] == torch.inf
    assert mean[2] == 0


def test_a_class_alone_has_nothing_to_be_confused_with():
    d = torch.full((2, 2), torch.inf)
    d[0, 0] = 0
    log_z, _ = cp.log_normaliser(all_neighbours(d), 1.0)
    prior = cp.log_prior(d[:1], torch.tensor([0]), log_z, 0.2, 1.0)
    assert prior.exp().tolist() == [pytest.approx([0.8, 0.0])]


def test_shares_are_the_transition_without_its_diagonal():
    d = divergence()
    neighbours = all_neighbours(d)
    shares = cp.confusion_shares(neighbours.distances, 0.7)
    table = torch.tensor(reference.transition(d, 0.3, 0.7), dtype=torch.float64)
    torch.testing.assert_close(shares, table.fill_diagonal_(0) / 0.3)


def test_a_class_with_nothing_to_be_confused_with_has_no_shares():
    d = divergence().fill_diagonal_(torch.inf)
    d[2], d[:, 2] = torch.inf, torch.inf
    shares = cp.confusion_shares(d, 0.7)
    assert (shares[2] == 0).all()
    assert (shares[:, 2] == 0).all()
    torch.testing.assert_close(shares.sum(1), (torch.arange(K) != 2).double())
