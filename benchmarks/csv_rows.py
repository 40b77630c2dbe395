"""Rows of a benchmark in a CSV file, a column for each field of their class."""

import csv
from collections.abc import Sequence
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any, TypeVar

R = TypeVar("R")


def read_rows(path: Path, kind: type[R]) -> list[R]:
    """Read the rows in a file; none if it does not exist.

    Args:
        path: the file.
        kind: a dataclass whose fields are str, int or float.
    """
    if not path.exists():
        return []
    columns: Any = fields(kind)  # type: ignore[arg-type]
    with path.open(newline="") as file:
        return [
            kind(**{column.name: column.type(line[column.name]) for column in columns})
            for line in csv.DictReader(file)
        ]


def write_rows(path: Path, rows: Sequence[Any]) -> None:
    """Write rows to a file, which is replaced."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, [column.name for column in fields(rows[0])])
        writer.writeheader()
        writer.writerows(asdict(row) for row in rows)
