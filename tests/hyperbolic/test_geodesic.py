import math

import geoopt
import pytest
import torch

from pml_ahsml.hyperbolic import geodesic, maps
from tests import reference

CURVATURES = [0.01, 0.1, 1.0]
# relative error of a distance: what rounding of the coordinates and of some ten operations allows
RTOL = {torch.float32: 2e-5, torch.float64: 1e-9}


def tangent(n: int, d: int = 5, max_norm: float = 2.3, dtype=torch.float64) -> torch.Tensor:
    directions = torch.nn.functional.normalize(torch.randn(n, d, dtype=torch.float64))
    return (directions * torch.rand(n, 1, dtype=torch.float64) * max_norm).to(dtype)


@pytest.mark.parametrize("c", CURVATURES)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_distance_matrix_is_the_mobius_distance(c, dtype):
    u, v = tangent(7, dtype=dtype), tangent(6, dtype=dtype)
    expected = reference.distance_matrix(u, v, c)
    actual = geodesic.distance_matrix(u, v, c)
    assert actual.dtype == dtype
    torch.testing.assert_close(actual.double(), expected, rtol=RTOL[dtype], atol=0)


@pytest.mark.parametrize("c", CURVATURES)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_pairwise_distance_is_the_mobius_distance(c, dtype):
    u, v = tangent(7, dtype=dtype), tangent(7, dtype=dtype)
    expected = reference.distance_matrix(u, v, c).diagonal()
    actual = geodesic.pairwise_distance(u, v, c)
    torch.testing.assert_close(actual.double(), expected, rtol=RTOL[dtype], atol=0)


@pytest.mark.parametrize("c", CURVATURES)
def test_distances_and_maps_agree_with_geoopt(c):
    ball = geoopt.PoincareBall(torch.tensor(c, dtype=torch.float64))
    u, v = tangent(8), tangent(8)
    x, y = maps.expmap0(u, c), maps.expmap0(v, c)
    torch.testing.assert_close(x, ball.expmap0(u), rtol=1e-9, atol=0)
    torch.testing.assert_close(maps.logmap0(x, c), ball.logmap0(x), rtol=1e-9, atol=0)
    expected = ball.dist(x[:, None], y)
    torch.testing.assert_close(geodesic.distance_matrix(u, v, c), expected, rtol=1e-6, atol=0)


@pytest.mark.parametrize("c", CURVATURES)
def test_gradients_agree_with_autograd_through_geoopt(c):
    u, v = tangent(5).requires_grad_(), tangent(4).requires_grad_()
    curvature = torch.tensor(c, dtype=torch.float64, requires_grad=True)
    weights = torch.randn(5, 4, dtype=torch.float64)
    k = -curvature
    x, y = (geoopt.manifolds.stereographic.math.expmap0(t, k=k) for t in (u, v))
    dist = geoopt.manifolds.stereographic.math.dist(x[:, None], y, k=k)
    expected = torch.autograd.grad((weights * dist).sum(), (u, v, curvature))
    ours = geodesic.distance_matrix(u, v, curvature)
    actual = torch.autograd.grad((weights * ours).sum(), (u, v, curvature))
    for a, e in zip(actual, expected, strict=True):
        torch.testing.assert_close(a, e, rtol=1e-6, atol=1e-9)


def test_pairwise_gradient_is_the_diagonal_of_the_matrix_gradient():
    u, v = tangent(5).requires_grad_(), tangent(5).requires_grad_()
    matrix = geodesic.distance_matrix(u, v, 0.1).diagonal().sum()
    pairs = geodesic.pairwise_distance(u, v, 0.1).sum()
    for a, e in zip(
        torch.autograd.grad(pairs, (u, v)), torch.autograd.grad(matrix, (u, v)), strict=True
    ):
        torch.testing.assert_close(a, e, rtol=1e-8, atol=1e-12)


