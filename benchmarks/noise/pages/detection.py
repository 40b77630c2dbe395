"""The tables of how well wrong labels are found after a training."""

from collections.abc import Sequence

from benchmarks import measuring
from benchmarks.noise.detection.rows import Row
from benchmarks.noise.pages.wording import data_name, figure, noise_name

_HEAD = ["data, labels", "wrong", "classifier", "neighbours", "trust", "audit"]


def found_table(rows: Sequence[Row]) -> str:
    """Average precision of each score; the best of a row is bold."""
    return _scores_table(
        [(row, (row.classifier, row.neighbours, row.ours, row.audit)) for row in rows]
    )


def auroc_table(rows: Sequence[Row]) -> str:
    """AUROC of each score: the probability that a wrong label is ranked below a right one."""
    return _scores_table([(row, _aurocs(row)) for row in rows])


def predicted_table(rows: Sequence[Row]) -> str:
    """How often the classifier predicts the given label, and how often the true one."""
    head = ["data, labels", "predicts the given label", "predicts the true label"]
    return measuring.table(
        head,
        [[_name(row), figure(row.predicts_given, 2), figure(row.predicts_true, 2)] for row in rows],
    )


def _aurocs(row: Row) -> tuple[float, ...]:
    return row.classifier_auroc, row.neighbours_auroc, row.ours_auroc, row.audit_auroc


def _scores_table(rows: Sequence[tuple[Row, tuple[float, ...]]]) -> str:
    lines = []
    for row, scores in rows:
        cells = [figure(score) for score in scores]
        best = max(cells)
        bold = [f"**{cell}**" if cell == best else cell for cell in cells]
        lines.append([_name(row), figure(row.wrong, 2), *bold])
    return measuring.table(_HEAD, lines)


def _name(row: Row) -> str:
    return f"{data_name(row.data)}, {noise_name(row.noise)}"
