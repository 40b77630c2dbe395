"""Plots the figures."""

from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.colors import TABLEAU_COLORS
from matplotlib.figure import Figure

from benchmarks.geometry.ways import CURVATURES, OURS


def plot(figures: dict[str, Any], path: Path) -> None:
    """Plot the time relative to LpDistance, and the errors of near-duplicates."""
    figure = Figure(figsize=(11, 4.8), layout="constrained")
    left, right = figure.subplots(1, 2)
    times = [r for r in figures["timings"]["rows"] if r["kind"] == "random"]
    errors = [r for r in figures["accuracy"]["rows"] if r["case"].startswith("duplicates")]
    # the parts may have been measured at different times, with different packages installed
    ways = dict.fromkeys(r["way"] for r in (*times, *errors))
    colours = dict(zip(ways, TABLEAU_COLORS, strict=False))
    _plot_times(left, times, colours)
    _plot_errors(right, errors, colours)
    figure.legend(loc="outside lower center", fontsize=7, ncols=5, frameon=False)
    figure.savefig(path, dpi=110)


def _plot_times(axis: Axes, rows: list[dict[str, Any]], colours: dict[str, Any]) -> None:
    ways = list(colours)
    rows = sorted(rows, key=lambda r: ways.index(r["way"]))
    for y, row in enumerate(rows):
        ratio = row["both_ratio"]
        axis.barh(y, ratio, color=colours[row["way"]])
        # clear of the line at 1
        axis.text(max(ratio, 1) * 1.1, y, f"{ratio:.3g}", va="center", fontsize=8)
    labels = [f"{r['way']}, {r['n']}×{r['d']}" for r in rows]
    axis.set_yticks(range(len(rows)), labels, fontsize=8)
    axis.invert_yaxis()
    axis.set_xscale("log")
    axis.set_xlim(0.4, 4 * max(r["both_ratio"] for r in rows))
    axis.axvline(1, color="k", linewidth=0.8)
    axis.set_xlabel("forward and backward, times LpDistance")


def _plot_errors(axis: Axes, rows: list[dict[str, Any]], colours: dict[str, Any]) -> None:
    for way in dict.fromkeys(r["way"] for r in rows):
        for c, marker in zip(CURVATURES, ("o", "s", "^"), strict=True):
            mine = [r for r in rows if r["way"] == way and r["c"] == c]
            axis.plot(
                [float(r["case"].split()[-1]) for r in mine],
                [min(r["distance"], 10) for r in mine],
                marker=marker,
                markersize=5,
                color=colours[way],
                linewidth=2 if way == OURS else 1,
                label=f"{way}, c = {c:g}",
            )
    axis.set_xscale("log")
    axis.set_yscale("log")
    axis.set_xlabel("distance of near-duplicates")
    axis.set_ylabel("largest relative error of a distance in float32")
    axis.grid(alpha=0.3)
