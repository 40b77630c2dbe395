"""Measures time and memory of the distance matrix."""

import statistics
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from benchmarks.geometry.baselines import Matrix
from benchmarks.geometry.ways import BROADCASTING, EUCLIDEAN, OURS, contestants, inputs
from benchmarks.measuring import now, peak_bytes

Size = tuple[int, int, str]  # N, D and the kind of embeddings
Times = list[tuple[float, float]]  # seconds of forward, and of forward and backward, per round


def timings(
    sizes: Sequence[Size], rounds: int, device: torch.device, broadcast_below: int
) -> list[dict[str, Any]]:
    """Measure median times, and ratios to LpDistance within a round."""
    rows = []
    for n, d, kind in sizes:
        ways = _ways_for((n, d, kind), broadcast_below)
        e = inputs(n, d, kind, device)
        times = take_turns(ways, e, rounds)
        for name, way in ways.items():
            row = {"n": n, "d": d, "kind": kind, "way": name, **_medians(times, name)}
            rows.append(row | {"memory": peak_memory(way, e, n)})
            print(
                f"{n}×{d} {kind:9} {name:17} forward {rows[-1]['forward_ms']:9.2f} ms, both "
                f"{rows[-1]['both_ms']:9.2f} ms = {rows[-1]['both_ratio']:7.2f} × LpDistance, "
                f"memory {rows[-1]['memory']:.1f} matrices",
                flush=True,
            )
    return rows


def _ways_for(size: Size, broadcast_below: int) -> dict[str, Matrix]:
    n, d, kind = size
    ways = contestants()
    if kind != "random":
        return {name: ways[name] for name in (EUCLIDEAN, OURS)}
    if n * n * d > broadcast_below:
        return {name: way for name, way in ways.items() if name not in BROADCASTING}
    return ways


def take_turns(ways: Mapping[str, Matrix], embeddings: Tensor, rounds: int) -> dict[str, Times]:
    """Measure the seconds of each way in each round."""
    incoming = torch.rand(len(embeddings), len(embeddings), device=embeddings.device)
    for way in ways.values():
        step(way, embeddings, incoming)  # warm-up
    times: dict[str, Times] = {name: [] for name in ways}
    for _ in range(rounds):
        for name, way in ways.items():
            times[name].append(step(way, embeddings, incoming))
    return times


def _medians(times: Mapping[str, Times], name: str) -> dict[str, float]:
    """Compute medians of times and of ratios within a round, which a busy machine changes least."""
    own, euclidean, ours = times[name], times[EUCLIDEAN], times[OURS]

    def ratio(others: Times, part: int) -> float:
        return statistics.median(a[part] / b[part] for a, b in zip(own, others, strict=True))

    return {
        "forward_ms": 1e3 * statistics.median(t[0] for t in own),
        "both_ms": 1e3 * statistics.median(t[1] for t in own),
        "forward_ratio": ratio(euclidean, 0),
        "both_ratio": ratio(euclidean, 1),
        "ratio_to_ours": ratio(ours, 1),
    }


def step(matrix: Matrix, embeddings: Tensor, incoming: Tensor) -> tuple[float, float]:
    """Measure the seconds of one forward pass, and of forward and backward."""
    embeddings = embeddings.requires_grad_()
    embeddings.grad = None
    started = now(embeddings.device)
    distances = matrix(embeddings)
    forward = now(embeddings.device)
    distances.backward(incoming)
    return forward - started, now(embeddings.device) - started


def peak_memory(matrix: Matrix, embeddings: Tensor, n: int) -> float:
    """Measure the peak memory of forward and backward, in units of one N×N float32 matrix.

    The distances and their incoming gradient are included.
    """

    def both() -> None:
        embeddings.grad = None
        distances = matrix(embeddings)
        distances.backward(torch.ones_like(distances))

    both()
    embeddings.grad = None
    return peak_bytes(both, embeddings.device) / (4 * n * n)
