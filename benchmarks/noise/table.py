"""Formats the rows as Markdown."""

import math
import statistics
from collections.abc import Sequence

from benchmarks import measuring
from benchmarks.noise.methods import METHODS
from benchmarks.noise.rows import Row


def table(rows: Sequence[Row], runs: Sequence[str]) -> str:
    """Make the table: MAP@R of each run, then the figures of our runs and what they recover."""
    # runs on clean labels have no wrong labels to find
    own = [run for run in runs if METHODS[run].is_ours and not METHODS[run].clean_only]
    head = ["data", "loss", "noise", *runs]
    for run in own:
        head += [f"{run}: recovered", "noise rate (seen)", "AUROC"]
    text = measuring.table(head, [_cells(row, runs, own) for row in rows])
    summaries = [_summary(run, rows) for run in own + ["prism"] * ("prism" in runs)]
    return text + "".join(f"\n{summary}\n" for summary in summaries if summary)


def _cells(row: Row, runs: Sequence[str], own: Sequence[str]) -> list[str]:
    cells = [row.data, row.loss, row.noise, *(_number(row.mean(run)) for run in runs)]
    for run in own:
        estimated, seen = row.mean(run, "noise_rate"), row.mean(run, "noise_rate_seen")
        cells += [
            _number(row.recovered(run), 2),
            f"{_number(estimated)} ({_number(seen)})",
            _number(row.mean(run, "trust_auroc")),
        ]
    return cells


def _number(value: float, digits: int = 3) -> str:
    return "" if math.isnan(value) else f"{value:.{digits}f}"


def _summary(run: str, rows: Sequence[Row]) -> str:
    shares = [(row.loss, of) for row in rows if not math.isnan(of := row.recovered(run))]
    if not shares:
        return ""
    all_of_them = [share for _, share in shares]
    by_loss = {loss: [share for of, share in shares if of == loss] for loss, _ in shares}
    losses = ", ".join(f"{loss} {statistics.fmean(of):.2f}" for loss, of in by_loss.items())
    return (
        f"{run} recovers {statistics.fmean(all_of_them):.2f} in the mean (median "
        f"{statistics.median(all_of_them):.2f}, worst {min(all_of_them):.2f} of {len(shares)} rows"
        + (f"; {losses})." if len(by_loss) > 1 else ").")
    )
