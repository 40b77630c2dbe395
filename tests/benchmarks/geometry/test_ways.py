import pytest
import torch

from benchmarks.geometry.baselines import PlainDistance
from benchmarks.geometry.ways import CLIP, COSINE, CURVATURES, EUCLIDEAN, OURS, contestants, inputs


@pytest.mark.parametrize("c", CURVATURES)
def test_all_ways_to_the_matrix_agree(c):
    e = inputs(12, 6, "random", torch.device("cpu")).double()
    ways = contestants(c)
    expected = ways[OURS](e)
    for name, way in ways.items():
        if name not in (EUCLIDEAN, COSINE):
            torch.testing.assert_close(way(e), expected, rtol=1e-5, atol=1e-6, msg=name)
    plain = PlainDistance(c, CLIP)
    torch.testing.assert_close(plain(e, e[:5]), expected[:, :5], rtol=1e-8, atol=1e-8)
