import numpy as np
import pytest
import torch
from matplotlib import pyplot as plt

from pml_ahsml import PoincareDistance
from pml_ahsml.visualization.disk_axes import draw_disk, on_disk


@pytest.mark.parametrize("curvature", [0.1, 2.0])
def test_points_lie_in_the_disk_where_geoopt_maps_them(curvature):
    import geoopt

    tangent = torch.randn(20, 2, dtype=torch.float64)
    tangent[0] = 0
    # geoopt's ball of curvature −c has the radius 1/√c
    ball = geoopt.PoincareBall(c=curvature).expmap0(tangent) * curvature**0.5
    found = on_disk(tangent.numpy(), PoincareDistance(curvature))
    np.testing.assert_allclose(found, ball.numpy(), rtol=1e-6, atol=1e-12)


@pytest.mark.parametrize("curvature", [0.1, 2.0])
def test_rings_stand_at_the_distance_that_they_name(curvature):
    distance = PoincareDistance(curvature, clip_radius=1.5)
    ax = plt.figure().add_subplot()
    draw_disk(ax, distance, has_band=True)
    *rings, rim = ax.patches
    lengths = [float(text.get_text()) for text in ax.texts]
    assert len(lengths) == len(rings) >= 3
    # the point of the disk at radius h has the tangent vector artanh(h)/√c
    named = [*lengths, 2 * distance.clip_radius]
    for ring, length in zip([*rings, rim], named, strict=True):
        tangent = np.arctanh(ring.get_radius()) / curvature**0.5
        pair = torch.tensor([[0.0, 0.0], [tangent, 0.0]], dtype=torch.float64)
        assert float(distance(pair)[0, 1]) == pytest.approx(length, rel=1e-6)
    assert ax.get_xlim()[1] == pytest.approx(1.12 * rim.get_radius())
    bare = plt.figure().add_subplot()
    draw_disk(bare, distance, has_band=False)
    assert bare.get_xlim()[1] == pytest.approx(1.03 * rim.get_radius())
