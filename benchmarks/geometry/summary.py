"""The table at the top of the page: what a reader asks first, answered from the figures."""

from collections.abc import Iterable
from typing import Any

from benchmarks.geometry.ways import EUCLIDEAN, OURS
from benchmarks.measuring import table


def summary(figures: dict[str, Any]) -> str:
    """Make the table."""
    ours = [r for r in figures["timings"]["rows"] if r["way"] == OURS]
    random = [r["both_ratio"] for r in ours if r["kind"] == "random"]
    near = [r["both_ratio"] for r in ours if r["kind"] != "random"]
    errors = [r for r in figures["accuracy"]["rows"] if r["way"] == OURS]
    worst = max(max(r["distance"], r["gradient"]) for r in errors)
    searches = {r["way"]: r["seconds"] for r in figures["knn"]["rows"]["times"]}
    euclidean = searches["PoincareKNN"] / searches["FaissKNN, Euclidean"]
    identical = min(r["identical"] for r in figures["knn"]["rows"]["agreement"])
    steps = [r["ratio"] for r in figures["overhead"]["rows"]["steps"]]
    return table(
        ["question", "answer", "measured on"],
        [
            [f"a {OURS} in place of an {EUCLIDEAN}, forward and backward",
             f"{_span(random)} times the time", "random embeddings"],
            ["the same where many pairs lie near each other", f"{_span(near)} times the time",
             "tight classes, a collapsed batch"],
            ["its relative error in float32", f"at most {worst:.0e}",
             "distances and gradients, down to duplicates"],
            ["PoincareKNN in place of PML's Euclidean search", f"{euclidean:.1f} times the time",
             f"{figures['knn']['rows']['n']:,} rows"],
            ["queries with the neighbours of a float64 search", f"{100 * identical:.2f} %",
             "the worst row"],
            ["AdaptiveNoiseAwareLoss around a loss", f"{_span(steps)} times the step",
             "a two-layer network"],
        ],
    )  # fmt: skip


def _span(values: Iterable[float]) -> str:
    numbers = list(values)
    return f"{min(numbers):.1f} to {max(numbers):.1f}"
