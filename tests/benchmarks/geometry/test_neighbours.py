import pytest
import torch

from benchmarks.geometry.neighbours import KINDS, agreements, brute_force, points
from pml_ahsml import PoincareDistance


@pytest.mark.parametrize("kind", KINDS)
def test_neighbours_are_those_of_the_distance(kind):
    e = points(kind, 200, 8)
    expected = PoincareDistance(1.0)(e.double()).fill_diagonal_(torch.inf).topk(5, largest=False)
    assert torch.equal(brute_force(e, 5, 1.0), expected.indices)
    shares = agreements(e, 5, 1.0)
    assert shares["identical"] == 1
    assert all(0 < share <= 1 for share in shares.values())
    assert [name for name in shares if name.startswith("recall of ")] == [
        f"recall of {index}, {metric}" for index in ("HNSW", "IVF") for metric in ("L2", "products")
    ]


def test_clusters_are_tight():
    e = points("clusters, σ = 0.002", 400, 8)
    in_cluster = (e - e[torch.arange(400) % 4]).norm(dim=1)
    assert in_cluster.max() < 0.002 * 2 * 8**0.5 * 2
    assert torch.pdist(e[:4]).min() > 0.1
