"""Measures the float32 errors of the ways to compute a distance matrix."""

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import normalize

from benchmarks.geometry.baselines import Matrix
from benchmarks.geometry.ways import CLIP, COSINE, CURVATURES, EUCLIDEAN, contestants
from pml_ahsml.hyperbolic import maps, near_pairs

# The largest is just inside the clip radius, where the gradient is defined.
_RADII = (0.1, 0.5, 1.0, 2.0, CLIP * (1 - 1e-6))
_GAPS = (1e-4, 1e-3, 1e-2, 1e-1)


def accuracy(rows: int, d: int) -> list[dict[str, Any]]:
    """Measure the largest relative errors of distances and gradients in float32.

    The cases are points in random directions at several radii, and pairs of near-duplicates at
    several distances. The reference is float64.
    """
    generator = torch.Generator().manual_seed(0)
    directions = normalize(torch.randn(rows, d, generator=generator))
    results = []
    for c in CURVATURES:
        ways = contestants(c)
        for name in (EUCLIDEAN, COSINE):
            del ways[name]
        made: list[dict[str, Any]] = [
            {"c": c, "case": case, "way": name} | errors(way, e, c, pairs)
            for case, e, pairs in _cases(directions, c, generator)
            for name, way in ways.items()
        ]
        for name in ways:
            mine = [r for r in made if r["way"] == name]
            print(
                f"c = {c:4} {name:17} largest error of a distance "
                f"{max(r['distance'] for r in mine):.0e}, of a gradient "
                f"{max(r['gradient'] for r in mine):.0e}",
                flush=True,
            )
        results += made
    return results


def _cases(
    directions: Tensor, c: float, generator: torch.Generator
) -> Iterator[tuple[str, Tensor, Tensor]]:
    """Yield the name of each case, its embeddings, and the pairs to compare."""
    every = ~torch.eye(len(directions), dtype=torch.bool)
    for radius in _RADII:
        yield f"radius {radius:.3g}", directions * radius, every
    half = directions[::2]
    half = normalize(half) * torch.linspace(0.1, 2.25, len(half)).unsqueeze(1)
    for gap in _GAPS:
        e = torch.stack([half, moved(half, gap, c, generator)], 1).flatten(0, 1)
        pairs = torch.zeros(len(e), len(e), dtype=torch.bool)
        pairs[torch.arange(0, len(e), 2), torch.arange(1, len(e), 2)] = True
        yield f"duplicates at {gap:g}", e, pairs


def moved(e: Tensor, gap: float, c: float, generator: torch.Generator) -> Tensor:
    """Move rows by about the geodesic distance ``gap``, in random directions."""
    e64 = e.double()
    direction = normalize(torch.randn(e.shape, generator=generator)).double()
    speed = near_pairs.pairwise_distance(e64, e64 + 1e-7 * direction, c)[:, None] / 1e-7
    return (e64 + gap * direction / speed).float()


def errors(way: Matrix, e: Tensor, c: float, pairs: Tensor) -> dict[str, float]:
    """Measure the largest relative error of some pairs' distances, and of the gradient in norm."""
    i, j = pairs.nonzero().unbind(1)
    e = e.requires_grad_()
    actual = way(e)[i, j]
    (gradient,) = torch.autograd.grad(actual.sum(), e)
    e64 = e.detach().double().requires_grad_()
    u = maps.clip_norm(e64, CLIP)
    exact = near_pairs.pairwise_distance(u[i], u[j], c)
    (wanted,) = torch.autograd.grad(exact.sum(), e64)
    norm = wanted.norm(dim=1).clamp_min(1e-3 * float(wanted.norm(dim=1).max()))
    used = torch.cat([i, j]).unique()
    return {
        "distance": _worst((actual.detach().double() - exact.detach()) / exact.detach()),
        "gradient": _worst(((gradient.double() - wanted).norm(dim=1) / norm)[used]),
    }


def _worst(error: Tensor) -> float:
    """Return the largest absolute value, inf for a nan."""
    return float(error.abs().nan_to_num(torch.inf).max())
