import pytest
import torch

from pml_ahsml.hyperbolic import minkowski, minkowski_gradient
from pml_ahsml.hyperbolic.polar import plain_similarity_matrix
from tests.near_rows import mixed


@pytest.mark.parametrize("same", [True, False])
@pytest.mark.parametrize("block", [50, 1 << 21])
def test_gradients_are_those_of_the_plain_form_over_blocks(monkeypatch, same, block):
    monkeypatch.setattr(minkowski_gradient, "_BLOCK_ELEMENTS", block)
    e = mixed(torch.float32).requires_grad_()
    f = e if same else mixed(torch.float32).flip(0).requires_grad_()
    c = torch.tensor(0.3, requires_grad=True)
    weights = torch.rand(len(e), len(f))
    found = []
    for s in (
        minkowski.similarity_matrix(e, f, c, 2.3),
        plain_similarity_matrix(e, f, c, 2.3, False),
    ):
        found.append((s, *torch.autograd.grad((weights * s).sum(), (e, f, c))))
    ours, plain = found
    torch.testing.assert_close(ours[0], plain[0], rtol=0, atol=5e-7)
    for a, b in zip(ours[1:], plain[1:], strict=True):
        assert float((a - b).norm() / b.norm()) < 1e-5


@pytest.mark.parametrize("on_ball", [False, True])
def test_first_and_second_derivatives_by_finite_differences(on_ball):
    e = 0.5 * torch.randn(4, 3, dtype=torch.float64)
    f = 0.5 * torch.randn(5, 3, dtype=torch.float64)
    c = torch.tensor(0.3, dtype=torch.float64)
    arguments = tuple(x.requires_grad_() for x in (e, f, c))

    def matrix(e, f, c):
        return minkowski.similarity_matrix(e, f, c, 1.5, on_ball=on_ball)

    assert torch.autograd.gradcheck(matrix, arguments)
    assert torch.autograd.gradgradcheck(matrix, arguments)
    assert torch.autograd.gradcheck(lambda e, c: matrix(e, e, c), (e, c))
    assert torch.autograd.gradgradcheck(lambda e: matrix(e, e, 0.3), arguments[:1])

    def pairs(e, f, c):
        return minkowski.pairwise_similarity(e, f, c, 1.5)

    assert torch.autograd.gradcheck(pairs, (e, f[:4], c))
    assert torch.autograd.gradgradcheck(pairs, (e, f[:4], c))


def test_the_gradient_leads_off_the_origin_and_along_the_rim():
    e = torch.tensor([[0.0, 0.0], [5.0, 0.0]], dtype=torch.float64, requires_grad=True)
    f = torch.tensor([[0.0, 2.3]], dtype=torch.float64)
    (gradient,) = torch.autograd.grad(minkowski.similarity_matrix(e, f, 0.1, 2.3).sum(), e)
    assert gradient[0, 1] > 0.1  # towards f
    assert gradient[0, 0] == 0
    # a clipped row turns and has no radial part: that of the cosine, 1/‖e‖
    torch.testing.assert_close(gradient[1], torch.tensor([0, 1 / 5], dtype=torch.float64))


def test_works_for_each_sample_of_a_batch_of_problems():
    e, f = torch.randn(3, 4, 2), torch.randn(5, 2)

    def loss(e, f):
        return minkowski.similarity_matrix(e, f, 0.1, 2.3).square().sum()

    per_sample = torch.func.vmap(torch.func.grad(loss), in_dims=(0, None))(e, f)
    expected = torch.stack([torch.func.grad(loss)(own, f) for own in e])
    torch.testing.assert_close(per_sample, expected)
