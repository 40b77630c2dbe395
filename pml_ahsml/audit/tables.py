"""Tables of an audit: suspects, classes, confused pairs, near-duplicates."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor

from .rows import ClassSummary, Confusion, Duplicate, Suspect

if TYPE_CHECKING:
    from .label_audit import LabelAudit


class ClassCounts(NamedTuple):
    """Numbers of samples by class.

    Args:
        sizes: (K,) samples labelled as each class.
        doubted: (K,) those of them that are doubted.
        missing: (K,) doubted samples labelled as other classes that seem to be of this one.
    """

    sizes: Tensor
    doubted: Tensor
    missing: Tensor


def most_doubtful_first(audit: "LabelAudit", chosen: Tensor, limit: int | None = None) -> Tensor:
    """Rows of the data set for which (N,) ``chosen`` is true, the least trusted first.

    Rows of equal trust stand in the order of the data set.
    """
    rows = chosen.nonzero().squeeze(1)
    return rows[audit.trust[rows].argsort(stable=True)][:limit]


def suspects(audit: "LabelAudit", rows: Tensor) -> list[Suspect]:
    """What the audit says of each of the rows, in their order."""
    names, classes = audit.sample_names, audit.class_names
    near = audit.neighbours[rows]
    labels = audit.numbers_of(audit.labels)
    near_labels = labels[near.clamp(min=0)]
    found = []
    for i, given, suggested, trust, confidence, no_class, others, other_labels in zip(
        rows.tolist(),
        labels[rows].tolist(),
        audit.numbers_of(audit.suggested[rows]).tolist(),
        audit.trust[rows].tolist(),
        audit.confidence[rows].tolist(),
        audit.is_of_no_class[rows].tolist(),
        near.tolist(),
        near_labels.tolist(),
        strict=True,
    ):
        there = [(j, y) for j, y in zip(others, other_labels, strict=True) if j >= 0]
        found.append(
            Suspect(
                i,
                "" if names is None else names[i],
                classes[given],
                classes[suggested],
                trust,
                confidence,
                tuple(j for j, y in there if y == given),
                tuple(j for j, y in there if y != given),
                no_class,
            )
        )
    return found


def class_counts(audit: "LabelAudit") -> ClassCounts:
    """How many samples of each class there are, are doubted, and seem to be labelled otherwise."""
    num_classes = len(audit.class_names)
    doubted = audit.is_doubted
    labels, suggested = audit.numbers_of(audit.labels), audit.numbers_of(audit.suggested)
    moved = doubted & (suggested != labels)
    return ClassCounts(
        torch.bincount(labels, minlength=num_classes),
        torch.bincount(labels[doubted], minlength=num_classes),
        torch.bincount(suggested[moved], minlength=num_classes),
    )


def confusion_counts(audit: "LabelAudit") -> list[tuple[int, int, int, int]]:
    """(given class, suggested class, count, count of the other direction), most samples first.

    Pairs of equal counts stand in the order of their classes.
    """
    moved = audit.is_doubted & (audit.suggested != audit.labels)
    num_classes = len(audit.class_names)
    # one number for each pair: sorting numbers is faster than sorting rows
    labels, suggested = (audit.numbers_of(of[moved]) for of in (audit.labels, audit.suggested))
    pairs = labels * num_classes + suggested
    kinds, counts = pairs.unique(return_counts=True)
    number = {
        divmod(pair, num_classes): count
        for pair, count in zip(kinds.tolist(), counts.tolist(), strict=True)
    }
    found = [(a, b, count, number.get((b, a), 0)) for (a, b), count in number.items()]
    return sorted(found, key=lambda pair: -pair[2])


def most_confused_with(pairs: Sequence[tuple[int, int, int, int]]) -> dict[int, int]:
    """The class suggested most often for the samples of each class, from ``confusion_counts``."""
    most: dict[int, int] = {}
    for given, suggested, _, _ in pairs:
        most.setdefault(given, suggested)
    return most


def class_order(counts: ClassCounts) -> list[int]:
    """Classes, largest share doubted first, then the larger class; empty ones at the end."""
    sizes, doubted = counts.sizes.tolist(), counts.doubted.tolist()
    return sorted(
        range(len(sizes)),
        key=lambda k: (-doubted[k] / sizes[k] if sizes[k] else 1.0, -sizes[k]),
    )


def class_summaries(audit: "LabelAudit") -> list[ClassSummary]:
    """What is said of each class, the class with the largest share of doubted labels first."""
    counts, names = class_counts(audit), audit.class_names
    most = most_confused_with(confusion_counts(audit))
    sizes, doubted, missing = (column.tolist() for column in counts)
    return [
        ClassSummary(
            names[k],
            sizes[k],
            doubted[k] / sizes[k] if sizes[k] else float("nan"),
            names[most[k]] if k in most else "",
            missing[k],
        )
        for k in class_order(counts)
    ]


def confusions(audit: "LabelAudit") -> list[Confusion]:
    """Pairs of classes that are confused, most samples first."""
    names = audit.class_names
    return [
        Confusion(names[given], names[suggested], count, reverse)
        for given, suggested, count, reverse in confusion_counts(audit)
    ]


def duplicates(audit: "LabelAudit") -> list[Duplicate]:
    """Near-duplicates with different labels, most similar first."""
    order = audit.duplicate_similarity.argsort(descending=True, stable=True)
    names = audit.class_names
    return [
        Duplicate(i, j, names[a], names[b], similarity)
        for (i, j), (a, b), similarity in zip(
            audit.duplicate_pairs[order].tolist(),
            audit.numbers_of(audit.labels[audit.duplicate_pairs[order]]).tolist(),
            audit.duplicate_similarity[order].tolist(),
            strict=True,
        )
    ]
