"""HierarchicalSimilarityMiner beside PML's miners and no miner, with three losses.

The protocol is that of ``benchmarks.noise``: the same seeds, steps and networks for every miner.
Writes two tables into docs/miners.md: what comes out, and how many pairs each miner selects in the
course of a training. Runs that stand in the CSV files are not made again, so an interrupted command
goes on where it stopped; delete the files after a change to a miner.

Run: python -m benchmarks.miners --data DIR
"""

import argparse
import csv
import functools
import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from benchmarks import measuring
from benchmarks.command_line import new_parser
from benchmarks.noise.__main__ import make_missing
from benchmarks.noise.labels import NO_NOISE
from benchmarks.noise.methods import MINERS
from benchmarks.noise.mined import Mined
from benchmarks.noise.protocol import train, trained
from benchmarks.noise.results import Job, read_results
from benchmarks.noise.rows import Row, rows_of
from benchmarks.noise.suites import SUITES, Choice, jobs_of

RUNS = ("plain", *MINERS)
TITLES = {
    "plain": "no miner",
    "multi_similarity_miner": "MultiSimilarityMiner",
    "easy_hard_miner": "BatchEasyHardMiner",
    "fixed_margin_miner": "ours, gamma=0.5",
    "hierarchical_miner": "ours",
}
# Whose pairs are counted: one training each, by the first seed.
COUNTED = [("hwu", "MultiSimilarity", noise) for noise in (NO_NOISE, "symmetric:0.5")]
# Batches before the pairs are counted; of a training of 690.
STEPS = (0, 10, 50, 345, 689)


class Count(NamedTuple):
    """How many pairs a miner selects per anchor in one batch of a training."""

    data: str
    loss: str
    noise: str
    run: str
    step: int
    positives: float
    negatives: float


def main(arguments: argparse.Namespace) -> None:
    """Make the runs that are missing, then the tables."""
    docs = arguments.page.parent
    wanted = jobs_of(SUITES["miners"], Choice(arguments.datasets, seeds=arguments.seeds))
    one_run = functools.partial(train, data_dir=arguments.data)
    make_missing(wanted, docs / "miners.csv", one_run, arguments.processes)
    count_missing(docs / "miners_pairs.csv", arguments.data)
    write_tables(arguments.page)


def count_missing(path: Path, data_dir: Path) -> None:
    """Count the pairs of the trainings that the file does not hold."""
    made = {count[:4] for count in read_counts(path)}
    for (data, loss, noise), run in ((row, run) for row in COUNTED for run in MINERS):
        if (data, loss, noise, run) in made:
            continue
        mined = trained(Job(data, loss, noise, 0, run), data_dir).loss
        assert isinstance(mined, Mined)
        new = not path.exists()
        with path.open("a", newline="") as file:
            writer = csv.writer(file)
            if new:
                writer.writerow(Count._fields)
            writer.writerows(Count(data, loss, noise, run, n, *mined.mined[n]) for n in STEPS)


def read_counts(path: Path) -> list[Count]:
    """The counts that have been made."""
    if not path.exists():
        return []
    with path.open(newline="") as file:
        rows = list(csv.reader(file))[1:]
    return [Count(*row[:4], int(row[4]), float(row[5]), float(row[6])) for row in rows]


def results_table(rows: Sequence[Row]) -> str:
    """MAP@R and, in brackets, precision at 1: means over the seeds that all runs have."""
    head = ["data", "loss", "noise", "seeds", *(TITLES[run] for run in RUNS)]
    cells = []
    for row in rows:
        shared = set.intersection(
            *({result.seed for result in row.results.get(run, [])} for run in RUNS)
        )
        if not shared:
            continue
        kept = {
            run: [result for result in results if result.seed in shared]
            for run, results in row.results.items()
        }
        complete = Row(row.data, row.loss, row.noise, kept)
        scores = [
            f"{complete.mean(run):.3f} ({complete.mean(run, 'precision_at_1'):.3f})" for run in RUNS
        ]
        cells.append([row.data, row.loss, row.noise, str(len(shared)), *scores])
    return measuring.table(head, cells)


def counts_table(counts: Iterable[Count]) -> str:
    """Positives and negatives per anchor, one row for each miner."""
    by_row: dict[tuple[str, str], dict[int, Count]] = {}
    for count in counts:
        by_row.setdefault((count.noise, count.run), {})[count.step] = count
    head = ["noise", "miner", *(f"batch {step + 1}" for step in STEPS)]
    cells = [
        [noise, TITLES[run], *(f"{of[n].positives:.2f}, {of[n].negatives:.1f}" for n in STEPS)]
        for (noise, run), of in by_row.items()
    ]
    return measuring.table(head, cells)


def write_tables(page: Path) -> None:
    """Put the tables of the CSV files beside the page in the place of those that it has."""
    results = rows_of(read_results(page.parent / "miners.csv"))
    tables = {
        "results": results_table(results),
        "pairs": counts_table(read_counts(page.parent / "miners_pairs.csv")),
    }
    text = page.read_text(encoding="utf-8")
    for name, table in tables.items():
        before, _, rest = text.partition(f"<!-- miners: {name} -->\n")
        _, end, after = rest.partition("<!-- end of table -->\n")
        text = f"{before}<!-- miners: {name} -->\n\n{table}\n{end}{after}"
    page.write_text(text, encoding="utf-8")


def parser() -> argparse.ArgumentParser:
    """The command line."""
    parser = new_parser("benchmarks.miners", __doc__)
    parser.add_argument("--page", type=Path, default=Path("docs/miners.md"))
    parser.add_argument("--datasets", nargs="*", choices=("hwu", "clinc"), help="only these")
    parser.add_argument("--seeds", nargs="*", type=int, help="these seeds instead of 0, 1, 2")
    parser.add_argument("--processes", type=int, default=os.cpu_count())
    return parser


if __name__ == "__main__":
    main(parser().parse_args())
