import math
import warnings

import geoopt
import pytest
import torch

from pml_ahsml import PoincareDistance
from pml_ahsml.hyperbolic import geodesic, maps, near_pairs
from tests import reference
from tests.near_rows import mixed
from tests.tangent_vectors import CURVATURES, RTOL, tangent


@pytest.mark.parametrize("c", CURVATURES)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_distance_matrix_is_the_mobius_distance(c, dtype):
    u, v = tangent(7, dtype=dtype), tangent(6, dtype=dtype)
    expected = reference.distance_matrix(u, v, c)
    actual = geodesic.distance_matrix(u, v, c)
    assert actual.dtype == dtype
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
    pairs = near_pairs.pairwise_distance(u, u.detach().clone(), 0.1)
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


@pytest.mark.parametrize("space", ["tangent", "ball"])
@pytest.mark.parametrize("c", CURVATURES)
def test_matrix_of_points_at_all_radii(c, space):
    u = torch.nn.functional.normalize(torch.randn(30, 16)) * torch.linspace(0.1, 3.0, 30)[:, None]
    e = (maps.expmap0(u, c) if space == "ball" else u).requires_grad_()
    weights = torch.rand(30, 30)
    distance = PoincareDistance(c, embedding_space=space)
    d32, d64 = distance(e), distance(e.double())
    torch.testing.assert_close(d32.double(), d64, rtol=1e-5, atol=0)
    (g32,) = torch.autograd.grad((weights * d32).sum(), e)
    (g64,) = torch.autograd.grad((weights.double() * d64).sum(), e)
    torch.testing.assert_close(g32, g64, rtol=1e-4, atol=1e-4 * float(g64.abs().max()))
    u = e.double().detach()
    u = maps.logmap0(u, c, 2.3) if space == "ball" else maps.clip_norm(u, 2.3)
    wanted = reference.distance_matrix(u, u, c)
    torch.testing.assert_close(d64.detach(), wanted, rtol=1e-6, atol=1e-7)


def test_works_under_torch_func():
    e, f = torch.randn(3, 5, 4), torch.randn(7, 4)

    def loss(e, f):
        return geodesic.distance_matrix(e, f, 0.1, max_norm=2.3).square().sum()

    per_sample = torch.func.vmap(torch.func.grad(loss), in_dims=(0, None))(e, f)
    for sample, gradient in zip(e, per_sample, strict=True):
        sample = sample.clone().requires_grad_()
        (expected,) = torch.autograd.grad(loss(sample, f), sample)
        torch.testing.assert_close(gradient, expected)
    values = torch.func.vmap(lambda e: geodesic.distance_matrix(e, e, 0.1))(e)
    torch.testing.assert_close(values[1], geodesic.distance_matrix(e[1], e[1], 0.1))
    (of_all,) = torch.func.grad(
        lambda e: torch.func.vmap(loss, in_dims=(0, None))(e, f).sum(), argnums=(0,)
    )(e)
    torch.testing.assert_close(of_all, per_sample)
    hessian = torch.func.jacrev(torch.func.grad(loss))(e[0], f)
    assert hessian.shape == (5, 4, 5, 4)
    torch.testing.assert_close(hessian.reshape(20, 20), hessian.reshape(20, 20).T)


@pytest.mark.skipif(
    not hasattr(torch.compiler, "is_compiling"), reason="torch below 2.3 cannot tell"
)
def test_compiles_without_graph_breaks():
    e, f = mixed(torch.float32).requires_grad_(), torch.randn(7, 6)

    def loss(e, f):
        return geodesic.distance_matrix(e, f, 0.1, max_norm=2.3).square().mean()

    with warnings.catch_warnings():
        # torch warns about its own use of torch.jit while it compiles
        warnings.simplefilter("ignore", DeprecationWarning)
        compiled = torch.compile(loss, fullgraph=True, backend="aot_eager")
        value = compiled(e, f)
    torch.testing.assert_close(value, loss(e, f))
    (actual,), (expected,) = (torch.autograd.grad(x, e) for x in (value, loss(e, f)))
    torch.testing.assert_close(actual, expected, rtol=1e-4, atol=1e-6)


def test_the_matrix_may_be_written_into_before_backward():
    # NCALoss and MultiSimilarityMiner do
    e = torch.randn(6, 3, requires_grad=True)
    d = geodesic.distance_matrix(e, e, 0.1)
    (expected,) = torch.autograd.grad(d[0, 1], e, retain_graph=True)
    d.fill_diagonal_(math.inf)
    (actual,) = torch.autograd.grad(d[0, 1], e)
    assert torch.equal(actual, expected)


def test_empty_matrices_and_unneeded_gradients():
    e = torch.randn(4, 3, requires_grad=True)
    for n, m in ((0, 4), (4, 0), (0, 0)):
        d = geodesic.distance_matrix(e[:n], e[:m].clone(), 0.1)
        assert d.shape == (n, m)
        assert torch.equal(torch.autograd.grad(d.sum(), e)[0], torch.zeros_like(e))
    fixed = torch.randn(5, 3)
    for d in (geodesic.distance_matrix(e, fixed, 0.1), geodesic.distance_matrix(fixed, e, 0.1)):
        assert torch.autograd.grad(d.sum(), e)[0].abs().sum() > 0
