"""Tables of an audit: suspects, classes, confused pairs."""

from typing import TYPE_CHECKING

import torch

from .rows import ClassSummary, Confusion, Suspect

if TYPE_CHECKING:
    from .label_audit import LabelAudit


def suspects(audit: "LabelAudit", limit: int | None = None) -> list[Suspect]:
    """The doubted labels, most doubtful first."""
    rows = audit.is_doubted.nonzero().squeeze(1)
    rows = rows[audit.trust[rows].argsort(stable=True)][:limit]
    found = []
    for i in rows.tolist():
        near = audit.neighbours[i]
        near = near[near >= 0]
        agrees = audit.labels[near] == audit.labels[i]
        found.append(
            Suspect(
                i,
                "" if audit.sample_names is None else audit.sample_names[i],
                audit.class_names[audit.labels[i]],
                audit.class_names[audit.suggested[i]],
                float(audit.trust[i]),
                float(audit.confidence[i]),
                tuple(near[agrees].tolist()),
                tuple(near[~agrees].tolist()),
            )
        )
    return found


def class_summaries(audit: "LabelAudit") -> list[ClassSummary]:
    """What is said of each class, the class with the largest share of doubted labels first."""
    num_classes = len(audit.class_names)
    doubted = audit.is_doubted
    sizes = torch.bincount(audit.labels, minlength=num_classes)
    doubts = torch.bincount(audit.labels[doubted], minlength=num_classes)
    missing = torch.bincount(audit.suggested[doubted], minlength=num_classes)
    most: dict[str, str] = {}
    for pair in confusions(audit):  # most samples first
        most.setdefault(pair.given, pair.suggested)
    found = [
        ClassSummary(
            name,
            int(sizes[k]),
            float(doubts[k] / sizes[k]) if sizes[k] else float("nan"),
            most.get(name, ""),
            int(missing[k]),
        )
        for k, name in enumerate(audit.class_names)
    ]
    return sorted(found, key=lambda row: -row.doubted if row.size else 1.0)


def confusions(audit: "LabelAudit") -> list[Confusion]:
    """Pairs of classes that are confused, most samples first."""
    doubted = audit.is_doubted & (audit.suggested != audit.labels)
    pairs = torch.stack([audit.labels[doubted], audit.suggested[doubted]], 1)
    if not len(pairs):
        return []
    kinds, counts = pairs.unique(dim=0, return_counts=True)
    number = {
        tuple(kind): count for kind, count in zip(kinds.tolist(), counts.tolist(), strict=True)
    }
    names = audit.class_names
    found = [
        Confusion(names[given], names[suggested], count, number.get((suggested, given), 0))
        for (given, suggested), count in number.items()
    ]
    return sorted(found, key=lambda row: -row.count)
