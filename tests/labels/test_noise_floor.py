import pytest
import torch

from pml_ahsml.labels import noise_floor as rl
from tests import reference

N, K = 40, 7


def setting():
    distances = 5 * torch.rand(N, K, dtype=torch.float64)
    labels = torch.randint(K, (N,))
    likelihood = (-2 * distances).softmax(1)
    return distances, labels, likelihood


@pytest.mark.parametrize("per_sample", [False, True])
def test_shares_are_those_counted_one_by_one(per_sample):
    distances, labels, likelihood = setting()
    weights = torch.randint(1, 4, (N, K) if per_sample else (K,)).double()
    weights[..., 3] = 0  # a class never seen
    distances[:, 3], likelihood[:, 3] = torch.inf, 0
    labels = torch.where(labels == 3, 4, labels)
    shares = rl.far_label_shares(distances, weights, labels, likelihood)
    expected = reference.far_label_shares(
        distances.tolist(),
        weights.expand(N, K).tolist(),
        labels.tolist(),
        likelihood.tolist(),
    )
    assert shares.tolist() == pytest.approx(expected)


@pytest.mark.parametrize("num_classes", [2, 3, 30])
@pytest.mark.parametrize("rate", [0.0, 0.3, 0.6])
def test_finds_the_share_of_labels_that_are_random(num_classes, rate):
    # right labels follow the likelihood, so that classes overlap; wrong ones are any other class
    centres = torch.randn(num_classes, 4)
    truth = torch.randint(num_classes, (20_000,))
    points = centres[truth] + 0.4 * torch.randn(len(truth), 4)
    distances = torch.cdist(points, centres)
    likelihood = (-distances.square() / 0.32).softmax(1)
    shift = torch.randint(1, num_classes, truth.shape)
    labels = torch.where(torch.rand(len(truth)) < rate, (truth + shift) % num_classes, truth)
    shares = rl.far_label_shares(distances, torch.ones(num_classes), labels, likelihood)
    assert float(rl.share_at_random(*shares)) == pytest.approx(rate, abs=0.05)


def test_samples_equally_far_from_all_classes_say_nothing():
    distances, labels, likelihood = setting()
    equal, weights = torch.ones_like(distances), torch.ones(K).double()
    shares = rl.far_label_shares(equal, weights, labels, likelihood)
    assert shares.tolist() == [0, 0, 0]


@pytest.mark.parametrize(
    ("found", "of_right", "blur", "share"),
    [
        (0.3, 0.1, 0.2, 0.2 / 0.9),
        (0.01, 0.02, 0.02, 0.0),  # fewer than of right ones
        (0.9, 0.1, 0.6, 0.0),  # classes are not told apart
    ],
)
def test_share_at_random(found, of_right, blur, share):
    shares = torch.tensor([found, of_right, blur], dtype=torch.float64)
    assert float(rl.share_at_random(*shares)) == pytest.approx(share)
