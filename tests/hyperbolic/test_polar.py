import math

import pytest
import torch

from pml_ahsml.hyperbolic import maps, polar
from tests import reference

C = 0.7


def rows(n: int) -> torch.Tensor:
    return torch.randn(n, 3, dtype=torch.float64)


def coordinates(e: torch.Tensor, on_ball: bool = False, max_norm: float = 20.0) -> polar.Polar:
    return polar.polar_coordinates(polar.row_norms(e), C, max_norm, on_ball)


def cosh_less_one(e: torch.Tensor, f: torch.Tensor) -> torch.Tensor:
    """P = cosh(√c·d) − 1, by the Möbius form of the distance."""
    return torch.cosh(math.sqrt(C) * reference.distance_matrix(e, f, C)) - 1


def test_the_product_of_the_factors_is_what_the_distances_say():
    e, f = rows(4), rows(5)
    left = polar.left_factor(e, coordinates(e), torch.float64)
    right = polar.right_factor(f, coordinates(f), torch.float64)
    torch.testing.assert_close(left @ right.T, cosh_less_one(e, f), rtol=1e-9, atol=0)


@pytest.mark.parametrize("max_norm", [20.0, 0.8])
def test_points_of_the_ball_have_the_coordinates_of_their_tangent_vectors(max_norm):
    u = rows(6)
    of_tangent = coordinates(u, max_norm=max_norm)
    of_ball = coordinates(maps.expmap0(u, C), on_ball=True, max_norm=max_norm)
    for name in ("radius", "sinh", "alpha", "cosh"):
        torch.testing.assert_close(getattr(of_ball, name), getattr(of_tangent, name))


def test_slope_and_drift_are_the_derivatives_of_the_radius():
    for on_ball in (False, True):
        norm = torch.tensor([0.1, 0.5, 0.9], dtype=torch.float64)

        def radius(norm, c, on_ball=on_ball):
            return polar.polar_coordinates(norm, c, 5.0, on_ball).radius

        c = torch.tensor(C, dtype=torch.float64)
        found = polar.polar_coordinates(norm, C, 5.0, on_ball)
        slope, drift = torch.func.jacrev(radius, argnums=(0, 1))(norm, c)
        torch.testing.assert_close(found.slope, slope.diagonal())
        torch.testing.assert_close(found.drift, drift)


def test_rows_are_taken_by_any_slice_and_all_of_them_without_a_copy():
    x = coordinates(rows(4))
    assert x.take(slice(None)) is x
    assert x.take(slice(0, 4)) is x
    for start in range(4):
        for stop in range(start, 5):
            for column, taken in zip(x, x.take(slice(start, stop)), strict=True):
                assert torch.equal(taken, column[start:stop])
