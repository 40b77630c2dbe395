import math

import geoopt
import pytest
import torch

from pml_ahsml.hyperbolic import poincare
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
    actual = poincare.distance_matrix(u, v, c)
    assert actual.dtype == dtype
    torch.testing.assert_close(actual.double(), expected, rtol=RTOL[dtype], atol=0)


@pytest.mark.parametrize("c", CURVATURES)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_pairwise_distance_is_the_mobius_distance(c, dtype):
    u, v = tangent(7, dtype=dtype), tangent(7, dtype=dtype)
    expected = reference.distance_matrix(u, v, c).diagonal()
    actual = poincare.pairwise_distance(u, v, c)
    torch.testing.assert_close(actual.double(), expected, rtol=RTOL[dtype], atol=0)


@pytest.mark.parametrize("c", CURVATURES)
def test_distances_and_maps_agree_with_geoopt(c):
    ball = geoopt.PoincareBall(torch.tensor(c, dtype=torch.float64))
    u, v = tangent(8), tangent(8)
    x, y = poincare.expmap0(u, c), poincare.expmap0(v, c)
    torch.testing.assert_close(x, ball.expmap0(u), rtol=1e-9, atol=0)
    torch.testing.assert_close(poincare.logmap0(x, c), ball.logmap0(x), rtol=1e-9, atol=0)
    expected = ball.dist(x[:, None], y)
    torch.testing.assert_close(poincare.distance_matrix(u, v, c), expected, rtol=1e-6, atol=0)


@pytest.mark.parametrize("c", CURVATURES)
def test_gradients_agree_with_autograd_through_geoopt(c):
    u, v = tangent(5).requires_grad_(), tangent(4).requires_grad_()
    curvature = torch.tensor(c, dtype=torch.float64, requires_grad=True)
    weights = torch.randn(5, 4, dtype=torch.float64)
    k = -curvature
    x, y = (geoopt.manifolds.stereographic.math.expmap0(t, k=k) for t in (u, v))
    dist = geoopt.manifolds.stereographic.math.dist(x[:, None], y, k=k)
    expected = torch.autograd.grad((weights * dist).sum(), (u, v, curvature))
    ours = poincare.distance_matrix(u, v, curvature)
    actual = torch.autograd.grad((weights * ours).sum(), (u, v, curvature))
    for a, e in zip(actual, expected, strict=True):
        torch.testing.assert_close(a, e, rtol=1e-6, atol=1e-9)


def test_pairwise_gradient_is_the_diagonal_of_the_matrix_gradient():
    u, v = tangent(5).requires_grad_(), tangent(5).requires_grad_()
    matrix = poincare.distance_matrix(u, v, 0.1).diagonal().sum()
    pairs = poincare.pairwise_distance(u, v, 0.1).sum()
    for a, e in zip(
        torch.autograd.grad(pairs, (u, v)), torch.autograd.grad(matrix, (u, v)), strict=True
    ):
        torch.testing.assert_close(a, e, rtol=1e-8, atol=1e-12)


@pytest.mark.parametrize("c", CURVATURES)
@pytest.mark.parametrize("step", [1e-4, 1e-3, 1e-2, 1e-1])
def test_near_duplicates_keep_their_digits_in_float32(c, step):
    u = tangent(64, 16, dtype=torch.float32)
    v = u + step * torch.nn.functional.normalize(torch.randn_like(u))
    expected = poincare.pairwise_distance(u.double(), v.double(), c)
    # rounding of the coordinates alone moves a distance of 1e-4 by up to 1e-3 of itself
    rtol = 1e-3 if step == 1e-4 else 1e-4
    for actual in (
        poincare.distance_matrix(u, v, c).diagonal(),
        poincare.pairwise_distance(u, v, c),
    ):
        torch.testing.assert_close(actual.double(), expected, rtol=rtol, atol=0)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_equal_rows_are_at_distance_zero_with_zero_gradient(dtype):
    u = tangent(6, 33).to(dtype)
    u = torch.cat([u, u, torch.zeros(1, 33, dtype=dtype)]).requires_grad_()
    matrix = poincare.distance_matrix(u, u.detach().clone(), 0.1)
    same = (u[:, None] == u).all(-1)
    assert same.sum() == 25
    assert (matrix[same] == 0).all()
    assert (matrix[~same] > 0).all()
    (gradient,) = torch.autograd.grad(matrix[same].sum(), u)
    assert (gradient == 0).all()
    pairs = poincare.pairwise_distance(u, u.detach().clone(), 0.1)
    assert (pairs == 0).all()
    (gradient,) = torch.autograd.grad(pairs.sum(), u)
    assert (gradient == 0).all()


