"""Measures searches for nearest neighbours: on the CPU, by torch on the device, by faiss on it."""

import importlib.util
import statistics
from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from pytorch_metric_learning.utils.inference import CustomKNN
from torch import Tensor

from benchmarks.geometry.neighbours import CLIPPED, Search, points
from benchmarks.geometry.ways import CLIP, C
from benchmarks.gpu.budget import Deadline, take_turns
from benchmarks.gpu.cases import PROBLEM, Case, Row
from benchmarks.gpu.sizes import Sizes
from benchmarks.measuring import now
from pml_ahsml import PoincareDistance, PoincareKNN
from pml_ahsml.hyperbolic import geodesic, maps

OURS = "PoincareKNN, on the CPU"
_BY_TORCH = "CustomKNN, by torch on the device"
_BY_FAISS = "PoincareKNN, faiss index on the GPU"
_BATCH = 1000
_COMPARED = 1000  # queries that are also answered in float64
_BLOCK = 256


def cases(sizes: Sizes, device: torch.device) -> list[Case]:
    """Make a case for each size of the reference, which is the query as well."""
    return [
        Case({"n": n, "d": d}, partial(_compare, n, d, sizes, device)) for n, d in sizes.references
    ]


@torch.no_grad()
def _compare(n: int, d: int, sizes: Sizes, device: torch.device, deadline: Deadline) -> list[Row]:
    embeddings = points(CLIPPED, n, d).to(device)
    distance = PoincareDistance(C, CLIP)
    ways: dict[str, Search] = {
        OURS: PoincareKNN(distance),
        _BY_TORCH: CustomKNN(distance, batch_size=_BATCH),
    }
    missing = why_no_faiss(device)
    if missing is None:
        ways[_BY_FAISS] = PoincareKNN(distance, index_init_fn=indices_on_gpu())
    times = take_turns(
        {name: partial(_seconds, way, embeddings, sizes.k) for name, way in ways.items()},
        sizes.rounds,
        deadline,
    )
    exact = exact_neighbours(embeddings, sizes.k)
    rows: list[Row] = [
        {
            "way": name,
            "rounds": len(seconds),
            "seconds": statistics.median(seconds),
            "ratio": statistics.median(a / b for a, b in zip(seconds, times[OURS], strict=True)),
            "identical": _identical(ways[name], embeddings, sizes.k, exact),
        }
        for name, seconds in times.items()
    ]
    return rows if missing is None else [*rows, {"way": _BY_FAISS, PROBLEM: missing}]


def why_no_faiss(device: torch.device) -> str | None:
    """Return why faiss cannot search on the device; None if it can."""
    if importlib.util.find_spec("faiss") is None:
        return "faiss is not installed"
    import faiss

    if not hasattr(faiss, "StandardGpuResources"):
        return "this faiss has no part for GPUs (faiss-cpu)"
    return None if device.type == "cuda" else f"the device is {device.type}"


def indices_on_gpu() -> Callable[[int], Any]:
    """Make a factory of empty inner product indices on the first GPU, with one scratch memory."""
    import faiss

    resources = faiss.StandardGpuResources()
    return lambda columns: faiss.index_cpu_to_gpu(resources, 0, faiss.IndexFlatIP(columns))


def exact_neighbours(embeddings: Tensor, k: int) -> Tensor:
    """Find the neighbours of the first queries in float64, on the device."""
    u = maps.clip_norm(embeddings.double(), CLIP)
    found = []
    for rows in torch.arange(min(len(u), _COMPARED), device=u.device).split(_BLOCK):
        distances = geodesic.distance_matrix(u[rows], u, C)
        distances[torch.arange(len(rows), device=u.device), rows] = torch.inf
        found.append(distances.topk(k, largest=False).indices)
    return torch.cat(found)


def _identical(way: Search, embeddings: Tensor, k: int, exact: Tensor) -> float:
    """Compute the share of the first queries with exactly these neighbours in this order."""
    found = way(embeddings[: len(exact)], k, embeddings, True)[1]
    return float((found.to(exact.device) == exact).all(1).double().mean())


def _seconds(way: Search, embeddings: Tensor, k: int) -> float:
    started = now(embeddings.device)
    way(embeddings, k, embeddings, True)
    return now(embeddings.device) - started
