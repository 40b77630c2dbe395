import pytest
import torch

from pml_ahsml.classes import nearest_classes as cc
from pml_ahsml.classes.neighbourhoods import Neighbourhoods
from pml_ahsml.hyperbolic import hyperboloid
from pml_ahsml.labels import confusion_prior as cp
from tests.near_origin import SCALES, euclidean, near_origin
from tests.neighbourhoods import all_neighbours

K, D = 400, 5


def classes_in_space():
    """Means of classes at several scales, of which one has never been seen."""
    lifted = hyperboloid.hyperboloid_lift(torch.randn(K, D), 0.3)
    means = lifted * (1 + torch.rand(K, 1))
    seen = torch.arange(K) != 50
    means[~seen] = 0
    return means, seen


def divergence_of(means, seen):
    centroids = hyperboloid.hyperboloid_normalise(means)
    divergence = hyperboloid.hyperboloid_distance(centroids, centroids, 0.3)
    return divergence + torch.where(seen, 0.0, torch.inf)


def test_the_nearest_come_one_by_one_and_all_classes_count_once(monkeypatch):
    means, seen = classes_in_space()
    points = hyperboloid.hyperboloid_lift(torch.randn(20, D), 0.3)
    labels = torch.randint(K, (20,))
    labels[0] = 50
    centroids = hyperboloid.hyperboloid_normalise(means)
    distances = hyperboloid.hyperboloid_distance(points, centroids, 0.3)
    distances[:, ~seen] = torch.inf
    whole = cc.candidate_classes(points, labels, means, seen, nearest=16, sampled=16)
    monkeypatch.setattr(cc, "_BLOCK", 64)
    for classes, weights in (
        whole,
        cc.candidate_classes(points, labels, means, seen, nearest=16, sampled=16),
    ):
        assert classes.shape == weights.shape == (20, 33)
        assert torch.equal(classes[:, 0], labels)
        assert torch.equal(weights[:, 0] == 1, labels != 50)
        torch.testing.assert_close(weights.sum(1), torch.full((20,), K - 1.0))
        for i, label in enumerate(labels.tolist()):
            others = distances[i].clone()
            others[label] = torch.inf
            assert torch.equal(classes[i, 1:17], others.argsort()[:16])
            assert (weights[i, 1:17] == 1).all()
            listed = classes[i][weights[i] > 0]
            assert len(listed.unique()) == len(listed)
            assert 50 not in listed


@pytest.mark.parametrize("spread", [0.1, 0.5, 2.0, 20.0])
def test_neighbours_and_a_sample_of_the_rest_stand_for_all(spread):
    means, seen = classes_in_space()
    divergence = divergence_of(means, seen)
    exact, exact_mean = cp.log_normaliser(all_neighbours(divergence), spread)
    classes, weights = cc.candidate_classes(means, torch.arange(K), means, seen, 16, 16)
    lists = Neighbourhoods(divergence.gather(1, classes[:, 1:]), weights[:, 1:])
    estimate, mean = cp.log_normaliser(lists, spread)
    # a class is off by what 16 samples of a spread of 1 give; over the classes that averages out
    error = (estimate - exact)[seen]
    assert error.abs().mean() < 0.25
    assert error.mean().abs() < 0.05
    assert (mean - exact_mean)[seen].mean().abs() < 0.1 * exact_mean[seen].mean()


def test_few_classes_are_all_listed():
    means, seen = (rows[:7] for rows in classes_in_space())
    classes, weights = cc.candidate_classes(means, torch.arange(7), means, seen, 16, 4)
    assert torch.equal(classes[:, :7].sort(1).values, torch.arange(7).expand(7, 7))
    assert torch.equal(weights, (torch.arange(11) < 7).float().expand(7, 11))


def test_classes_never_seen_are_no_candidates():
    means, seen = classes_in_space()
    seen &= torch.arange(K) < 3
    means[~seen] = 0
    _, weights = cc.candidate_classes(means[:1], torch.tensor([0]), means, seen, 16, 16)
    assert weights.sum() == 3


@pytest.mark.parametrize(("c", "norm"), SCALES)
def test_candidate_classes_near_the_origin_are_the_nearest(c, norm, monkeypatch):
    monkeypatch.setattr(cc, "_BLOCK", 64)
    u, v = near_origin(30, norm), near_origin(200, norm)
    points, means = (hyperboloid.hyperboloid_lift(rows, c) for rows in (u, v))
    means = (means * (1 + torch.rand(200, 1))).float()
    seen = torch.arange(200) != 7
    means[7] = 0
    labels = torch.arange(30)
    listed = cc.candidate_classes(points, labels, means, seen, nearest=8, sampled=4)
    distances = euclidean(u, v)
    distances[:, 7] = torch.inf
    distances[labels, labels] = torch.inf
    expected = distances.argsort(1)[:, :8]
    assert (listed.classes[:, 1:9] == expected).float().mean() > 0.99
