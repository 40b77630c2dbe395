"""One prepared run of at most eight minutes for a machine with a GPU.

Tests of the distance, the wrapper and the k-NN on the GPU; the distance matrix beside torch.cdist
and cosines; training steps of a ResNet-50 and a ViT-S (timm, random weights) with a loss alone and
wrapped; kernels and synchronisations by the profiler; nearest neighbours. Each section has its
share of the time and a process of its own: one that fails or takes too long is reported, and the
others are measured. The figures are written to gpu.json, the tables to gpu.md.

Run: python -m benchmarks.gpu [--output DIR] [--seconds N]
Without a GPU, to try the command: python -m benchmarks.gpu --device cpu --quick
"""

import argparse
import json
import os
import sys
import time
from pathlib import Path
from typing import Any

import torch

from benchmarks.command_line import new_parser
from benchmarks.gpu.budget import Deadline
from benchmarks.gpu.cases import measure
from benchmarks.gpu.checks import ROOT
from benchmarks.gpu.children import run_section
from benchmarks.gpu.sections import SECTIONS
from benchmarks.gpu.sizes import QUICK, Sizes
from benchmarks.gpu.table import report
from benchmarks.measuring import versions

_NAME = "benchmarks.gpu"
_PACKAGES = ("torch", "pytorch-metric-learning", "timm", "faiss-cpu", "faiss-gpu-cu12")
_EIGHT_MINUTES = 480
# kept back for the start of this process and for writing the tables
_KEPT = 15


def main(arguments: argparse.Namespace) -> dict[str, Any]:
    """Measure all sections within the time, then write figures and tables."""
    started = time.time()
    output = arguments.output.resolve()
    output.mkdir(parents=True, exist_ok=True)
    options = ["--device", arguments.device] + ["--quick"] * arguments.quick
    figures: dict[str, Any] = {
        "command": " ".join([f"python -m {_NAME}", *options]),
        "machine": machine(torch.device(arguments.device)),
        "sections": {},
    }
    for number, name in enumerate(arguments.sections):
        left = arguments.sections[number:]
        rows = output / f"gpu_{name}.jsonl"
        command = [sys.executable, "-m", _NAME, name, *options, f"--rows={rows}", "--until"]
        share = SECTIONS[name].share / sum(SECTIONS[each].share for each in left)
        seconds = share * (started + arguments.seconds - _KEPT - time.time())
        print(f"{name}: at most {seconds:.0f} s", flush=True)
        section = run_section(command, rows, seconds, ROOT)
        for row in section["rows"]:
            print(f"  {row}", flush=True)
        print(f"  {section['seconds']} s; {section['problem'] or 'complete'}", flush=True)
        figures["sections"][name] = section
        figures["seconds"] = time.time() - started
        # written after each section: what has been measured is not lost
        (output / "gpu.json").write_text(json.dumps(figures, indent=1) + "\n")
        (output / "gpu.md").write_text(report(figures))
    return figures


def write_rows(name: str, arguments: argparse.Namespace) -> None:
    """Measure one section and append its rows to a file, one JSON object per line."""
    torch.manual_seed(0)
    sizes = QUICK if arguments.quick else Sizes()
    cases = SECTIONS[name].cases(sizes, torch.device(arguments.device))
    with arguments.rows.open("a") as file:
        for row in measure(cases, Deadline(arguments.until)):
            file.write(json.dumps(row) + "\n")
            file.flush()


def machine(device: torch.device) -> dict[str, Any]:
    """Describe the machine and the packages that the figures come from."""
    is_gpu = device.type == "cuda"
    return {
        "is_gpu": is_gpu,
        "card": torch.cuda.get_device_name(device) if is_gpu else "no GPU",
        "cuda": torch.version.cuda or "none",
        "cores": os.cpu_count(),
        "packages": versions(*_PACKAGES),
    }


def parser() -> argparse.ArgumentParser:
    """Make the parser of the command line."""
    parser = new_parser(_NAME, __doc__, has_data=False)
    parser.add_argument(
        "sections", nargs="*", metavar="section", default=list(SECTIONS),
        help=f"measure these only: {', '.join(SECTIONS)}",
    )  # fmt: skip
    parser.add_argument("--output", type=Path, default=Path("benchmark_results"))
    parser.add_argument("--device", default="cuda", choices=("cuda", "cpu"))
    parser.add_argument("--quick", action="store_true", help="tiny sizes, to try the command")
    parser.add_argument("--seconds", type=float, default=_EIGHT_MINUTES, help="for all together")
    # for the process of a section
    parser.add_argument("--rows", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--until", type=float, help=argparse.SUPPRESS)
    return parser


def checked(arguments: argparse.Namespace) -> argparse.Namespace:
    """Raise unless the arguments can be measured."""
    for name in arguments.sections:
        if name not in SECTIONS:
            raise ValueError(f"section must be one of {', '.join(SECTIONS)}, got {name!r}")
    if arguments.device == "cuda" and not torch.cuda.is_available():
        raise ValueError("device must be cpu where torch sees no GPU, got 'cuda'")
    return arguments


if __name__ == "__main__":
    made = parser()
    try:
        chosen = checked(made.parse_args())
    except ValueError as error:
        made.error(str(error))
    if chosen.rows:
        write_rows(chosen.sections[0], chosen)
    else:
        main(chosen)
