"""An audit as files: the suspects as CSV, all of it as JSON."""

import csv
import json
import math
from collections.abc import Sequence
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from torch import Tensor

from .tables import class_summaries, confusions, duplicates, most_doubtful_first, suspects

if TYPE_CHECKING:
    from .label_audit import LabelAudit

COLUMNS = (
    "index",
    "name",
    "given",
    "suggested",
    "trust",
    "confidence",
    "is_of_no_class",
    "agreeing",
    "disagreeing",
    "verdict",
    "label",
)


def suspects_to_csv(audit: "LabelAudit", path: str | PathLike[str], limit: int | None) -> None:
    """Write what is to be looked at, with empty columns for verdicts."""
    rows = most_doubtful_first(audit, audit.is_doubted | audit.is_of_no_class, limit)
    with _csv_file(path) as file:
        writer = csv.writer(file)
        writer.writerow(COLUMNS)
        for row in suspects(audit, rows):
            writer.writerow(
                [
                    row.index,
                    row.name,
                    row.given,
                    row.suggested,
                    f"{row.trust:.6g}",
                    f"{row.confidence:.6g}",
                    "true" if row.is_of_no_class else "false",
                    " ".join(map(str, row.agreeing)),
                    " ".join(map(str, row.disagreeing)),
                    "",
                    "",
                ]
            )


def cleaned_to_csv(audit: "LabelAudit", path: str | PathLike[str], policy: str) -> None:
    """Write the label of every sample, and whether to train on it."""
    labels, mask = audit.cleaned(policy)
    names = audit.sample_names
    with _csv_file(path) as file:
        writer = csv.writer(file)
        writer.writerow(("index", "name", "label", "keep"))
        numbers = audit.numbers_of(labels).tolist()
        for i, (label, keep) in enumerate(zip(numbers, mask.tolist(), strict=True)):
            name = "" if names is None else names[i]
            writer.writerow((i, name, audit.class_names[label], "true" if keep else "false"))


def to_json(audit: "LabelAudit", path: str | PathLike[str]) -> None:
    """Write the audit as one object of strict JSON."""
    # made before the file is opened, so that an error leaves the old file as it was
    text = json.dumps(_everything(audit), allow_nan=False)
    Path(path).write_text(text + "\n", encoding="utf-8")


def _csv_file(path: str | PathLike[str]) -> TextIO:
    # names of files may hold bytes that are no text: these are escaped rather than refused
    return open(path, "w", encoding="utf-8", errors="backslashreplace", newline="")


def _everything(audit: "LabelAudit") -> dict[str, Any]:
    low, high = audit.noise_rate_interval
    return {
        "num_samples": len(audit.labels),
        "num_judged": int(audit.is_judged.sum()),
        "num_doubted": int(audit.is_doubted.sum()),
        "num_of_no_class": int(audit.is_of_no_class.sum()),
        "noise_rate": _number(audit.noise_rate),
        "noise_rate_interval": [_number(low), _number(high)],
        "class_names": list(audit.class_names),
        "class_labels": audit.labels_of_classes.tolist(),
        "classes": _rows(class_summaries(audit)),
        "confusions": _rows(confusions(audit)),
        "duplicates": _rows(duplicates(audit)),
        "suspects": _rows(suspects(audit, most_doubtful_first(audit, audit.is_doubted))),
        "samples": {
            "name": None if audit.sample_names is None else list(audit.sample_names),
            "label": audit.labels.tolist(),
            "suggested": audit.suggested.tolist(),
            "trust": _numbers(audit.trust),
            "confidence": _numbers(audit.confidence),
            "is_judged": audit.is_judged.tolist(),
            "is_of_no_class": audit.is_of_no_class.tolist(),
        },
    }


def _rows(rows: Sequence[Any]) -> list[dict[str, Any]]:
    """Named tuples as objects."""
    return [
        {
            name: _number(value) if isinstance(value, float) else value
            for name, value in row._asdict().items()
        }
        for row in rows
    ]


def _numbers(values: Tensor) -> list[float | None]:
    return [_number(value) for value in values.tolist()]


def _number(value: float) -> float | None:
    """The number with six digits, or None for nan and infinities, which JSON does not have."""
    return float(f"{value:.6g}") if math.isfinite(value) else None
