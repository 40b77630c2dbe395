import math
import warnings

import pytest
import torch

from pml_ahsml import PoincareDistance
from pml_ahsml.hyperbolic import distance_gradient, distance_kernel, geodesic, maps
from tests import reference
from tests.near_rows import mixed

CURVATURES = [0.01, 0.1, 1.0]
SPACES = ["tangent", "ball"]


def rows(n: int, d: int, space: str, c: float, longest: float = 2.25) -> torch.Tensor:
    """Float32 rows whose tangent norms reach from .1 to ``longest``."""
    u = torch.nn.functional.normalize(torch.randn(n, d)) * torch.linspace(0.1, longest, n)[:, None]
    return maps.expmap0(u, c) if space == "ball" else u


def step_away(e: torch.Tensor, step: float, space: str, c: float) -> torch.Tensor:
    """Rows at about the geodesic distance ``step`` from those of e, in random directions."""
    e64 = e.double()
    u = maps.logmap0(e64, c) if space == "ball" else e64
    direction = torch.nn.functional.normalize(torch.randn_like(u))
    moved = u + 1e-7 * direction
    speed = geodesic.pairwise_distance(u, moved, c)[:, None] / 1e-7
    moved = u + step * direction / speed
    return (maps.expmap0(moved, c) if space == "ball" else moved).float()


def distance(c: float, space: str) -> PoincareDistance:
    return PoincareDistance(c, embedding_space=space)


def exact(c: float, space: str, e: torch.Tensor, f: torch.Tensor) -> torch.Tensor:
    """Pairwise distances in float64, from the formula with differences."""
    return distance(c, space).pairwise_distance(e.double(), f.double())


@pytest.mark.parametrize("space", SPACES)
@pytest.mark.parametrize("c", CURVATURES)
@pytest.mark.parametrize("step", [1e-4, 1e-3, 1e-2, 1e-1, 1.0])
@pytest.mark.parametrize("collapsed", [False, True])
def test_distances_and_gradients_of_near_duplicates(c, space, step, collapsed):
    # collapsed: all pairs are near, and go through the product in float64
    n, d = 40, 32
    e = rows(n, d, space, c)
    if collapsed:
        e = e[n // 2].expand(n, d).contiguous()
    f = step_away(e, step, space, c)
    e.requires_grad_()
    f.requires_grad_()
    expected = exact(c, space, e, f)
    e64 = e.detach().double().requires_grad_()
    wanted = torch.autograd.grad(exact(c, space, e64, f.detach()).sum(), e64)[0]
    d32 = distance(c, space)
    for actual in (d32(e, f).diagonal(), d32.pairwise_distance(e, f)):
        rtol = 1e-3 if step == 1e-4 else 1e-4
        torch.testing.assert_close(actual.double(), expected, rtol=rtol, atol=0)
        (gradient,) = torch.autograd.grad(actual.sum(), e)
        error = (gradient.double() - wanted).norm(dim=1) / wanted.norm(dim=1)
        assert float(error.max()) < 5e-3


@pytest.mark.parametrize("space", SPACES)
@pytest.mark.parametrize("c", CURVATURES)
def test_matrix_of_points_at_all_radii(c, space):
    e = rows(30, 16, space, c, longest=3.0).requires_grad_()
    weights = torch.rand(30, 30)
    d32, d64 = distance(c, space)(e), distance(c, space)(e.double())
    torch.testing.assert_close(d32.double(), d64, rtol=1e-5, atol=0)
    (g32,) = torch.autograd.grad((weights * d32).sum(), e)
    (g64,) = torch.autograd.grad((weights.double() * d64).sum(), e)
    torch.testing.assert_close(g32, g64, rtol=1e-4, atol=1e-4 * float(g64.abs().max()))
    u = e.double().detach()
    u = maps.logmap0(u, c, 2.3) if space == "ball" else maps.clip_norm(u, 2.3)
    wanted = reference.distance_matrix(u, u, c)
    torch.testing.assert_close(d64.detach(), wanted, rtol=1e-6, atol=1e-7)


def test_the_kinds_of_rows_are_all_met():
    e = mixed(torch.float32)
    kinds = distance_kernel._DistanceMatrix.apply(e, e.clone(), 0.3, 2.3, False, False, True)[2]
    assert set(kinds.tolist()) == {1, 2}
    kinds = distance_kernel._DistanceMatrix.apply(e, e, 0.3, 2.3, False, True, True)[2]
    assert set(kinds.tolist()) == {0, 1, 2}


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


def test_collapse_needs_no_pairs_one_by_one(monkeypatch):
    # one by one, a million pairs of a collapsed batch would take seconds and gigabytes
    def refuse(*_):
        raise AssertionError("pairs were computed one by one")

    monkeypatch.setattr(distance_kernel, "difference_form", refuse)
    monkeypatch.setattr(distance_gradient, "direction_gap", refuse)
    e = torch.randn(1, 16) + 1e-4 * torch.randn(300, 16)
    e[::3] = e[0]
    e.requires_grad_()
    d = geodesic.distance_matrix(e, torch.cat([e[:1], e]), 0.1, max_norm=2.3)
    assert (d[::3, 0] == 0).all()
    (gradient,) = torch.autograd.grad(d.sum(), e)
    assert gradient.isfinite().all()
