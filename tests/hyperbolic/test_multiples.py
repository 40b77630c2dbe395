"""Products with positive multiples of points."""

import pytest
import torch

from pml_ahsml.hyperbolic import hyperboloid
from pml_ahsml.hyperbolic.multiples import Multiples
from tests.near_origin import SCALES, euclidean, near_origin
from tests.tangent_vectors import tangent

SEEN = torch.ones(20, dtype=torch.bool)


def multiples_of(points: torch.Tensor) -> torch.Tensor:
    """Each point times another positive number, as its mean may be."""
    return points * torch.logspace(-2, 3, len(points), dtype=points.dtype)[:, None]


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_closeness_is_that_of_the_points(dtype):
    x, y = (hyperboloid.hyperboloid_lift(tangent(count), 0.1) for count in (9, 20))
    rows = [[(1 - b[0]) * a[0] + a[1:] @ b[1:] for b in y] for a in x]
    expected = torch.stack([torch.stack(row) for row in rows])
    found = Multiples.of(multiples_of(y).to(dtype), SEEN).closeness(x.to(dtype))
    assert found.dtype == dtype
    tolerance = (
        {"rtol": 1e-9, "atol": 1e-9} if dtype == torch.float64 else {"rtol": 0, "atol": 1e-5}
    )
    torch.testing.assert_close(found.double(), expected, **tolerance)


@pytest.mark.parametrize(("c", "norm"), SCALES)
def test_distances_near_the_origin_keep_their_digits(c, norm):
    u, v = near_origin(10, norm), near_origin(20, norm)
    x, y = (hyperboloid.hyperboloid_lift(rows, c) for rows in (u, v))
    closeness = Multiples.of(multiples_of(y), SEEN).closeness(x)
    excess = -(closeness + hyperboloid.one_less_cosh(x)[:, None])
    expected = euclidean(u, v).float()
    torch.testing.assert_close(hyperboloid.lengths_of(excess, c), expected, rtol=2e-5, atol=0)


def test_rows_never_seen_are_as_far_as_can_be():
    y = hyperboloid.hyperboloid_lift(tangent(20), 1.0)
    seen = torch.arange(20) % 3 > 0
    rows = y * seen[:, None]
    closeness = Multiples.of(rows, seen).closeness(y[:4])
    assert (closeness[:, ~seen] == -torch.inf).all()
    expected = Multiples.of(y, SEEN).closeness(y[:4])[:, seen]
    assert torch.equal(closeness[:, seen], expected)


def test_autocast_does_not_round_it():
    y = hyperboloid.hyperboloid_lift(tangent(20), 1.0).float()
    exact = Multiples.of(y, SEEN).closeness(y)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(Multiples.of(y, SEEN).closeness(y), exact)
