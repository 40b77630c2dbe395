import torch

from pml_ahsml.hyperbolic import maps


def test_clip_norm_shortens_long_rows_only():
    e = torch.tensor([[3.0, 4.0], [0.3, 0.4], [0.0, 0.0]], dtype=torch.float64, requires_grad=True)
    u = maps.clip_norm(e, 2.5)
    torch.testing.assert_close(u[0], torch.tensor([1.5, 2.0], dtype=torch.float64))
    assert torch.equal(u[1:], e[1:])
    (gradient,) = torch.autograd.grad((u * e.detach()).sum(), e)
    torch.testing.assert_close(gradient[0] @ e[0], torch.tensor(0.0, dtype=torch.float64))
    assert gradient.isfinite().all()
    assert torch.autograd.gradcheck(lambda x: maps.clip_norm(x, 2.5), e[:2])


def test_logmap0_takes_the_rim_and_beyond_as_the_longest_vector():
    directions = torch.nn.functional.normalize(torch.randn(4, 3))
    points = (directions * torch.tensor([[0.5], [0.999999], [1.0], [3.0]])).requires_grad_()
    u = maps.logmap0(points, 1.0, max_norm=2.3)
    torch.testing.assert_close(u[1:], 2.3 * directions[1:])
    assert u[0].norm() < 2.3
    (gradient,) = torch.autograd.grad(u.sum(), points)
    assert gradient.isfinite().all()
