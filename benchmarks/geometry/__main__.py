"""What hyperbolic geometry costs compared with Euclidean, and what the wrapper costs.

Measures time, memory, accuracy and nearest neighbours. All ways to compute a distance matrix take
turns in one process; a ratio is the median over the rounds of the ratio within a round. Ways that
broadcast over N×M×D run at small sizes only. hypll takes part if it is installed (pip install
hypll, in a separate virtual environment). The figures are written as JSON, and docs/geometry.md and
docs/geometry.png are made from them.

Run: python -m benchmarks.geometry [--fast] [--output DIR]
"""

import argparse
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from benchmarks.command_line import new_parser
from benchmarks.geometry import approximate
from benchmarks.geometry.accuracy import accuracy
from benchmarks.geometry.neighbours import nearest_neighbours
from benchmarks.geometry.overhead.figures import overhead
from benchmarks.geometry.overhead.sizes import FAST, Sizes
from benchmarks.geometry.plot import plot
from benchmarks.geometry.table import report
from benchmarks.geometry.timings import timings
from benchmarks.measuring import versions

_SIZES = [
    (512, 128, "random"), (512, 512, "random"), (1024, 512, "random"), (2048, 512, "random"),
    (1024, 512, "classes"), (1024, 512, "collapsed"),
]  # fmt: skip
_FAST_SIZES = [(32, 8, "random"), (32, 8, "collapsed")]
# Elements of an N×N×D array. This many take half a gigabyte in float32; backward holds several.
_BROADCAST_BELOW = 512**3
# Times jump on a shared machine, and so would the median of fewer rounds.
_FEWEST_ROUNDS = 7


def measure_timings(device: torch.device, rounds: int, fast: bool) -> list[dict[str, Any]]:
    """Measure time and memory of the distance matrix."""
    return timings(_FAST_SIZES if fast else _SIZES, 1 if fast else rounds, device, _BROADCAST_BELOW)


def measure_accuracy(device: torch.device, rounds: int, fast: bool) -> list[dict[str, Any]]:
    """Measure errors, on the CPU and without rounds."""
    return accuracy(8 if fast else 128, 64)


def measure_neighbours(device: torch.device, rounds: int, fast: bool) -> dict[str, Any]:
    """Measure searches, on the CPU, in three rounds because each takes long."""
    n, d = (200, 8) if fast else (20_000, 128)
    return nearest_neighbours(n, d, 10, 1 if fast else 3)


def measure_overhead(device: torch.device, rounds: int, fast: bool) -> dict[str, Any]:
    """Measure what the wrapper costs."""
    return overhead(FAST if fast else Sizes(rounds=rounds), device)


PARTS: dict[str, Callable[[torch.device, int, bool], Any]] = {
    "timings": measure_timings,
    "accuracy": measure_accuracy,
    "knn": measure_neighbours,
    "overhead": measure_overhead,
}


def main(arguments: argparse.Namespace) -> dict[str, Any]:
    """Measure, then write figures, table and plot."""
    torch.manual_seed(0)
    device = torch.device(arguments.device)
    if arguments.threads:
        torch.set_num_threads(arguments.threads)
        approximate.set_threads(arguments.threads)
    kept = arguments.output / "geometry.json"
    figures: dict[str, Any] = json.loads(kept.read_text()) if kept.exists() else {}
    missing = [part for part in PARTS if part not in figures]
    rounds = max(_FEWEST_ROUNDS, arguments.rounds)
    for part in dict.fromkeys((*arguments.parts, *missing)):
        print(f"{part}: {machine(device)}", flush=True)
        rows = PARTS[part](device, rounds, arguments.fast)
        figures[part] = {"machine": machine(device), "rows": rows}
    arguments.output.mkdir(parents=True, exist_ok=True)
    command = "python -m benchmarks.geometry" + (" --fast" if arguments.fast else "")
    kept.write_text(json.dumps(figures, indent=1))
    (arguments.output / "geometry.md").write_text(report(figures, command))
    plot(figures, arguments.output / "geometry.png")
    return figures


def machine(device: torch.device) -> str:
    """Describe the machine and the packages that the figures come from."""
    packages = versions("torch", "pytorch-metric-learning", "geoopt", "faiss-cpu", "hypll")
    where = f"{os.cpu_count()} cores, {torch.get_num_threads()} threads"
    if device.type == "cuda":
        where = torch.cuda.get_device_name(device)
    return f"{packages}; {where}."


def parser() -> argparse.ArgumentParser:
    """Make the parser of the command line."""
    parser = new_parser("benchmarks.geometry", __doc__, has_data=False)
    parser.add_argument("--output", type=Path, default=Path("docs"))
    parser.add_argument("--fast", action="store_true", help="tiny sizes, to try the command")
    parser.add_argument(
        "--parts", nargs="*", choices=tuple(PARTS), default=tuple(PARTS),
        help="measure these and keep the others from the output folder; none only draws again",
    )  # fmt: skip
    parser.add_argument("--threads", type=int, help="torch's choice by default")
    parser.add_argument("--rounds", type=int, default=9, help="at least 7")
    parser.add_argument("--device", default="cpu", help="for the distance matrices and the wrapper")
    return parser


if __name__ == "__main__":
    main(parser().parse_args())
