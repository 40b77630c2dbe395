"""Formats the figures as Markdown."""

from typing import Any

from benchmarks.geometry.overhead.table import report as overhead_report
from benchmarks.geometry.summary import summary
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
        summary(figures),
        f"`{command}` makes this page. Each part names its machine.\n",
        _timings(**figures["timings"]),
        _accuracy(**figures["accuracy"]),
        _neighbours(**figures["knn"]),
        overhead_report(figures["overhead"]["rows"], figures["overhead"]["machine"]),
    )
    return "\n".join(parts)


def _timings(rows: list[dict[str, Any]], machine: str) -> str:
    text = (
        "## Distance matrix: time and memory\n\n"
        f"The (N, N) matrix of (N, D) embeddings in float32, c = {C}, clip radius {CLIP}, forward "
        "and backward:\n\n"
    )
    figures = table(
        ["N", "D", "embeddings", "", "forward ms", "both ms", "forward / LpDistance",
         "both / LpDistance", "both / ours", "memory"],
        [
            [str(r["n"]), str(r["d"]), r["kind"], r["way"], f"{r['forward_ms']:.2f}",
             f"{r['both_ms']:.2f}", f"{r['forward_ratio']:.2f}", f"{r['both_ratio']:.2f}",
             f"{r['ratio_to_ours']:.2f}", f"{r['memory']:.1f}"]
            for r in rows
        ],
    )  # fmt: skip
    notes = (
        "\n![Time and accuracy](geometry.png)\n\n"
        "- *Plain autograd* is our formula without its own backward. The ways of geoopt and hypll, "
        "and Möbius addition, broadcast over N×N×D. They are missing where that takes too much "
        "memory, or where the package was not installed.\n"
        "- *classes*: tight classes of four. *collapsed*: a batch that has shrunk to a thousandth "
        "of its norm.\n"
        "- Ratios are medians over at least seven rounds, in which all ways take turns.\n"
        "- *Memory* is the peak of forward and backward, in N×N float32 matrices. It includes the "
        "distances and the incoming gradient.\n"
        f"- {machine}\n"
    )
    return text + figures + notes


def _accuracy(rows: list[dict[str, Any]], machine: str) -> str:
    text = (
        "## Accuracy in float32\n\n"
        "Largest relative error against float64, of the distances / of the gradient in norm:\n\n"
    )
    ways = list(dict.fromkeys(r["way"] for r in rows))
    cells = {
        (r["c"], r["case"], r["way"]): f"{r['distance']:.0e} / {r['gradient']:.0e}" for r in rows
    }
    cases = dict.fromkeys((r["c"], r["case"]) for r in rows)
    figures = table(
        ["c", "", *ways],
        [[f"{c:g}", case, *(cells[c, case, way] for way in ways)] for c, case in cases],
    )
    notes = (
        "\n- *radius*: tangent vectors of that norm in random directions, D = 64. 2.3 is just "
        "inside the clip radius.\n"
        "- *duplicates*: pairs at that distance, at radii from .1 to 2.25.\n"
        f"- {machine}\n"
    )
    return text + figures + notes


def _neighbours(rows: dict[str, Any], machine: str) -> str:
    times = (
        "## Nearest neighbours\n\n"
        f"{rows['n']:,} queries among themselves, D = {rows['d']}, k = {rows['k']}, "
        "all clipped:\n\n"
    ) + table(
        ["", "seconds", "times PoincareKNN"],
        [[r["way"], f"{r['seconds']:.2f}", f"{r['ratio_to_ours']:.2f}"] for r in rows["times"]],
    )
    notes = (
        "\n- CustomKNN is PML's brute force, in batches of 1,000 queries: with this distance, and "
        "with the polar form under plain autograd.\n"
        "- FaissKNN's Euclidean search is PML's default.\n"
        "- Seconds are medians over three rounds.\n"
        f"- {machine}\n\n"
    )
    text = (
        "How many queries get the k neighbours of a float64 brute force, in order; and how many of "
        "these neighbours an approximate index (`index_init_fn`) finds:\n\n"
    )
    keys = [key for key in rows["agreement"][0] if key not in ("c", "data")]
    agreement = table(
        ["c", "data", *(_SEARCHES.get(key, key) for key in keys)],
        [[f"{r['c']:g}", r["data"], *(f"{r[key]:.4f}" for key in keys)] for r in rows["agreement"]],
    )
    indices = (
        "\nHNSW has 32 links and efSearch 128. IVF has a cell for 200 points and probes an eighth "
        "of the cells.\n"
    )
    return times + notes + text + agreement + indices
