"""Which rows of which file a table shows."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.noise.losses import MAIN_LOSSES
from benchmarks.noise.results import read_results
from benchmarks.noise.rows import Row, rows_of

DOCS = Path(__file__).parents[3] / "docs"


@dataclass(frozen=True)
class Selection:
    """Rows of a CSV file, in the order in which they are named here.

    Args:
        file: its name in ``docs``, without the ending.
        cells: data sets and noises, these as kind:rate or given:NAME.
        losses: by the names of the benchmark.
        seeds: None for all that the file has.
    """

    file: str
    cells: Sequence[tuple[str, str]]
    losses: Sequence[str] = MAIN_LOSSES
    seeds: Sequence[int] | None = None

    def rows(self) -> list[Row]:
        """The rows; one that the file does not hold is an error."""
        results = read_results(DOCS / f"{self.file}.csv")
        chosen = (one for one in results if self.seeds is None or one.seed in self.seeds)
        rows = {(row.data, row.noise, row.loss): row for row in rows_of(chosen)}
        wanted = [(*cell, loss) for cell in self.cells for loss in self.losses]
        for key in wanted:
            if key not in rows:
                raise ValueError(f"{self.file}.csv must hold runs of {' '.join(key)}")
        return [rows[key] for key in wanted]
