"""Swap the distance of a loss for LorentzSimilarity and change nothing else.

clean: MultiSimilarity, SupCon, NTXent and Triplet with PML's default arguments on three data sets;
small: the same in 2, 4, 8 and 16 dimensions, on HWU; noisy: inside an AdaptiveNoiseAwareLoss, on
wrong labels. Protocol, data and networks are those of benchmarks.noise. Neighbours are those of the
distance of training; "its cosine" looks for the neighbours of the same embeddings by cosine. Runs
that stand in the CSV file are not made again; delete the file after a change to the distance.

Run: python -m benchmarks.hyperbolic --data DIR [--suite clean|small|noisy]
"""

import argparse
import functools
import multiprocessing
import os
from pathlib import Path

from benchmarks.command_line import new_parser
from benchmarks.hyperbolic.results import append_results, read_results
from benchmarks.hyperbolic.suites import DATASETS, SEEDS, SIZES, SUITES, jobs_of
from benchmarks.hyperbolic.table import report
from benchmarks.hyperbolic.training import train
from benchmarks.hyperbolic.ways import LOSSES


def main(arguments: argparse.Namespace) -> None:
    """Make the runs that are missing, then the tables."""
    path = arguments.output / "hyperbolic.csv"
    wanted = [
        job
        for suite in arguments.suite or SUITES
        for job in jobs_of(suite, arguments.seeds)
        if job.data in arguments.datasets
        if job.loss in arguments.losses
        if job.size in arguments.sizes or job.size not in SIZES
    ]
    made = {result.job for result in read_results(path)}
    missing = [job for job in wanted if job not in made]
    print(f"{len(missing)} runs to make, {len(made)} made before", flush=True)
    arguments.output.mkdir(parents=True, exist_ok=True)
    one_run = functools.partial(train, data_dir=arguments.data)
    # processes instead of threads: torch's random numbers are global
    with multiprocessing.get_context("spawn").Pool(arguments.processes) as pool:
        for n, result in enumerate(pool.imap(one_run, missing), 1):
            append_results(path, [result])
            print(
                f"[{n}/{len(missing)}] {result.job}: MAP@R {result.map_at_r:.3f}, precision@1 "
                f"{result.precision_at_1:.3f} in {result.seconds:.0f} s",
                flush=True,
            )
    markdown = report(read_results(path))
    (arguments.output / "hyperbolic_tables.md").write_text(markdown)
    print(markdown)


def parser() -> argparse.ArgumentParser:
    """The command line."""
    parser = new_parser("benchmarks.hyperbolic", __doc__)
    parser.add_argument("--suite", nargs="*", choices=SUITES, help="all by default")
    parser.add_argument("--output", type=Path, default=Path("benchmark_results"))
    parser.add_argument("--datasets", nargs="*", choices=DATASETS, default=DATASETS)
    parser.add_argument("--losses", nargs="*", choices=LOSSES, default=tuple(LOSSES))
    parser.add_argument("--sizes", nargs="*", type=int, choices=SIZES, default=SIZES)
    parser.add_argument("--seeds", nargs="*", type=int, default=SEEDS)
    parser.add_argument("--processes", type=int, default=os.cpu_count())
    return parser


if __name__ == "__main__":
    main(parser().parse_args())
