"""Fine-tunes EfficientNet-lite0 on the photos of CIFAR-10N, with the labels that people gave.

Four runs for each kind of labels, with the same seed and number of steps: plain, PRISM (told the
rate), ours with sample ids, right labels only. A run that is cut off goes on from its last
checkpoint, finished runs are not repeated. At the end the command measures and prints what the
wrapper adds to a step. For the page, copy end_to_end*.csv to docs and run benchmarks.noise.pages.

Needs the extra benchmarks. Run: python -m benchmarks.end_to_end --data DIR
"""

import argparse
import itertools
from pathlib import Path

import torch

from benchmarks.command_line import new_parser
from benchmarks.csv_rows import read_rows, write_rows
from benchmarks.end_to_end.cost import Cost, cost_table, measure
from benchmarks.end_to_end.curve import write_curve
from benchmarks.end_to_end.data import NAME, STEPS, photos
from benchmarks.end_to_end.table import LABELS, LOSS, RUNS, end_to_end_table
from benchmarks.end_to_end.training import train
from benchmarks.noise.data import Benchmark
from benchmarks.noise.results import Job, append_result, read_results
from benchmarks.noise.rows import rows_of
from pml_ahsml.checks import check_count


def jobs() -> list[Job]:
    """List the runs; those with the same labels come together."""
    return [Job(NAME, LOSS, f"given:{who}", 0, run) for who, run in itertools.product(LABELS, RUNS)]


def main(arguments: argparse.Namespace) -> None:
    """Make what is missing, then the table."""
    longer = check_count("longer", arguments.longer, minimum=1)
    torch.set_num_threads(1)
    arguments.output.mkdir(parents=True, exist_ok=True)
    data = photos(arguments.data)
    name = stem(longer)
    make_missing(jobs(), data, longer * STEPS, arguments.output, name)
    path = arguments.output / "end_to_end_cost.csv"
    if not path.exists():
        write_rows(path, [measure(Job(NAME, LOSS, "given:worst", 0, "ours_ids"), data)])
    print(end_to_end_table(rows_of(read_results(arguments.output / f"{name}.csv"))))
    print(cost_table(*read_rows(path, Cost)))


def stem(longer: int) -> str:
    """Return the name of the result files; longer trainings have files of their own."""
    return f"end_to_end_{longer}_times" if longer > 1 else "end_to_end"


def make_missing(wanted: list[Job], data: Benchmark, steps: int, output: Path, name: str) -> None:
    """Make the runs that are not in the file, and append them."""
    path = output / f"{name}.csv"
    made = {result.job for result in read_results(path)}
    for job in wanted:
        if job in made:
            continue
        checkpoint = output / f"{name}_{job.noise.replace(':', '_')}_{job.run}.pt"
        result, curve = train(job, data, steps, checkpoint)
        if curve:
            write_curve(output / f"{name}_curve.csv", curve)
        append_result(path, result)
        checkpoint.unlink(missing_ok=True)
        print(
            f"{job.noise} {job.run}: MAP@R {result.map_at_r:.3f}, precision@1 "
            f"{result.precision_at_1:.3f} in {result.seconds:.0f} s",
            flush=True,
        )


def parser() -> argparse.ArgumentParser:
    """Make the parser of the command line."""
    parser = new_parser("benchmarks.end_to_end", __doc__)
    parser.add_argument("--output", type=Path, default=Path("benchmark_results"))
    parser.add_argument(
        "--longer",
        type=int,
        default=1,
        help="multiply the steps by this; the results go to separate files",
    )
    return parser


if __name__ == "__main__":
    main(parser().parse_args())
