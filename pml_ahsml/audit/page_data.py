"""What the page of an audit shows, as numbers and names for its script."""

import hashlib
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from .class_groups import class_groups
from .names import shortened
from .tables import (
    class_counts,
    class_order,
    confusion_counts,
    duplicates,
    most_confused_with,
    most_doubtful_first,
)
from .thumbnails import Thumbnail, thumbnails

if TYPE_CHECKING:
    from .label_audit import LabelAudit

# what a page can show; the tables of the audit hold everything
NEIGHBOURS = 5
CONFUSIONS = 200
DUPLICATES = 50
BINS = 20
CARD_PIXELS, SMALL_PIXELS = 96, 48
# images of at most so many pixels a side are shown as squares, not blurred
FEW_PIXELS = 32
NAME_LENGTH, TEXT_LENGTH = 200, 600


def page_data(
    audit: "LabelAudit", images: Any, texts: Sequence[str] | None, limit: int
) -> dict[str, Any]:
    """Everything that the page shows; its script reads it by these names."""
    rows = most_doubtful_first(audit, audit.is_doubted | audit.is_of_no_class)
    shown = rows[:limit]
    near = audit.neighbours[shown, :NEIGHBOURS]
    pairs = duplicates(audit)[:DUPLICATES]
    also_shown = {j for row in near.tolist() for j in row if j >= 0}
    also_shown |= {j for pair in pairs for j in pair[:2]}
    pixels = dict.fromkeys(also_shown, SMALL_PIXELS) | dict.fromkeys(shown.tolist(), CARD_PIXELS)
    pictures = {} if images is None else thumbnails(images, pixels.items())
    counts, confusions = class_counts(audit), confusion_counts(audit)
    most = most_confused_with(confusions)
    sizes, doubted, missing = (column.tolist() for column in counts)
    tree = [] if audit.class_distances is None else class_groups(audit.class_distances)
    return {
        "id": _fingerprint(audit),
        "summary": _summary(audit) | {"to_look_at": len(rows)},
        "histogram": _histogram(audit.trust[audit.is_judged]),
        "class_names": list(audit.class_names),
        "classes": [
            [k, sizes[k], doubted[k], most.get(k, -1), missing[k]] for k in class_order(counts)
        ],
        "confusions": confusions[:CONFUSIONS],
        "num_confusions": len(confusions),
        "tree": [[group.groups, group.classes, group.size] for group in tree],
        "duplicates": [[i, j, round(similarity, 4)] for i, j, _, _, similarity in pairs],
        "cards": _cards(audit, shown),
        "samples": _samples(audit, sorted(pixels), texts, pictures),
        "has_images": images is not None,
        "has_few_pixels": all(picture.pixels <= FEW_PIXELS for picture in pictures.values()),
    }


def _fingerprint(audit: "LabelAudit") -> str:
    """Tells apart the ticks of two audits that are kept in one browser."""
    digest = hashlib.sha256()
    for values in (audit.labels, audit.trust, audit.suggested):
        digest.update(values.contiguous().numpy().tobytes())
    return digest.hexdigest()[:16]


def _summary(audit: "LabelAudit") -> dict[str, Any]:
    low, high = audit.noise_rate_interval
    return {
        "samples": len(audit.labels),
        "judged": int(audit.is_judged.sum()),
        "doubted": int(audit.is_doubted.sum()),
        "of_no_class": int(audit.is_of_no_class.sum()),
        "duplicates": len(audit.duplicate_pairs),
        "noise_rate": _number(audit.noise_rate),
        "interval": [_number(low), _number(high)],
    }


def _histogram(trust: Tensor) -> list[int]:
    bins = (trust * BINS).long().clamp(0, BINS - 1)
    counts: list[int] = torch.bincount(bins, minlength=BINS).tolist()
    return counts


def _cards(audit: "LabelAudit", rows: Tensor) -> list[dict[str, Any]]:
    near = audit.neighbours[rows]
    is_there = near >= 0
    near_labels = audit.labels[near.clamp(min=0)]
    agree = (near_labels == audit.labels[rows, None]) & is_there
    support = (near_labels == audit.suggested[rows, None]) & is_there
    columns = {
        "index": rows,
        "suggested": audit.numbers_of(audit.suggested[rows]),
        "doubted": audit.is_doubted[rows],
        "no_class": audit.is_of_no_class[rows],
        "near": is_there.sum(1),
        "agree": agree.sum(1),
        "support": support.sum(1),
    }
    lists = {name: column.tolist() for name, column in columns.items()}
    for name, column in (("trust", audit.trust), ("confidence", audit.confidence)):
        lists[name] = [_number(value) for value in column[rows].tolist()]
    lists["neighbours"] = [[j for j in row[:NEIGHBOURS] if j >= 0] for row in near.tolist()]
    return [dict(zip(lists, values, strict=True)) for values in zip(*lists.values(), strict=True)]


def _samples(
    audit: "LabelAudit",
    rows: list[int],
    texts: Sequence[str] | None,
    pictures: dict[int, Thumbnail],
) -> dict[str, dict[str, Any]]:
    """Name, label, text and picture of each sample that the page shows somewhere."""
    samples: dict[str, dict[str, Any]] = {}
    for i, label in zip(rows, audit.numbers_of(audit.labels[rows]).tolist(), strict=True):
        sample = samples[str(i)] = {"label": label}
        if audit.sample_names is not None:
            sample["name"] = shortened(audit.sample_names[i], NAME_LENGTH)
        if texts is not None:
            sample["text"] = shortened(str(texts[i]), TEXT_LENGTH)
        if i in pictures:
            sample["image"] = pictures[i].uri
    return samples


def _number(value: float) -> float | None:
    """The number with four decimals, or None for one that JSON does not have."""
    return round(value, 4) if math.isfinite(value) else None
