"""The rows as tables."""

import statistics
from collections.abc import Sequence

from benchmarks import measuring
from benchmarks.audit.rows import Row
from benchmarks.noise.pages.wording import data_name, figure, noise_name


def found_table(rows: Sequence[Row]) -> str:
    """Format how well wrong labels are found: average precision, ours beside others."""
    wrong = [row for row in rows if row.wrong]
    head = [
        "data, labels",
        "wrong",
        "audit",
        "classifier",
        "classifier, file order",
        "neighbours",
        "doubted",
        "of them wrong",
    ]
    lines = [
        [_name(row), _two(row.wrong), *map(figure, _scores(row)), *map(_two, _doubts(row))]
        for row in wrong
    ]
    means = [statistics.fmean(column) for column in zip(*map(_scores, wrong), strict=True)]
    precision = statistics.fmean(row.precision for row in wrong)
    lines.append(["mean", "", *map(figure, means), "", _two(precision)])
    return measuring.table(head, lines)


def rates_table(rows: Sequence[Row]) -> str:
    """Format the noise rate, its interval and the calibration of trust."""
    head = [
        "data, labels",
        "wrong",
        "estimate",
        "interval",
        "inside",
        "calibration error",
        "doubted",
        "suggested right",
    ]
    lines = [
        [
            _name(row),
            figure(row.wrong),
            figure(row.noise_rate),
            f"{_two(row.lowest)}\u00a0to\u00a0{_two(row.highest)}",
            "yes" if _is_inside(row) else "no",
            _two(row.calibration_error),
            figure(row.doubted),
            _two(row.suggested_right),
        ]
        for row in rows
    ]
    error = statistics.fmean(abs(row.noise_rate - row.wrong) for row in rows)
    inside = sum(map(_is_inside, rows))
    calibration = statistics.fmean(row.calibration_error for row in rows)
    off, inside_of = f"off by {figure(error)}", f"{inside} of {len(rows)}"
    lines.append(["mean", "", off, "", inside_of, _two(calibration), "", ""])
    return measuring.table(head, lines)


def _scores(row: Row) -> tuple[float, float, float, float]:
    return row.ours, row.classifier, row.classifier_in_order, row.neighbours


def _doubts(row: Row) -> tuple[float, float]:
    return row.doubted, row.precision


def _is_inside(row: Row) -> bool:
    return row.lowest <= row.wrong <= row.highest


def _name(row: Row) -> str:
    return f"{data_name(row.data)}, {noise_name(row.noise)}"


def _two(value: float) -> str:
    return figure(value, 2)
