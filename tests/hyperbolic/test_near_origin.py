import pytest
import torch

from pml_ahsml import ClassStatistics, PoincareDistance
from pml_ahsml.classes import nearest_classes as cc
from pml_ahsml.hyperbolic import hyperboloid, near_origin
from pml_ahsml.labels.witnesses import neighbour_votes as nv

D = 8

# Curvature and norm of the tangent vectors.
SCALES = [(0.1, 1e-2), (0.1, 1e-3), (0.1, 1e-5), (0.1, 1e-12), (1e-8, 1.0), (1e-8, 1e-10)]


def tangent(n: int, norm: float) -> torch.Tensor:
    return norm * torch.randn(n, D, dtype=torch.float64) / D**0.5


def euclidean(u: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
    """Geodesic distances are twice those of the tangent vectors where the ball is flat."""
    return 2 * torch.stack([(row - v).norm(dim=1) for row in u])


@pytest.mark.parametrize(("c", "norm"), SCALES)
def test_distances_near_the_origin_keep_their_digits(c, norm):
    u, v = tangent(10, norm), tangent(20, norm)
    x, y = (hyperboloid.hyperboloid_lift(rows, c) for rows in (u, v))
    expected = euclidean(u, v).float()
    found = hyperboloid.hyperboloid_distance(x, y, c)
    torch.testing.assert_close(found, expected, rtol=2e-5, atol=0)
    # with a leading dimension, and from float32, which has all digits of the space coordinates
    found = hyperboloid.hyperboloid_distance(x[:, None].float(), y.float(), c).squeeze(1)
    torch.testing.assert_close(found, expected, rtol=2e-5, atol=0)


def test_distances_of_points_far_out_are_what_they_were():
    x = hyperboloid.hyperboloid_lift(torch.randn(10, D, dtype=torch.float64), 0.1)
    near = hyperboloid.hyperboloid_lift(tangent(5, 1e-4), 0.1)
    alone = hyperboloid.hyperboloid_distance(x, x, 0.1)
    together = hyperboloid.hyperboloid_distance(torch.cat([x, near]), torch.cat([x, near]), 0.1)
    others = ~torch.eye(10, dtype=torch.bool)
    torch.testing.assert_close(together[:10, :10][others], alone[others], rtol=1e-6, atol=0)
    to_origin = 2 * x[:, 0].acosh().div(2 * 0.1**0.5)
    torch.testing.assert_close(
        together[:10, 10:].double(), to_origin[:, None].expand(10, 5), rtol=1e-3, atol=0
    )


@pytest.mark.parametrize(("c", "norm"), SCALES)
def test_neighbours_near_the_origin_are_the_nearest(c, norm):
    u, v = tangent(50, norm), tangent(500, norm)
    points, others = (hyperboloid.hyperboloid_lift(rows, c).float() for rows in (u, v))
    found = nv.nearest_rows(points, others, 10)
    expected = euclidean(u, v).argsort(1)[:, :10]
    assert (found == expected).float().mean() > 0.99  # float32 cannot tell all of them apart
    # beside points that lie elsewhere
    far = hyperboloid.hyperboloid_lift(torch.ones(3, D, dtype=torch.float64), 1.0).float()
    mixed = nv.nearest_rows(torch.cat([far, points]), torch.cat([others, far]), 10)
    assert torch.equal(mixed[3:], found)
    assert (mixed[:3, :3] >= 500).all()


@pytest.mark.parametrize(("c", "norm"), SCALES)
def test_candidate_classes_near_the_origin_are_the_nearest(c, norm, monkeypatch):
    monkeypatch.setattr(cc, "_BLOCK", 64)
    u, v = tangent(30, norm), tangent(200, norm)
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


@pytest.mark.parametrize(("c", "norm"), SCALES)
def test_statistics_near_the_origin_tell_classes_apart(c, norm):
    statistics = ClassStatistics(4, D, PoincareDistance(c), momentum=0.0)
    u = tangent(4, norm).float()
    statistics.update(u, torch.arange(4))
    expected = euclidean(u.double(), u.double()).float()
    # float32 keeps the points that the distances are between to seven digits
    torch.testing.assert_close(statistics.divergence(), expected, rtol=2e-5, atol=0)
    torch.testing.assert_close(
        statistics.distances(u), expected, rtol=2e-5, atol=float(expected.max()) * 1e-6
    )
    torch.testing.assert_close(statistics.centroids(), u, rtol=2e-5, atol=0)


def test_excess_is_cosh_less_one():
    radius = torch.tensor([0.0, 1e-9, 1e-3, 1.0, 9.0], dtype=torch.float64)
    expected = 2 * (radius / 2).sinh().square()
    torch.testing.assert_close(
        near_origin.excess(radius.sinh()[:, None]), expected, rtol=1e-12, atol=0
    )
