"""The forms that tables of the result pages have."""

import math
import statistics
from collections.abc import Callable, Sequence

from benchmarks import measuring
from benchmarks.noise.methods import METHODS
from benchmarks.noise.pages.selection import Selection
from benchmarks.noise.pages.wording import RUNS, data_name, figure, loss_name, noise_name
from benchmarks.noise.rows import Row


def rows_table(select: Selection, runs: Sequence[str], rate_of: str = "ours") -> str:
    """MAP@R of each run, a line for each row; the best one that trains on wrong labels is bold.

    Args:
        select: the rows.
        runs: the columns.
        rate_of: the run whose noise rate is shown.
    """
    head = ["data, labels", "loss", "wrong, found", *(RUNS[run] for run in runs)]
    return measuring.table(head, [_cells(row, runs, rate_of) for row in select.rows()])


def _cells(row: Row, runs: Sequence[str], rate_of: str) -> list[str]:
    rates = (row.mean(rate_of, "noise_rate_seen"), row.mean(rate_of, "noise_rate"))
    return [
        f"{data_name(row.data)}, {noise_name(row.noise)}",
        loss_name(row.loss),
        ", ".join(figure(rate, 2) for rate in rates),
        *scores(row, runs),
    ]


def scores(row: Row, runs: Sequence[str], of: str = "map_at_r") -> list[str]:
    """A figure of each run, by default MAP@R; the best that trains on wrong labels is bold."""
    cells = {run: figure(row.mean(run, of)) for run in runs}
    honest = [cell for run, cell in cells.items() if not METHODS[run].clean_only and cell]
    best = max(honest) if len(honest) > 1 else None
    return [
        f"**{cell}**" if cell == best and not METHODS[run].clean_only else cell
        for run, cell in cells.items()
    ]


def by_loss_table(select: Selection, runs: Sequence[str]) -> str:
    """What is recovered: mean of each loss, then mean, median and worst of all rows."""
    rows = [row for row in select.rows() if not math.isnan(row.recovered("plain"))]
    lines = []
    names = list(dict.fromkeys(row.loss for row in rows))
    for loss in names if len(names) > 1 else []:
        lines.append(
            _line(f"{loss_name(loss)}Loss, mean", [r for r in rows if r.loss == loss], runs)
        )
    lines.append(_line("all, mean", rows, runs))
    lines.append(_line("all, median", rows, runs, statistics.median))
    lines.append(_line("worst row", rows, runs, min))
    return measuring.table(["recovered", "rows", *(RUNS[run] for run in runs)], lines)


def _line(
    name: str,
    rows: Sequence[Row],
    runs: Sequence[str],
    of: Callable[[Sequence[float]], float] = statistics.fmean,
) -> list[str]:
    shares = [[row.recovered(run) for row in rows] for run in runs]
    return [name, str(len(rows)), *(figure(of(share), 2) for share in shares)]


def parts_table(columns: Sequence[tuple[str, Selection]], runs: Sequence[str]) -> str:
    """MAP@R of each run, a line for each, in the mean of the rows of a column."""
    lines = []
    for run in runs:
        means = [statistics.fmean(row.mean(run) for row in select.rows()) for _, select in columns]
        lines.append([f"`{run}`", *map(figure, means)])
    return measuring.table(["run", *(name for name, _ in columns)], lines)


def losses_table(select: Selection) -> str:
    """MAP@R of each loss plain and wrapped, what is recovered, and what the wrapper found."""
    runs = ("plain", "ours", "clean_only")
    head = ["loss", *(RUNS[run] for run in runs), "recovered", "wrong, found", "AUROC of trust"]
    lines = []
    for row in select.rows():
        rates = (row.mean("ours", "noise_rate_seen"), row.mean("ours", "noise_rate"))
        lines.append(
            [
                loss_name(row.loss),
                *scores(row, runs),
                figure(row.recovered("ours"), 2),
                ", ".join(figure(rate, 2) for rate in rates),
                figure(row.mean("ours", "trust_auroc")),
            ]
        )
    return measuring.table(head, lines)
