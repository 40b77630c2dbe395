import pytest
import torch

from pml_ahsml.hyperbolic import blocks, distance_gradient, geodesic
from pml_ahsml.hyperbolic.polar import plain_distance_matrix
from tests.near_rows import mixed


@pytest.mark.parametrize("same", [True, False])
@pytest.mark.parametrize("block", [50, 1 << 18])
def test_gradients_are_those_of_the_plain_form_over_blocks(monkeypatch, same, block):
    for module, names in (
        (geodesic, ("_BLOCK",)),
        (distance_gradient, ("_BLOCK",)),
        (blocks, ("_PAIR", "_WIDE")),
    ):
        for name in names:
            monkeypatch.setattr(module, name + "_ELEMENTS", block)
    e = mixed(torch.float32).requires_grad_()
    f = e if same else mixed(torch.float32).flip(0).requires_grad_()
    c = torch.tensor(0.3, requires_grad=True)
    weights = torch.rand(len(e), len(f))
    found = []
    for d in (
        geodesic.distance_matrix(e, f, c, max_norm=2.3),
        plain_distance_matrix(e, f, c, 2.3, False),
    ):
        found.append((d, *torch.autograd.grad((weights * d).sum(), (e, f, c))))
    ours, plain = found
    torch.testing.assert_close(ours[0], plain[0], rtol=1e-5, atol=1e-9)
    for a, b in zip(ours[1:], plain[1:], strict=True):
        assert float((a - b).norm() / b.norm()) < 1e-5


@pytest.mark.parametrize("on_ball", [False, True])
def test_first_and_second_derivatives_by_finite_differences(on_ball):
    e = 0.5 * torch.randn(4, 3, dtype=torch.float64)
    f = 0.5 * torch.randn(5, 3, dtype=torch.float64)
    c = torch.tensor(0.3, dtype=torch.float64)
    arguments = tuple(x.requires_grad_() for x in (e, f, c))

    def matrix(e, f, c):
        return geodesic.distance_matrix(e, f, c, max_norm=1.5, on_ball=on_ball)

    assert torch.autograd.gradcheck(matrix, arguments)
    assert torch.autograd.gradgradcheck(matrix, arguments)
    assert torch.autograd.gradgradcheck(lambda e: matrix(e, e, 0.3), arguments[:1])


def test_second_derivatives_in_float32():
    e = torch.randn(6, 3, requires_grad=True)
    f = torch.randn(5, 3)

    def penalty(e):
        d = geodesic.distance_matrix(e, f.to(e), 0.1, max_norm=2.3)
        (gradient,) = torch.autograd.grad(d.square().sum(), e, create_graph=True)
        return torch.autograd.grad(gradient.square().sum(), e)[0]

    wanted = penalty(e.double())
    torch.testing.assert_close(penalty(e).double(), wanted, rtol=1e-4, atol=1e-4)


def test_gradient_of_the_curvature_of_points_far_out():
    e = torch.tensor([[15.0, 0.0], [0.0, 5.0], [-4.0, 1.0]])
    found = []
    for dtype in (torch.float32, torch.float64):
        c = torch.tensor(1.0, dtype=dtype, requires_grad=True)
        d = geodesic.distance_matrix(e.to(dtype), e.to(dtype), c)
        found.append(torch.autograd.grad(d.sum(), c)[0].double())
    assert found[1].isfinite()
    torch.testing.assert_close(found[0], found[1], rtol=1e-5, atol=0)


def test_rows_of_one_tensor_and_of_its_copy_agree():
    e = mixed(torch.float32).requires_grad_()
    weights = torch.rand(len(e), len(e))
    found = []
    for f in (e, e.clone()):
        d = geodesic.distance_matrix(e, f, 0.1)
        found.append((d, *torch.autograd.grad((weights * d).sum(), e)))
    torch.testing.assert_close(found[0][0], found[1][0], rtol=1e-5, atol=1e-9)
    torch.testing.assert_close(found[0][1], found[1][1], rtol=1e-5, atol=1e-5)
