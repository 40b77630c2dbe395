"""The rows as tables."""

import math
import statistics
from collections.abc import Sequence

from benchmarks import measuring
from benchmarks.audit.rows import Row


def found_table(rows: Sequence[Row]) -> str:
    """Format how well wrong labels are found: average precision, ours beside others."""
    wrong = [row for row in rows if row.wrong]
    head = [
        "data",
        "labels",
        "wrong",
        "audit",
        "classifier",
        "classifier, file order",
        "10 neighbours",
        "doubted",
        "of them wrong",
    ]
    lines = [
        [
            row.data,
            row.noise,
            f"{row.wrong:.2f}",
            *map(_three, _scores(row)),
            *map(_two, _doubts(row)),
        ]
        for row in wrong
    ]
    means = [statistics.fmean(column) for column in zip(*map(_scores, wrong), strict=True)]
    precision = statistics.fmean(row.precision for row in wrong)
    lines.append(["mean", "", "", *map(_three, means), "", _two(precision)])
    return measuring.table(head, lines)


def rates_table(rows: Sequence[Row]) -> str:
    """Format the noise rate, its interval and the calibration of trust."""
    head = [
        "data",
        "labels",
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
            row.data,
            row.noise,
            f"{row.wrong:.3f}",
            f"{row.noise_rate:.3f}",
            f"{row.lowest:.2f} to {row.highest:.2f}",
            "yes" if _is_inside(row) else "no",
            f"{row.calibration_error:.2f}",
            f"{row.doubted:.3f}",
            _two(row.suggested_right),
        ]
        for row in rows
    ]
    error = statistics.fmean(abs(row.noise_rate - row.wrong) for row in rows)
    inside = sum(map(_is_inside, rows))
    calibration = statistics.fmean(row.calibration_error for row in rows)
    lines.append(
        [
            "mean",
            "",
            "",
            f"off by {error:.3f}",
            "",
            f"{inside} of {len(rows)}",
            f"{calibration:.2f}",
            "",
            "",
        ]
    )
    return measuring.table(head, lines)


def _scores(row: Row) -> tuple[float, float, float, float]:
    return row.ours, row.classifier, row.classifier_in_order, row.neighbours


def _doubts(row: Row) -> tuple[float, float]:
    return row.doubted, row.precision


def _is_inside(row: Row) -> bool:
    return row.lowest <= row.wrong <= row.highest


def _two(value: float) -> str:
    return "" if math.isnan(value) else f"{value:.2f}"


def _three(value: float) -> str:
    return "" if math.isnan(value) else f"{value:.3f}"
