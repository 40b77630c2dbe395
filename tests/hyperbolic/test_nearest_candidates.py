import pytest
import torch

from pml_ahsml.hyperbolic import nearest_candidates as nc
from pml_ahsml.hyperbolic.near_pairs import difference_form
from pml_ahsml.hyperbolic.polar import polar_coordinates, row_norms

C = 0.1


def rows(n: int, norm: float):
    e = norm * torch.randn(n, 6)
    return e, polar_coordinates(row_norms(e), C, 2.3, False)


def exact(e, x, f, y):
    """P of all pairs, (N, M)."""
    i, j = torch.cartesian_prod(torch.arange(len(e)), torch.arange(len(f))).unbind(1)
    return difference_form(e, f, x, y, i, j).view(len(e), len(f))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize(("of_queries", "of_references"), [(1, 1), (1e-18, 1e-18), (1, 1e-18)])
def test_products_equal_p_up_to_a_constant_per_query(of_queries, of_references, dtype):
    e, x = rows(5, of_queries)
    f, y = rows(7, of_references)
    scale = nc.largest_sinh(y)
    queries = nc.query_columns(e, x, scale, dtype)
    references = nc.reference_columns(f, y, scale, dtype)
    for columns in (queries, references):
        assert columns.dtype == dtype
        assert float(columns.abs().max()) <= 1 + 1e-6
    unit = torch.maximum(x.sinh, scale * x.cosh) * scale
    found = x.alpha[:, None] - (queries.double() @ references.double().T) * unit[:, None]
    size = torch.outer(x.sinh, y.sinh) + torch.outer(x.cosh, y.alpha)
    error = (found - exact(e, x, f, y)).abs() / size
    # of P between far and near points float64 has no more digits than of α
    digits = torch.finfo(dtype).eps + torch.finfo(torch.float64).eps * x.alpha[:, None] / size
    assert (error < 4 * digits).all()


def test_the_largest_products_are_found_in_blocks(monkeypatch):
    queries, references = torch.randn(9, 4), torch.randn(30, 4)
    expected = (queries @ references.T).topk(5)
    monkeypatch.setattr(nc, "_BLOCK_ELEMENTS", 70)
    values, indices = nc.largest_products(queries, references, 5)
    assert torch.equal(indices, expected.indices)
    torch.testing.assert_close(values, expected.values)


@pytest.mark.parametrize("norm", [1e-18, 1e-3, 1.0])
@pytest.mark.parametrize("k", [1, 5])
def test_are_enough_is_never_true_if_a_nearer_reference_is_missing(norm, k):
    # a cluster so tight that float32 mixes up its members
    e, x = rows(1, norm)
    for spread in (1e-1, 1e-2, 1e-3, 1e-4, 1e-5):
        f = e + spread * norm * torch.randn(400, 6)
        y = polar_coordinates(row_norms(f), C, 2.3, False)
        scale = nc.largest_sinh(y)
        products, candidates = nc.largest_products(
            nc.query_columns(e, x, scale, torch.float32),
            nc.reference_columns(f, y, scale, torch.float32),
            k + 8,
        )
        p = exact(e, x, f, y)[0]
        kth = p[candidates[0]].sort().values[k - 1 : k]
        lengths = torch.log1p(kth + (kth * (kth + 2)).sqrt())
        enough = nc.are_enough(x, lengths, products[:, -1], scale, y.radius.max(), 7)
        is_right = set(p.argsort()[:k].tolist()) <= set(candidates[0].tolist())
        assert is_right or not enough
        if spread == 1e-1:
            assert enough
        if spread == 1e-5:
            assert not enough


def test_nothing_is_nearer_than_an_equal_row():
    e, x = rows(1, 1.0)
    last = (
        nc.query_columns(e, x, 1.0, torch.float32)
        @ nc.reference_columns(e, x, 1.0, torch.float32).T
    )
    zero = torch.zeros(1, dtype=torch.float64)
    assert nc.are_enough(x, zero, last[:, 0], 1.0, x.radius.max(), 7)
    assert not nc.are_enough(x, zero + 1e-9, last[:, 0], 1.0, x.radius.max(), 7)


def test_ball_points_far_out_are_moved_in():
    e = torch.tensor([[0.3, 0.4], [3e-9, 4e-9]])
    x = polar_coordinates(row_norms(e), C, 2.3, False)
    scale = float(x.sinh[1])
    expected = torch.tensor([[0.6, 0.8, 0.0]])
    points = nc.ball_points(e, x, scale, 2.0**10 * scale)
    torch.testing.assert_close(points, torch.cat([expected * 2**10, expected]))
    unscaled = nc.ball_points(e[:1], x.take([0]), scale)
    ratio = (x.radius[0] / 2).tanh() / (x.radius[1] / 2).tanh()
    torch.testing.assert_close(unscaled, expected * ratio.float())
