"""Formats the figures as Markdown."""

from typing import Any

from benchmarks.geometry.overhead.table import report as overhead_report
from benchmarks.geometry.ways import CLIP, C
from benchmarks.measuring import table

_SEARCHES = {
    "identical": "PoincareKNN",
    "identical_without_reranking": "rerank=0",
    "identical_custom": "CustomKNN",
}


def report(figures: dict[str, Any], command: str) -> str:
    """Make the page."""
    parts = (
        "# Hyperbolic geometry: cost and accuracy\n",
        f"Made by `{command}`; each part names the machine it was measured on.\n",
        _timings(**figures["timings"]),
        "![Time and accuracy](geometry.png)\n",
        _accuracy(**figures["accuracy"]),
        _neighbours(**figures["knn"]),
        overhead_report(figures["overhead"]["rows"], figures["overhead"]["machine"]),
    )
    return "\n".join(parts)


def _timings(rows: list[dict[str, Any]], machine: str) -> str:
    text = (
        "## Distance matrix: time and memory\n\n"
        "Forward and backward of the (N, N) matrix of (N, D) embeddings in float32, "
        f"c = {C}, clip radius {CLIP}. "
        "Ratios are medians over at least seven rounds in which all ways take turns; memory is "
        "the peak of forward and backward in N×N float32 matrices, the distances and the "
        'incoming gradient included. "classes" are tight classes of four, "collapsed" is a batch '
        "that has shrunk to a thousandth of its norm. Ways that are missing at a size broadcast "
        f"over N×N×D there, or are not installed. {machine}\n\n"
    )
    return text + table(
        ["N", "D", "embeddings", "", "forward ms", "both ms", "forward / LpDistance",
         "both / LpDistance", "both / ours", "memory"],
        [
            [str(r["n"]), str(r["d"]), r["kind"], r["way"], f"{r['forward_ms']:.2f}",
             f"{r['both_ms']:.2f}", f"{r['forward_ratio']:.2f}", f"{r['both_ratio']:.2f}",
             f"{r['ratio_to_ours']:.2f}", f"{r['memory']:.1f}"]
            for r in rows
        ],
    )  # fmt: skip


def _accuracy(rows: list[dict[str, Any]], machine: str) -> str:
    text = (
        "## Accuracy in float32\n\n"
        "Largest relative error against float64, of the distances / of the gradient in norm, "
        "D = 64. Radii are norms of tangent vectors in random directions "
        "(2.3 is just inside the clip radius); duplicates are pairs at that distance, at radii "
        f"from .1 to 2.25. {machine}\n\n"
    )
    ways = list(dict.fromkeys(r["way"] for r in rows))
    cells = {
        (r["c"], r["case"], r["way"]): f"{r['distance']:.0e} / {r['gradient']:.0e}" for r in rows
    }
    cases = dict.fromkeys((r["c"], r["case"]) for r in rows)
    return text + table(
        ["c", "", *ways],
        [[f"{c:g}", case, *(cells[c, case, way] for way in ways)] for c, case in cases],
    )


def _neighbours(rows: dict[str, Any], machine: str) -> str:
    times = (
        "## Nearest neighbours\n\n"
        f"{rows['n']:,} queries that are the references, D = {rows['d']}, k = {rows['k']}, all "
        f"clipped; medians over three rounds. CustomKNN is PML's brute force, in "
        "batches of 1,000 queries, with this distance and with the polar form under plain "
        "autograd; FaissKNN's Euclidean search is what PML does by default. "
        f"{machine}\n\n"
    ) + table(
        ["", "seconds", "times PoincareKNN"],
        [[r["way"], f"{r['seconds']:.2f}", f"{r['ratio_to_ours']:.2f}"] for r in rows["times"]],
    )
    text = (
        "Share of queries whose k neighbours are, in order, those of a float64 brute force; and "
        "share of those neighbours found by approximate indices (`index_init_fn`), HNSW with 32 "
        "links and efSearch 128, IVF with a cell for 200 points and an eighth of the cells "
        "probed.\n\n"
    )
    keys = [key for key in rows["agreement"][0] if key not in ("c", "data")]
    agreement = table(
        ["c", "data", *(_SEARCHES.get(key, key) for key in keys)],
        [[f"{r['c']:g}", r["data"], *(f"{r[key]:.4f}" for key in keys)] for r in rows["agreement"]],
    )
    return f"{times}\n{text}{agreement}"
