import pytest
import torch

from pml_ahsml.hyperbolic import hyperboloid, maps
from tests import reference
from tests.near_origin import SCALES, D, euclidean, near_origin
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


@pytest.mark.parametrize(("c", "norm"), SCALES)
def test_distances_near_the_origin_keep_their_digits(c, norm):
    u, v = near_origin(10, norm), near_origin(20, norm)
    x, y = (hyperboloid.hyperboloid_lift(rows, c) for rows in (u, v))
    expected = euclidean(u, v).float()
    found = hyperboloid.hyperboloid_distance(x, y, c)
    torch.testing.assert_close(found, expected, rtol=2e-5, atol=0)
    # with a leading dimension, and from float32, which has all digits of the space coordinates
    found = hyperboloid.hyperboloid_distance(x[:, None].float(), y.float(), c).squeeze(1)
    torch.testing.assert_close(found, expected, rtol=2e-5, atol=0)


def test_distances_of_points_far_out_are_what_they_were():
    x = hyperboloid.hyperboloid_lift(torch.randn(10, D, dtype=torch.float64), 0.1)
    near = hyperboloid.hyperboloid_lift(near_origin(5, 1e-4), 0.1)
    alone = hyperboloid.hyperboloid_distance(x, x, 0.1)
    together = hyperboloid.hyperboloid_distance(torch.cat([x, near]), torch.cat([x, near]), 0.1)
    others = ~torch.eye(10, dtype=torch.bool)
    torch.testing.assert_close(together[:10, :10][others], alone[others], rtol=1e-6, atol=0)
    to_origin = 2 * x[:, 0].acosh().div(2 * 0.1**0.5)
    torch.testing.assert_close(
        together[:10, 10:].double(), to_origin[:, None].expand(10, 5), rtol=1e-3, atol=0
    )


def test_one_less_cosh_keeps_its_digits():
    radius = torch.tensor([0.0, 1e-9, 1e-3, 1.0, 9.0], dtype=torch.float64)
    expected = -2 * (radius / 2).sinh().square()
    points = torch.stack([radius.cosh(), radius.sinh()], 1)
    torch.testing.assert_close(hyperboloid.one_less_cosh(points), expected, rtol=1e-12, atol=0)


@pytest.mark.parametrize("norm", [1.0, 1e-3])
def test_products_with_factors_fall_with_the_distance_by_cosh(norm):
    x, y = (
        hyperboloid.hyperboloid_lift(norm * torch.randn(n, D, dtype=torch.float64), 0.1)
        for n in (5, 9)
    )
    excess = (0.1**0.5 * hyperboloid.hyperboloid_distance(x, y, 0.1).double()).cosh() - 1
    found = -hyperboloid.one_less_cosh(x)[:, None] - x @ hyperboloid.factors_of(y).T
    torch.testing.assert_close(found, excess, rtol=1e-5, atol=0)


def test_a_first_factor_of_minus_infinity_makes_a_point_infinitely_far():
    x = hyperboloid.hyperboloid_lift(torch.randn(4, D, dtype=torch.float64), 0.1)
    factors = hyperboloid.factors_of(x)
    factors[1] = torch.tensor([-torch.inf] + [0.0] * D)
    found = hyperboloid.distance_to_factors(x, hyperboloid.one_less_cosh(x), factors, 0.1)
    assert (found[:, 1] == torch.inf).all()
    expected = hyperboloid.hyperboloid_distance(x, x, 0.1)
    torch.testing.assert_close(found[:, [0, 2, 3]], expected[:, [0, 2, 3]])
