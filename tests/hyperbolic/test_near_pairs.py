import math

import pytest
import torch

from pml_ahsml import PoincareDistance
from pml_ahsml.hyperbolic import distance_gradient, geodesic, maps, near_pairs
from pml_ahsml.hyperbolic.polar import polar_coordinates, row_norms
from tests import reference
from tests.near_rows import mixed
from tests.tangent_vectors import CURVATURES, RTOL, tangent

SPACES = ["tangent", "ball"]


def rows(n: int, d: int, space: str, c: float) -> torch.Tensor:
    """Float32 rows whose tangent norms reach from .1 to 2.25."""
    u = torch.nn.functional.normalize(torch.randn(n, d)) * torch.linspace(0.1, 2.25, n)[:, None]
    return maps.expmap0(u, c) if space == "ball" else u


def step_away(e: torch.Tensor, step: float, space: str, c: float) -> torch.Tensor:
    """Rows at about the geodesic distance ``step`` from those of e, in random directions."""
    e64 = e.double()
    u = maps.logmap0(e64, c) if space == "ball" else e64
    direction = torch.nn.functional.normalize(torch.randn_like(u))
    moved = u + 1e-7 * direction
    speed = near_pairs.pairwise_distance(u, moved, c)[:, None] / 1e-7
    moved = u + step * direction / speed
    return (maps.expmap0(moved, c) if space == "ball" else moved).float()


def distance(c: float, space: str) -> PoincareDistance:
    return PoincareDistance(c, embedding_space=space)


def exact(c: float, space: str, e: torch.Tensor, f: torch.Tensor) -> torch.Tensor:
    """Pairwise distances in float64, from the formula with differences."""
    return distance(c, space).pairwise_distance(e.double(), f.double())


@pytest.mark.parametrize("step", [1.0, 1e-3, 1e-9, 0.0])
def test_the_difference_form_is_the_same_however_near(step):
    e, f = torch.randn(2, 4, 3, dtype=torch.float64)
    e[0] = 0
    f = e + step * f
    x, y = (polar_coordinates(row_norms(rows), 0.7, 20.0, False) for rows in (e, f))
    pairs = torch.arange(4)
    found = near_pairs.difference_form(e, f, x, y, pairs, pairs)
    if step > 1e-3:
        wanted = torch.cosh(0.7**0.5 * reference.distance_matrix(e, f, 0.7).diagonal()) - 1
        torch.testing.assert_close(found, wanted, rtol=1e-9, atol=0)
    else:
        # the Möbius form has too few digits left; P = 2 sinh²(√c·d/2)
        distances = near_pairs.pairwise_distance(e, f, 0.7)
        wanted = 2 * torch.sinh(0.7**0.5 * distances / 2).square()
        torch.testing.assert_close(found, wanted, rtol=1e-6, atol=0)
    assert bool((found == 0).all()) == (step == 0)


@pytest.mark.parametrize("c", CURVATURES)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_pairwise_distance_is_the_mobius_distance(c, dtype):
    u, v = tangent(7, dtype=dtype), tangent(7, dtype=dtype)
    expected = reference.distance_matrix(u, v, c).diagonal()
    actual = near_pairs.pairwise_distance(u, v, c)
    torch.testing.assert_close(actual.double(), expected, rtol=RTOL[dtype], atol=0)


def test_pairwise_gradient_is_the_diagonal_of_the_matrix_gradient():
    u, v = tangent(5).requires_grad_(), tangent(5).requires_grad_()
    matrix = geodesic.distance_matrix(u, v, 0.1).diagonal().sum()
    pairs = near_pairs.pairwise_distance(u, v, 0.1).sum()
    for a, e in zip(
        torch.autograd.grad(pairs, (u, v)), torch.autograd.grad(matrix, (u, v)), strict=True
    ):
        torch.testing.assert_close(a, e, rtol=1e-8, atol=1e-12)


@pytest.mark.parametrize("c", CURVATURES)
@pytest.mark.parametrize("step", [1e-4, 1e-3, 1e-2, 1e-1])
def test_near_duplicates_keep_their_digits_in_float32(c, step):
    u = tangent(64, 16, dtype=torch.float32)
    v = u + step * torch.nn.functional.normalize(torch.randn_like(u))
    expected = near_pairs.pairwise_distance(u.double(), v.double(), c)
    # rounding of the coordinates alone moves a distance of 1e-4 by up to 1e-3 of itself
    rtol = 1e-3 if step == 1e-4 else 1e-4
    for actual in (
        geodesic.distance_matrix(u, v, c).diagonal(),
        near_pairs.pairwise_distance(u, v, c),
    ):
        torch.testing.assert_close(actual.double(), expected, rtol=rtol, atol=0)


@pytest.mark.parametrize("norm", [1e-3, 0.02, 0.0499, 0.0501, 0.0999, 0.1001, 0.3])
def test_near_the_origin_series_keep_the_digits_up_to_where_they_end(norm):
    u, v = torch.tensor([[norm, 0.0], [0.0, norm]], dtype=torch.float64).split(1)
    # the first terms left out, at a squared norm of 1e-2: 62/2835·1e-8 and 1e-8/9 of the whole
    assert float(maps.expmap0(u, 1.0)[0, 0]) == pytest.approx(math.tanh(norm), rel=3e-10)
    assert float(maps.logmap0(u, 1.0)[0, 0]) == pytest.approx(math.atanh(norm), rel=2e-9)
    # and 1e-8/9!
    expected = reference.poincare_distance(u[0], v[0], 1.0)
    assert float(near_pairs.pairwise_distance(u, v, 1.0)) == pytest.approx(expected, rel=1e-11)


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


def test_mixed_rows_cover_all_kinds():
    e = mixed(torch.float32)
    kinds = geodesic._DistanceMatrix.apply(e, e.clone(), 0.3, 2.3, False, False, True)[2]
    assert set(kinds.tolist()) == {1, 2}
    kinds = geodesic._DistanceMatrix.apply(e, e, 0.3, 2.3, False, True, True)[2]
    assert set(kinds.tolist()) == {0, 1, 2}


def test_a_collapsed_batch_computes_no_single_pairs(monkeypatch):
    # one by one, a million pairs of a collapsed batch would take seconds and gigabytes
    def refuse(*_):
        raise AssertionError("pairs were computed one by one")

    monkeypatch.setattr(near_pairs, "difference_form", refuse)
    monkeypatch.setattr(distance_gradient, "direction_gap", refuse)
    e = torch.randn(1, 16) + 1e-4 * torch.randn(300, 16)
    e[::3] = e[0]
    e.requires_grad_()
    d = geodesic.distance_matrix(e, torch.cat([e[:1], e]), 0.1, max_norm=2.3)
    assert (d[::3, 0] == 0).all()
    (gradient,) = torch.autograd.grad(d.sum(), e)
    assert gradient.isfinite().all()
