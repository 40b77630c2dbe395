import pytest
import torch

from pml_ahsml.hyperbolic import hyperboloid, maps
from tests import reference
from tests.tangent_vectors import CURVATURES, tangent


@pytest.mark.parametrize("max_norm", [float("inf"), 2.3])
def test_maps_have_correct_gradients_down_to_the_origin(max_norm, request):
    u = torch.cat([tangent(3, 3, 1.5), 1e-3 * tangent(2, 3), torch.zeros(1, 3).double()])
    u.requires_grad_()
    # with which a nan on the way back, even one that is masked later, is an error
    torch.autograd.set_detect_anomaly(True)
    request.addfinalizer(lambda: torch.autograd.set_detect_anomaly(False))
    assert torch.autograd.gradcheck(lambda t: maps.expmap0(t, 1.0), u)
    x = maps.expmap0(u.detach(), 1.0).requires_grad_()
    assert torch.autograd.gradcheck(lambda t: maps.logmap0(t, 1.0, max_norm), x)
    assert torch.autograd.gradcheck(lambda t: hyperboloid.hyperboloid_lift(t, 1.0), u)


def test_unlift_inverts_lift_at_every_scale():
    u = torch.cat([tangent(5), torch.zeros(1, 5, dtype=torch.float64)])
    x = hyperboloid.hyperboloid_lift(u, 0.1)
    minkowski = x[:, 1:].square().sum(1) - x[:, 0] ** 2
    torch.testing.assert_close(minkowski, -torch.ones_like(minkowski))
    torch.testing.assert_close(hyperboloid.hyperboloid_unlift(3.7 * x, 0.1), u)


@pytest.mark.parametrize("c", CURVATURES)
def test_unlifted_mean_is_the_einstein_midpoint(c):
    u = tangent(9)
    mean = hyperboloid.hyperboloid_lift(u, c).mean(0, keepdim=True)
    midpoint = hyperboloid.hyperboloid_unlift(mean, c)[0]
    expected = torch.tensor(reference.einstein_midpoint(u, c), dtype=torch.float64)
    torch.testing.assert_close(midpoint, expected, rtol=1e-8, atol=1e-10)
