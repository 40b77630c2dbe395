"""Plots the rows."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from benchmarks.noise.rows import Row

_COLOURS = {"plain": "tab:gray", "prism": "tab:blue", "clean_only": "k"}
_LEGEND_COLUMNS = 4


def plot(rows: Sequence[Row], runs: Sequence[str], path: Path) -> None:
    """Plot the mean MAP@R of the runs of each row, with the standard deviation over the seeds."""
    # the figure has room for two lines of the legend
    more_legend = max(0, (len(runs) - 1) // _LEGEND_COLUMNS - 1)
    size = (9, 1 + 0.3 * len(rows) + 0.25 * more_legend)
    figure = Figure(figsize=size, layout="constrained")
    axis = figure.subplots()
    others = [run for run in runs if run not in _COLOURS]
    colours = _COLOURS | {run: f"C{(3 + n) % 10}" for n, run in enumerate(others)}
    for run, offset in zip(runs, np.linspace(-0.25, 0.25, len(runs)), strict=True):
        made = [(y, row) for y, row in enumerate(rows) if row.scores(run)]
        axis.errorbar(
            [row.mean(run) for _, row in made],
            [y + offset for y, _ in made],
            xerr=[float(np.std(row.scores(run))) for _, row in made],
            fmt="o",
            markersize=4,
            color=colours[run],
            label=run.replace("_", " "),
        )
    axis.set_yticks(range(len(rows)), [f"{r.data}, {r.loss}, {r.noise}" for r in rows], fontsize=8)
    axis.invert_yaxis()
    axis.grid(axis="y", alpha=0.3)
    axis.set_xlabel("MAP@R on clean test labels")
    figure.legend(loc="outside lower center", ncols=_LEGEND_COLUMNS, frameon=False)
    figure.savefig(path, dpi=110)
