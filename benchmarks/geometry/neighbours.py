"""Measures how long a search for nearest neighbours takes, and whether it finds the right ones."""

import statistics
import time
from collections.abc import Callable
from typing import Any

import torch
from pytorch_metric_learning.utils.inference import CustomKNN, FaissKNN
from torch import Tensor

from benchmarks.geometry.approximate import HAS_FAISS, recalls
from benchmarks.geometry.baselines import PlainDistance
from benchmarks.geometry.ways import CLIP, C
from pml_ahsml import PoincareDistance, PoincareKNN
from pml_ahsml.hyperbolic import geodesic, maps

# (queries, k, references, whether they are the same) -> (distances, indices), like PML's k-NN
Search = Callable[[Tensor, int, Tensor, bool], tuple[Tensor, Tensor]]

CLIPPED, ALL_RADII = "all clipped", "radius U(0, 2.3)"
# name: spread of the 100 points of a cluster; None without clusters
KINDS = {CLIPPED: None, ALL_RADII: None, "clusters, σ = 0.02": 0.02, "clusters, σ = 0.002": 0.002}


def nearest_neighbours(n: int, d: int, k: int, rounds: int) -> dict[str, Any]:
    """Measure time of all queries against all references, agreement with float64, and recall."""
    times = search_times(points(CLIPPED, n, d), k, rounds)
    agreement = []
    for c in (0.1, 1.0):
        for kind in KINDS:
            agreement.append({"c": c, "data": kind, **agreements(points(kind, n, d), k, c)})
            print(agreement[-1], flush=True)
    return {"n": n, "d": d, "k": k, "times": times, "agreement": agreement}


def points(kind: str, n: int, d: int) -> Tensor:
    """Make the points of one of ``KINDS``."""
    generator = torch.Generator().manual_seed(0)
    noise = torch.randn(n, d, generator=generator)
    directions = torch.nn.functional.normalize(torch.randn(n, d, generator=generator))
    radii = torch.rand(n, 1, generator=generator) * CLIP
    if kind == CLIPPED:
        return 3 * noise
    spread = KINDS[kind]
    if spread is None:
        return directions * radii
    clusters = max(1, n // 100)
    return (directions * radii)[torch.arange(n) % clusters] + spread * noise


@torch.no_grad()
def search_times(e: Tensor, k: int, rounds: int) -> list[dict[str, Any]]:
    """Measure the median seconds of each way, and ratios to PoincareKNN within a round."""
    distance = PoincareDistance(C, CLIP)
    ways: dict[str, Search] = {
        "PoincareKNN": PoincareKNN(distance),
        "CustomKNN(PoincareDistance)": CustomKNN(distance, batch_size=1000),
        "CustomKNN(plain autograd)": CustomKNN(PlainDistance(C, CLIP), batch_size=1000),
    }
    if HAS_FAISS:
        ways["FaissKNN, Euclidean"] = FaissKNN()
    taken: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(rounds):
        for name, way in ways.items():
            started = time.perf_counter()
            way(e, k, e, True)
            taken[name].append(time.perf_counter() - started)
            print(f"k-NN {len(e)}×{len(e)} {name}: {taken[name][-1]:.2f} s", flush=True)
    own = taken["PoincareKNN"]
    return [
        {
            "way": name,
            "seconds": statistics.median(seconds),
            "ratio_to_ours": statistics.median(a / b for a, b in zip(seconds, own, strict=True)),
        }
        for name, seconds in taken.items()
    ]


@torch.no_grad()
def agreements(e: Tensor, k: int, c: float) -> dict[str, float]:
    """Compute the share of queries with exactly the right neighbours, and approximate recalls."""
    exact = brute_force(e, k, c)
    searches: dict[str, Search] = {
        "identical": PoincareKNN(PoincareDistance(c, CLIP)),
        "identical_without_reranking": PoincareKNN(PoincareDistance(c, CLIP), rerank=0),
        "identical_custom": CustomKNN(PoincareDistance(c, CLIP), batch_size=1000),
    }
    shares = {
        name: float((search(e, k, e, True)[1] == exact).all(1).double().mean())
        for name, search in searches.items()
    }
    return shares | recalls(e, k, PoincareDistance(c, CLIP), exact)


def brute_force(e: Tensor, k: int, c: float) -> Tensor:
    """Find the neighbours of each row in float64, without the row itself."""
    u = maps.clip_norm(e.double(), CLIP)
    found = []
    for start in range(0, len(u), 256):
        d = geodesic.distance_matrix(u[start : start + 256], u, c)
        d[torch.arange(len(d)), torch.arange(start, start + len(d))] = torch.inf
        found.append(d.topk(k, largest=False).indices)
    return torch.cat(found)
