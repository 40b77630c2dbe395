"""The command ``python -m pml_ahsml audit``: from two files to a page."""

import sys
import warnings
from argparse import ArgumentParser, Namespace, RawDescriptionHelpFormatter
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from ..checks import check_count
from .audit_labels import audit_labels
from .cleaning import POLICIES
from .files import cleaned_to_csv
from .input_files import find_images, read_embeddings, read_labels, read_lines
from .label_audit import LabelAudit
from .names import one_line
from .progress_bar import ProgressBar
from .report import findings

_EXAMPLES = """
examples:
  python -m pml_ahsml audit embeddings.npy labels.csv --html audit.html
  python -m pml_ahsml audit embeddings.npy labels.npy --names files.txt --images photos \\
      --html audit.html --csv suspects.csv
  python -m pml_ahsml audit embeddings.npy labels.csv --verdicts verdicts.csv \\
      --cleaned cleaned.csv

exit codes: 0 done, 2 wrong input
"""

_NEXT = """Open it in a browser, tick samples and download the ticks. The same command with
--verdicts verdicts.csv --cleaned cleaned.csv then writes mended labels."""


def main(
    argv: Sequence[str] | None = None, *, audit: Callable[..., LabelAudit] = audit_labels
) -> int:
    """Run the command.

    Args:
        argv: its arguments; those of the process by default.
        audit: what finds the wrong labels; :func:`pml_ahsml.audit_labels` by default.

    Returns:
        The exit code: 0 if it is done, 2 if the input is wrong.
    """
    options = _parser().parse_args(argv)
    try:
        with warnings.catch_warnings():
            warnings.showwarning = _show_warning
            _run(options, audit)
    except (ValueError, TypeError, OSError, ImportError, MemoryError) as error:
        print(f"error: {_message(error)}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("stopped", file=sys.stderr)
        return 130
    return 0


def _parser() -> ArgumentParser:
    parser = ArgumentParser(prog="python -m pml_ahsml", description="Commands of pml_ahsml.")
    commands = parser.add_subparsers(dest="command", required=True, metavar="command")
    add = commands.add_parser(
        "audit",
        help="find wrong labels in a data set",
        description="Find wrong labels in a data set, from embeddings of its samples.",
        epilog=_EXAMPLES,
        formatter_class=RawDescriptionHelpFormatter,
    ).add_argument
    add("embeddings", type=Path, help="(N, D) numbers as .npy, or as .npz")
    add("labels", type=Path, help="N integers or names of classes as .npy, .csv or .txt")
    add("--label-column", metavar="NAME", help='column of the .csv file (default: "label")')
    add("--class-names", type=Path, metavar="FILE", help="names of classes 0, 1, 2, …, one a line")
    add("--names", type=Path, metavar="FILE", help="names of the samples, one a line")
    add("--texts", type=Path, metavar="FILE", help="texts of the samples, one a line")
    add(
        "--images",
        type=Path,
        metavar="FOLDER",
        help="images, called as --names says, or in sorted order",
    )
    add("--html", type=Path, metavar="FILE", help="write a page to look at and to tick")
    add("--csv", type=Path, metavar="FILE", help="write the doubted labels")
    add("--json", type=Path, metavar="FILE", help="write all of it")
    add("--cleaned", type=Path, metavar="FILE", help="write all labels, mended, as .csv")
    add("--policy", choices=POLICIES, default="drop", help="how to mend them (default: drop)")
    add("--verdicts", type=Path, metavar="FILE", help="the ticks of the page, downloaded")
    add("--limit", type=int, default=300, help="number of samples on the page (default: 300)")
    add("--title", default="Label audit", help="title of the page")
    add("--noise-rate", type=float, metavar="RATE", help="share of wrong labels, if it is known")
    add("-k", type=int, default=10, help="number of neighbours (default: 10)")
    add("--seed", type=int, default=0, help="(default: 0)")
    add("--quiet", action="store_true", help="show no progress")
    return parser


def _run(options: Namespace, audit: Callable[..., LabelAudit]) -> None:
    for name in ("html", "csv", "json", "cleaned"):
        path = getattr(options, name)
        # hours may lie between the start and the end
        if path is not None and not path.parent.is_dir():
            raise ValueError(f"--{name} must be in a folder that exists, got {path}")
    if options.verdicts is not None and not options.verdicts.is_file():
        raise ValueError(f"--verdicts must be a file, got {options.verdicts}")
    check_count("--limit", options.limit, minimum=0)
    embeddings = read_embeddings(options.embeddings)
    count = len(embeddings)
    labels, class_names = _classes(options, count)
    names = None if options.names is None else read_lines(options.names, count)
    texts = None if options.texts is None else read_lines(options.texts, count)
    images = None if options.images is None else find_images(options.images, names, count)
    if names is None and images is not None:
        names = [path.name for path in images]
    with ProgressBar(sys.stderr, is_shown=not options.quiet) as progress:
        found = audit(
            torch.from_numpy(embeddings),
            torch.from_numpy(labels),
            class_names=class_names,
            sample_names=names,
            noise_rate=options.noise_rate,
            k=options.k,
            seed=options.seed,
            progress=progress,
        )
    if options.verdicts is not None:
        found = found.apply(options.verdicts)
    if options.cleaned is not None:
        cleaned_to_csv(found, options.cleaned, options.policy)
    if options.csv is not None:
        found.to_csv(options.csv)
    if options.json is not None:
        found.to_json(options.json)
    if options.html is not None:
        found.to_html(options.html, images, texts, limit=options.limit, title=options.title)
    print(findings(found))
    for path in (options.cleaned, options.csv, options.json, options.html):
        if path is not None:
            print(f"wrote {path}", file=sys.stderr)
    if options.html is not None and options.verdicts is None and not options.quiet:
        print(_NEXT, file=sys.stderr)


def _classes(options: Namespace, count: int) -> tuple[NDArray[np.int64], list[str]]:
    """Labels as 0, 1, 2, … and the names of these classes.

    Names are sorted. Integers keep their order and are named as they are, unless their names are
    given.
    """
    labels = read_labels(options.labels, count, options.label_column)
    if options.class_names is None:
        values = labels if isinstance(labels, list) else labels.tolist()
        numbers = {value: number for number, value in enumerate(sorted(set(values)))}
        known = np.array([numbers[value] for value in values], dtype=np.int64)
        return known, [str(value) for value in numbers]
    class_names = read_lines(options.class_names)
    if isinstance(labels, list):
        raise ValueError(
            f"--class-names must go with labels that are integers, got {options.labels} with "
            f"{one_line(labels[0], 40)!r}"
        )
    if count and not 0 <= labels.min() <= labels.max() < len(class_names):
        raise ValueError(
            f"{options.labels} must hold labels in [0, {len(class_names)}), as --class-names has "
            f"{len(class_names)} lines, got values from {labels.min()} to {labels.max()}"
        )
    return labels, class_names


def _show_warning(message: Warning | str, *_: object, **__: object) -> None:
    print(f"warning: {' '.join(str(message).split())}", file=sys.stderr)


def _message(error: BaseException) -> str:
    """The message of an error in one line."""
    if isinstance(error, OSError) and error.filename is not None:
        return f"{error.filename}: {error.strerror}"
    text = str(error) or type(error).__name__
    return " ".join(text.split())