@pytest.mark.parametrize("c", CURVATURES)
@pytest.mark.parametrize("step", [1e-4, 1e-3, 1e-2, 1e-1])
def test_near_duplicates_keep_their_digits_in_float32(c, step):
    u = tangent(64, 16, dtype=torch.float32)
    v = u + step * torch.nn.functional.normalize(torch.randn_like(u))
    expected = geodesic.pairwise_distance(u.double(), v.double(), c)
    # rounding of the coordinates alone moves a distance of 1e-4 by up to 1e-3 of itself
    rtol = 1e-3 if step == 1e-4 else 1e-4
    for actual in (
        geodesic.distance_matrix(u, v, c).diagonal(),
        geodesic.pairwise_distance(u, v, c),
    ):
        torch.testing.assert_close(actual.double(), expected, rtol=rtol, atol=0)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_equal_rows_are_at_distance_zero_with_zero_gradient(dtype):
    u = tangent(6, 33).to(dtype)
    u = torch.cat([u, u, torch.zeros(1, 33, dtype=dtype)]).requires_grad_()
    matrix = geodesic.distance_matrix(u, u.detach().clone(), 0.1)
    same = (u[:, None] == u).all(-1)
    assert same.sum() == 25
    assert (matrix[same] == 0).all()
    assert (matrix[~same] > 0).all()
    (gradient,) = torch.autograd.grad(matrix[same].sum(), u)
    assert (gradient == 0).all()
    pairs = geodesic.pairwise_distance(u, u.detach().clone(), 0.1)
    assert (pairs == 0).all()
    (gradient,) = torch.autograd.grad(pairs.sum(), u)
    assert (gradient == 0).all()


def test_gradient_at_the_origin_is_the_slope_of_the_distance():
    origin = torch.zeros(1, 3, dtype=torch.float64, requires_grad=True)
    v = tangent(4, 3)
    for row in v:
        d = geodesic.distance_matrix(origin, row[None], 0.1).squeeze()
        (gradient,) = torch.autograd.grad(d, origin)
        # leaving the origin in a direction shortens the way there by twice the cosine
        torch.testing.assert_close(gradient[0], -2 * row / row.norm(), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("c", CURVATURES)
def test_metric_axioms(c):
    u = tangent(12)
    d = geodesic.distance_matrix(u, u, c)
    torch.testing.assert_close(d, d.T, rtol=1e-9, atol=0)
    assert (d[:, :, None] + d[None] >= d[:, None] * (1 - 1e-9)).all()
    to_origin = geodesic.distance_matrix(u, torch.zeros_like(u[:1]), c)[:, 0]
    torch.testing.assert_close(to_origin, 2 * u.norm(dim=1), rtol=1e-9, atol=0)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_computed_in_float32(dtype):
    u = tangent(8, 16).to(dtype).requires_grad_()
    d = geodesic.distance_matrix(u, u, 0.1)
    assert d.dtype == dtype
    expected = geodesic.distance_matrix(u.float(), u.float(), 0.1)
    torch.testing.assert_close(d, expected.to(dtype), rtol=0, atol=0)
    (gradient,) = torch.autograd.grad(d.float().square().sum(), u)
    assert gradient.isfinite().all()


@pytest.mark.parametrize("norm", [1e-3, 0.02, 0.0499, 0.0501, 0.0999, 0.1001, 0.3])
def test_near_the_origin_series_keep_the_digits_up_to_where_they_end(norm):
    u, v = torch.tensor([[norm, 0.0], [0.0, norm]], dtype=torch.float64).split(1)
    # the first terms left out, at a squared norm of 1e-2: 62/2835·1e-8 and 1e-8/9 of the whole
    assert float(maps.expmap0(u, 1.0)[0, 0]) == pytest.approx(math.tanh(norm), rel=3e-10)
    assert float(maps.logmap0(u, 1.0)[0, 0]) == pytest.approx(math.atanh(norm), rel=2e-9)
    # and 1e-8/9!
    expected = reference.poincare_distance(u[0], v[0], 1.0)
    assert float(geodesic.pairwise_distance(u, v, 1.0)) == pytest.approx(expected, rel=1e-11)
