import pytest
import torch

from benchmarks.geometry.accuracy import errors, moved
from benchmarks.geometry.ways import inputs
from pml_ahsml import PoincareDistance


def test_an_inaccurate_way_has_large_errors():
    e = inputs(6, 4, "random", torch.device("cpu"))
    pairs = ~torch.eye(6, dtype=torch.bool)
    exact = errors(PoincareDistance(), e, 0.1, pairs)
    off = errors(lambda x: 1.01 * PoincareDistance()(x), e, 0.1, pairs)
    assert max(exact.values()) < 1e-5
    assert off["distance"] == pytest.approx(0.01, rel=1e-3)
    assert off["gradient"] == pytest.approx(0.01, rel=1e-3)


def test_near_duplicates_lie_at_their_distance(generator):
    e = torch.randn(20, 4, generator=generator)
    distance = PoincareDistance(0.1, 10).pairwise_distance(e, moved(e, 1e-2, 0.1, generator))
    assert distance.tolist() == pytest.approx([1e-2] * 20, rel=0.02)
