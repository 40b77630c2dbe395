"""The picture of the method page draws what it says."""

import runpy

import matplotlib.pyplot as plt
import pytest
import torch

from pml_ahsml import PoincareDistance
from pml_ahsml.hyperbolic.maps import logmap0
from tests.docs.pages import ROOT


@pytest.fixture
def script():
    return runpy.run_path(str(ROOT / "docs" / "poincare_disk.py"))


def test_geodesic_is_the_shortest_path(script):
    start, end = script["polar"](2.3, 20), script["polar"](1.1, 130)
    path = logmap0(script["geodesic"](start, end), script["CURVATURE"])
    length = PoincareDistance(script["CURVATURE"]).pairwise_distance
    whole = length(start[None], end[None])
    # a path is the shortest if the lengths of its pieces add up to the distance of its ends
    assert length(path[:-1], path[1:]).sum() == pytest.approx(whole.item(), abs=1e-9)
    assert length(path[:1], start[None]) + length(path[-1:], end[None]) < 1e-9


def test_dotted_circles_lie_at_the_distances_written_there(script):
    axis = plt.figure().subplots()
    script["draw_disk"](axis)
    circles = [line.get_xydata() for line in axis.lines if line.get_linestyle() == ":"]
    plt.close("all")
    points = torch.stack([torch.tensor(circle[7]) for circle in circles])
    points = logmap0(points, script["CURVATURE"])
    centre = torch.zeros_like(points)
    distances = PoincareDistance(script["CURVATURE"]).pairwise_distance(centre, points)
    written = [float(text.get_text()) for text in axis.texts]
    assert distances.tolist() == pytest.approx(written)


def test_writes_the_picture(script, tmp_path):
    script["main"](tmp_path / "disk.png")
    assert (tmp_path / "disk.png").read_bytes().startswith(b"\x89PNG")
