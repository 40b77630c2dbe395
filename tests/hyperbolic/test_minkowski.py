import math

import pytest
import torch

from pml_ahsml.hyperbolic import blocks, maps, minkowski
from tests import reference
from tests.near_rows import mixed
from tests.tangent_vectors import CURVATURES, tangent

# absolute error of a similarity: rounding of a cosine
ATOL = {torch.float32: 5e-7, torch.float64: 1e-12}


@pytest.mark.parametrize("c", CURVATURES)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_similarity_matrix_is_the_scaled_minkowski_product(c, dtype):
    u, v = tangent(7, dtype=dtype), tangent(6, dtype=dtype)
    expected = reference.lorentz_similarity_matrix(u, v, c, 2.3)
    actual = minkowski.similarity_matrix(u, v, c, 2.3)
    assert actual.dtype == dtype
    torch.testing.assert_close(actual.double(), expected, rtol=0, atol=ATOL[dtype])
    pairs = minkowski.pairwise_similarity(u[:6], v, c, 2.3)
    assert pairs.dtype == dtype
    torch.testing.assert_close(pairs.double(), expected.diagonal(), rtol=0, atol=ATOL[dtype])


@pytest.mark.parametrize("c", [1e-6, 0.1, 10.0])
def test_it_is_the_cosine_at_the_clip_radius_and_beyond(c):
    e = torch.randn(40, 8)
    e = torch.nn.functional.normalize(e) * torch.linspace(1.5, 9, 40)[:, None]
    cosine = torch.nn.functional.cosine_similarity(e.double()[:, None], e.double(), dim=2)
    similarity = minkowski.similarity_matrix(e, e, c, 1.5)
    # three products of size up to 1, each off by some roundings
    torch.testing.assert_close(similarity.double(), cosine, rtol=0, atol=1e-6)


def test_it_ends_at_one_and_minus_one():
    e = 3 * torch.nn.functional.normalize(torch.randn(200, 64))
    e = torch.cat([e, -e])
    similarity = minkowski.similarity_matrix(e, e, 0.1, 2.3)
    assert similarity.min() >= -1
    assert similarity.max() == 1
    opposite = similarity[:200, 200:].diagonal()
    torch.testing.assert_close(opposite, -torch.ones(200), rtol=0, atol=5e-7)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_equal_rows_have_similarity_one(dtype):
    u = tangent(6, 33).to(dtype)
    u = torch.cat([u, u, torch.zeros(1, 33, dtype=dtype)])
    for matrix in (
        minkowski.similarity_matrix(u, u.clone(), 0.1, 2.3),
        minkowski.similarity_matrix(u, u, 0.1, 2.3),
    ):
        same = (u[:, None] == u).all(-1)
        assert same.sum() == 25
        assert (matrix[same] == 1).all()
    assert (minkowski.pairwise_similarity(u, u.clone(), 0.1, 2.3) == 1).all()


@pytest.mark.parametrize("block", [50, 1 << 20])
@pytest.mark.parametrize("same", [True, False])
def test_near_pairs_have_all_digits_over_blocks(monkeypatch, block, same):
    monkeypatch.setattr(minkowski, "_BLOCK_ELEMENTS", block)
    monkeypatch.setattr(blocks, "_PAIR_ELEMENTS", block)
    e = mixed(torch.float32)
    f = e if same else e.clone()
    similarity = minkowski.similarity_matrix(e, f, 0.1, 2.3)
    clipped = maps.clip_norm(e.double(), 2.3)
    expected = reference.lorentz_similarity_matrix(clipped, clipped, 0.1, 2.3)
    near = expected > 1 - 2.0**-18
    assert 10 < near.sum() < near.numel() / 4
    # half the distance between two numbers of float32 below 1, and the rounding of the sum
    torch.testing.assert_close(similarity[near].double(), expected[near], rtol=0, atol=6.1e-8)
    torch.testing.assert_close(similarity.double(), expected, rtol=0, atol=5e-7)


def test_float64_tells_apart_what_float32_cannot():
    u = torch.tensor([[1.0, 0.0], [1.0, 1e-7]], dtype=torch.float64)
    gap = 1 - minkowski.similarity_matrix(u, u, 0.1, 2.3)[0, 1]
    a, r = 2 * math.sqrt(0.1), 2 * math.sqrt(0.1) * 2.3
    expected = math.sinh(a) ** 2 * 1e-14 / 2 / math.sinh(r) ** 2
    assert float(gap) == pytest.approx(expected, rel=0.05)


def test_points_of_the_ball_have_the_similarity_of_their_tangent_vectors():
    u = tangent(9)
    points = maps.expmap0(u, 0.5)
    actual = minkowski.similarity_matrix(points, points, 0.5, 2.3, on_ball=True)
    expected = minkowski.similarity_matrix(u, u, 0.5, 2.3)
    torch.testing.assert_close(actual, expected, rtol=0, atol=1e-12)


def test_no_rows_and_no_columns():
    for shape in ((0, 3), (3, 0), (0, 0)):
        e, f = (torch.zeros(n, 4, requires_grad=True) for n in shape)
        similarity = minkowski.similarity_matrix(e, f, 0.1, 2.3)
        assert similarity.shape == shape
        similarity.sum().backward()
        assert e.grad is not None
        assert e.grad.shape == (shape[0], 4)


def test_what_is_returned_may_be_written_into():
    e = torch.randn(5, 3, requires_grad=True)
    found = []
    for writes in (False, True):
        similarity = minkowski.similarity_matrix(e, e, 0.1, 2.3)
        total = (similarity * torch.ones(5, 5).tril()).sum()
        if writes:
            similarity.detach().fill_(7)
        found.append(torch.autograd.grad(total, e)[0])
    assert torch.equal(*found)


@pytest.mark.skipif(
    not hasattr(torch.compiler, "is_compiling"), reason="torch below 2.3 cannot tell"
)
def test_compiles_without_graph_breaks():
    import warnings

    e, f = torch.randn(5, 3, requires_grad=True), torch.randn(4, 3)

    def loss(e, f):
        return minkowski.similarity_matrix(e, f, 0.1, 2.3).square().sum()

    with warnings.catch_warnings():
        # torch warns about its own use of torch.jit while it compiles
        warnings.simplefilter("ignore", DeprecationWarning)
        value = torch.compile(loss, fullgraph=True, backend="aot_eager")(e, f)
    torch.testing.assert_close(value, loss(e, f))
    gradients = [torch.autograd.grad(v, e)[0] for v in (value, loss(e, f))]
    torch.testing.assert_close(*gradients, rtol=1e-5, atol=1e-6)
