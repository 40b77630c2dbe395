"""Compares four scores that find wrong labels, on real label errors.

- *classifier*: the out-of-sample probability of the given label by a logistic regression on the
  features (five folds). It is cleanlab's default score
  (``get_label_quality_scores(labels, probabilities)``, method "self_confidence").
- *neighbours*: the share of the ten nearest samples, by cosine, that have the same label.
- *trust*: ``loss.trust(…)`` after a training of the noise benchmark with sample ids and
  MultiSimilarityLoss.
- *audit*: ``loss.audit(…).trust`` after the same training.

The tables give average precision and AUROC of finding the wrong labels, with one seed, and how
often the classifier predicts the given and the true label out of sample. It takes about five
minutes on two cores, and writes detection.csv.

Run: python -m benchmarks.noise.detection --data DIR
"""

import argparse
import functools
import multiprocessing
import os
from pathlib import Path

from benchmarks.command_line import new_parser
from benchmarks.csv_rows import write_rows
from benchmarks.noise.data import NAMES
from benchmarks.noise.detection.rows import row
from benchmarks.noise.pages.detection import auroc_table, found_table, predicted_table
from benchmarks.noise.suites import GIVEN_LABELS


def main(arguments: argparse.Namespace) -> None:
    """Print the tables, and write the rows."""
    wanted = [
        (data, f"given:{who}")
        for data, who in GIVEN_LABELS
        if arguments.datasets is None or data in arguments.datasets
    ]
    one_row = functools.partial(row, data_dir=arguments.data)
    with multiprocessing.get_context("spawn").Pool(arguments.processes) as pool:
        rows = pool.map(one_row, wanted, chunksize=1)
    write_rows(arguments.output / "detection.csv", rows)
    print(*(table(rows) for table in (found_table, auroc_table, predicted_table)), sep="\n")


def parser() -> argparse.ArgumentParser:
    """Make the parser of the command line."""
    parser = new_parser("benchmarks.noise.detection", __doc__)
    parser.add_argument("--output", type=Path, default=Path("benchmark_results"))
    parser.add_argument("--datasets", nargs="*", choices=NAMES, help="only these data sets")
    parser.add_argument("--processes", type=int, default=os.cpu_count())
    return parser


if __name__ == "__main__":
    main(parser().parse_args())