def test_gradient_at_the_origin_is_the_slope_of_the_distance():
    origin = torch.zeros(1, 3, dtype=torch.float64, requires_grad=True)
    v = tangent(4, 3)
    for row in v:
        d = poincare.distance_matrix(origin, row[None], 0.1).squeeze()
        (gradient,) = torch.autograd.grad(d, origin)
        # leaving the origin in a direction shortens the way there by twice the cosine
        torch.testing.assert_close(gradient[0], -2 * row / row.norm(), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("c", CURVATURES)
def test_metric_axioms(c):
    u = tangent(12)
    d = poincare.distance_matrix(u, u, c)
    torch.testing.assert_close(d, d.T, rtol=1e-9, atol=0)
    assert (d[:, :, None] + d[None] >= d[:, None] * (1 - 1e-9)).all()
    to_origin = poincare.distance_matrix(u, torch.zeros_like(u[:1]), c)[:, 0]
    torch.testing.assert_close(to_origin, 2 * u.norm(dim=1), rtol=1e-9, atol=0)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_computed_in_float32(dtype):
    u = tangent(8, 16).to(dtype).requires_grad_()
    d = poincare.distance_matrix(u, u, 0.1)
    assert d.dtype == dtype
    expected = poincare.distance_matrix(u.float(), u.float(), 0.1)
    torch.testing.assert_close(d, expected.to(dtype), rtol=0, atol=0)
    (gradient,) = torch.autograd.grad(d.float().square().sum(), u)
    assert gradient.isfinite().all()


def test_clip_norm_shortens_long_rows_only():
    e = torch.tensor([[3.0, 4.0], [0.3, 0.4], [0.0, 0.0]], dtype=torch.float64, requires_grad=True)
    u = poincare.clip_norm(e, 2.5)
    torch.testing.assert_close(u[0], torch.tensor([1.5, 2.0], dtype=torch.float64))
    assert torch.equal(u[1:], e[1:])
    (gradient,) = torch.autograd.grad((u * e.detach()).sum(), e)
    torch.testing.assert_close(gradient[0] @ e[0], torch.tensor(0.0, dtype=torch.float64))
    assert gradient.isfinite().all()
    assert torch.autograd.gradcheck(lambda x: poincare.clip_norm(x, 2.5), e[:2])


@pytest.mark.parametrize("max_norm", [float("inf"), 2.3])
def test_maps_have_correct_gradients_down_to_the_origin(max_norm, request):
    u = torch.cat([tangent(3, 3, 1.5), 1e-3 * tangent(2, 3), torch.zeros(1, 3).double()])
    u.requires_grad_()
    # with which a nan on the way back, even one that is masked later, is an error
    torch.autograd.set_detect_anomaly(True)
    request.addfinalizer(lambda: torch.autograd.set_detect_anomaly(False))
    assert torch.autograd.gradcheck(lambda t: poincare.expmap0(t, 1.0), u)
    x = poincare.expmap0(u.detach(), 1.0).requires_grad_()
    assert torch.autograd.gradcheck(lambda t: poincare.logmap0(t, 1.0, max_norm), x)
    assert torch.autograd.gradcheck(lambda t: poincare.hyperboloid_lift(t, 1.0), u)


@pytest.mark.parametrize("norm", [1e-3, 0.02, 0.0499, 0.0501, 0.0999, 0.1001, 0.3])
def test_near_the_origin_series_keep_the_digits_up_to_where_they_end(norm):
    u, v = torch.tensor([[norm, 0.0], [0.0, norm]], dtype=torch.float64).split(1)
    # the first terms left out, at a squared norm of 1e-2: 62/2835·1e-8 and 1e-8/9 of the whole
    assert float(poincare.expmap0(u, 1.0)[0, 0]) == pytest.approx(math.tanh(norm), rel=3e-10)
    assert float(poincare.logmap0(u, 1.0)[0, 0]) == pytest.approx(math.atanh(norm), rel=2e-9)
    # and 1e-8/9!
    expected = reference.poincare_distance(u[0], v[0], 1.0)
    assert float(poincare.pairwise_distance(u, v, 1.0)) == pytest.approx(expected, rel=1e-11)


def test_logmap0_takes_the_rim_and_beyond_as_the_longest_vector():
    directions = torch.nn.functional.normalize(torch.randn(4, 3))
    points = (directions * torch.tensor([[0.5], [0.999999], [1.0], [3.0]])).requires_grad_()
    u = poincare.logmap0(points, 1.0, max_norm=2.3)
    torch.testing.assert_close(u[1:], 2.3 * directions[1:])
    assert u[0].norm() < 2.3
    (gradient,) = torch.autograd.grad(u.sum(), points)
    assert gradient.isfinite().all()


def test_unlift_inverts_lift_at_every_scale():
    u = torch.cat([tangent(5), torch.zeros(1, 5, dtype=torch.float64)])
    x = poincare.hyperboloid_lift(u, 0.1)
    minkowski = x[:, 1:].square().sum(1) - x[:, 0] ** 2
    torch.testing.assert_close(minkowski, -torch.ones_like(minkowski))
    torch.testing.assert_close(poincare.hyperboloid_unlift(3.7 * x, 0.1), u)


@pytest.mark.parametrize("c", CURVATURES)
def test_unlifted_mean_is_the_einstein_midpoint(c):
    u = tangent(9)
    mean = poincare.hyperboloid_lift(u, c).mean(0, keepdim=True)
    midpoint = poincare.hyperboloid_unlift(mean, c)[0]
    expected = torch.tensor(reference.einstein_midpoint(u, c), dtype=torch.float64)
    torch.testing.assert_close(midpoint, expected, rtol=1e-8, atol=1e-10)
