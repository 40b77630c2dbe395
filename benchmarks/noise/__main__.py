"""Trains with wrong labels in four ways: plain, PRISM (told the rate), ours, clean labels only.

Every row (data set, loss, noise) has four runs with the same seeds and number of steps. *Recovered*
= (ours − plain)/(clean only − plain) of the mean MAP@R, shown if that gap is at least .03. Runs in
the CSV file are not repeated, so an interrupted suite continues where it stopped. Delete the file
after a change to the method.

Run: python -m benchmarks.noise --suite quick
     python -m benchmarks.noise --suite full --data DIR
     python -m benchmarks.noise --suite losses --data DIR
     python -m benchmarks.noise --suite long_tailed --data DIR
     python -m benchmarks.noise --suite measurements --data DIR
     python -m benchmarks.noise --suite words --data DIR
     python -m benchmarks.noise --suite real --data DIR
"""

import argparse
import functools
import multiprocessing
import os
import platform
from collections.abc import Callable, Sequence
from pathlib import Path

from benchmarks.command_line import new_parser
from benchmarks.measuring import versions
from benchmarks.noise.data import NAMES
from benchmarks.noise.losses import LOSSES
from benchmarks.noise.methods import METHODS
from benchmarks.noise.plot import plot
from benchmarks.noise.protocol import train
from benchmarks.noise.results import Job, Result, append_result, read_results
from benchmarks.noise.rows import rows_of
from benchmarks.noise.suites import SUITES, Choice, jobs_of
from benchmarks.noise.table import table
from pml_ahsml.checks import check_count

_CHOICES = ("datasets", "losses", "noise", "seeds", "runs")


def main(arguments: argparse.Namespace) -> None:
    """Make the missing runs, then the table and the plot."""
    check_count("longer", arguments.longer, minimum=1)
    suite = SUITES[arguments.suite]
    wanted = jobs_of(suite, Choice(**{name: getattr(arguments, name) for name in _CHOICES}))
    arguments.output.mkdir(parents=True, exist_ok=True)
    name = stem(arguments)
    path = arguments.output / f"{name}.csv"
    one_run = functools.partial(train, data_dir=arguments.data, longer=arguments.longer)
    make_missing(wanted, path, one_run, arguments.processes)
    by_job = {result.job: result for result in read_results(path)}
    rows, runs = rows_of(by_job[job] for job in wanted), arguments.runs or suite.runs
    markdown = table(rows, runs)
    head = f"Made by `{command(arguments)}`. {machine()}\n\n"
    (arguments.output / f"{name}.md").write_text(head + markdown)
    plot(rows, runs, arguments.output / f"{name}.png")
    print(markdown)


def make_missing(
    wanted: Sequence[Job], path: Path, one_run: Callable[[Job], Result], processes: int
) -> None:
    """Make the runs that are not in the file, and append them.

    Args:
        wanted: the runs.
        path: the file.
        one_run: makes a run; processes must be able to import it.
        processes: that make runs at the same time.
    """
    made = {result.job for result in read_results(path)}
    missing = [job for job in wanted if job not in made]
    print(f"{len(missing)} runs to make, {len(made)} made before", flush=True)
    if not missing:
        return
    # processes instead of threads: torch's random numbers are global
    with multiprocessing.get_context("spawn").Pool(processes) as pool:
        for n, result in enumerate(pool.imap(one_run, missing), 1):
            append_result(path, result)
            print(
                f"[{n}/{len(missing)}] {result.data} {result.loss} {result.noise} "
                f"seed {result.seed} {result.run}: MAP@R {result.map_at_r:.3f} in "
                f"{result.seconds:.0f} s",
                flush=True,
            )


def machine() -> str:
    """Describe the machine and the packages that the figures come from."""
    packages = versions("torch", "pytorch-metric-learning", "numpy", "pml_ahsml")
    return f"{packages}; {os.cpu_count()} cores, {platform.machine()}, no GPU, one thread a run."


def command(arguments: argparse.Namespace) -> str:
    """Return the command that chose these rows, without its paths."""
    words = ["python -m benchmarks.noise --suite", arguments.suite]
    for name in _CHOICES:
        values = getattr(arguments, name)
        words += [f"--{name}", *map(str, values)] if values else []
    words += ["--longer", str(arguments.longer)] if arguments.longer > 1 else []
    return " ".join(words)


def stem(arguments: argparse.Namespace) -> str:
    """Return the name of the result files; longer trainings have files of their own."""
    times = f"_{arguments.longer}_times" if arguments.longer > 1 else ""
    return f"noise_{arguments.suite}{times}"


def parser() -> argparse.ArgumentParser:
    """Make the parser of the command line."""
    parser = new_parser("benchmarks.noise", __doc__)
    parser.add_argument("--suite", choices=SUITES, default="quick")
    parser.add_argument("--output", type=Path, default=Path("benchmark_results"))
    parser.add_argument("--datasets", nargs="*", choices=NAMES, help="only these data sets")
    parser.add_argument("--losses", nargs="*", choices=LOSSES, help="only these losses")
    parser.add_argument("--noise", nargs="*", help="only these, as kind:rate")
    parser.add_argument("--seeds", nargs="*", type=int, help="these seeds instead of the suite's")
    parser.add_argument("--runs", nargs="*", choices=METHODS, help="these instead")
    parser.add_argument(
        "--longer",
        type=int,
        default=1,
        help="multiply the epochs by this; the results go to separate files",
    )
    parser.add_argument("--processes", type=int, default=os.cpu_count())
    return parser


if __name__ == "__main__":
    main(parser().parse_args())
