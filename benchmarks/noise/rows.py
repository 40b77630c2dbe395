"""Rows of a table: results averaged over the seeds."""

import statistics
from collections.abc import Iterable
from dataclasses import dataclass

from benchmarks.noise.results import Result

# With a smaller gap between plain and clean only, the share recovered is noise: runs differ by .01.
SMALL_GAP = 0.03


@dataclass(frozen=True)
class Row:
    """The results of a data set, loss and noise, by run."""

    data: str
    loss: str
    noise: str
    results: dict[str, list[Result]]

    def scores(self, run: str) -> list[float]:
        """Return the MAP@R of each seed of a run."""
        return [result.map_at_r for result in self.results.get(run, [])]

    def mean(self, run: str, figure: str = "map_at_r") -> float:
        """Return the mean of a figure over the seeds of a run, nan without such a run."""
        values = [getattr(result, figure) for result in self.results.get(run, [])]
        return statistics.fmean(values) if values else float("nan")

    def recovered(self, run: str) -> float:
        """Return (run − plain)/(clean only − plain), nan if the gap is small."""
        gap = self.mean("clean_only") - self.mean("plain")
        return (self.mean(run) - self.mean("plain")) / gap if gap >= SMALL_GAP else float("nan")


def rows_of(results: Iterable[Result]) -> list[Row]:
    """Group results into rows, in the order of their first runs."""
    rows: dict[tuple[str, str, str], Row] = {}
    for result in results:
        key = (result.data, result.loss, result.noise)
        row = rows.setdefault(key, Row(*key, {}))
        row.results.setdefault(result.run, []).append(result)
    return list(rows.values())
