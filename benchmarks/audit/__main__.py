"""How well an audit finds wrong labels, told nothing, on frozen features.

- *audit*: ``audit_labels(features, labels)``, average precision of trust.
- *classifier*: the probability of the given label by a logistic regression, out of sample (five
  random folds): cleanlab's default score. *File order*: folds that are stretches of the file.
- *10 neighbours*: the share of the ten nearest samples that have the same label.

Labels that somebody really gave, chance noise and none. Takes some ten minutes on two cores, writes
audit.csv.

Run: python -m benchmarks.audit --data DIR
"""

import argparse
import functools
import multiprocessing
import os
from pathlib import Path

from benchmarks.audit.rows import ROWS, row
from benchmarks.audit.table import found_table, rates_table
from benchmarks.command_line import new_parser
from benchmarks.csv_rows import write_rows


def main(arguments: argparse.Namespace) -> None:
    """Print the tables, and write the rows."""
    cells = [cell for cell in ROWS if arguments.datasets is None or cell[0] in arguments.datasets]
    one_row = functools.partial(row, data_dir=arguments.data)
    # processes instead of threads: each row has one core
    with multiprocessing.get_context("spawn").Pool(arguments.processes) as pool:
        rows = pool.map(one_row, cells, chunksize=1)
    write_rows(arguments.output / "audit.csv", rows)
    print(found_table(rows))
    print(rates_table(rows))


def parser() -> argparse.ArgumentParser:
    """The command line."""
    parser = new_parser("benchmarks.audit", __doc__)
    parser.add_argument("--output", type=Path, default=Path("benchmark_results"))
    parser.add_argument("--datasets", nargs="*", choices=sorted({name for name, _ in ROWS}))
    parser.add_argument("--processes", type=int, default=os.cpu_count())
    return parser


if __name__ == "__main__":
    main(parser().parse_args())
