"""Audits for tests: random ones, and names that try to be more than names."""

import torch

from pml_ahsml.audit import LabelAudit

HOSTILE = (
    "<script>alert(1)</script>",
    "</script><script>alert(2)</script>",
    "<img src=x onerror=alert(3)>",
    "\"quotes\" 'single', `back` & &amp; &lt;",
    "<!--",
    "]]>",
    "$data ${title} $$",
    "=1+1",
    "line\none\r\ntwo\ttab",
    "\u202eright to left mark",
    "שלום עולם",
    "مرحبا",
    "👩‍👧‍👦 🏳️‍🌈",
    "\u2028separator\u2029",
    "nul\x00 bell\x07 escape\x1b[31m",
    "__proto__",
    "constructor",
    " spaces ",
    "x" * 10_000,
    "",
)


def made_audit(
    num_samples: int = 60,
    num_classes: int = 5,
    k: int = 4,
    seed: int = 0,
    class_names: tuple[str, ...] | None = None,
    sample_names: tuple[str, ...] | None = None,
    **changes: object,
) -> LabelAudit:
    """An audit of made-up numbers, in which every kind of sample occurs."""
    random = torch.Generator().manual_seed(seed)

    def uniform(*shape: int) -> torch.Tensor:
        return torch.rand(shape, generator=random, dtype=torch.float64)

    def integers(high: int, *shape: int) -> torch.Tensor:
        return torch.randint(max(high, 1), shape, generator=random)

    neighbours = integers(num_samples, num_samples, k)
    neighbours[uniform(num_samples, k) < 0.1] = -1
    pairs = torch.stack([torch.arange(3), torch.arange(3) + 3], 1)
    points = uniform(num_classes, 3)
    fields = {
        "labels": integers(num_classes, num_samples),
        "trust": uniform(num_samples).float(),
        "suggested": integers(num_classes, num_samples),
        "confidence": uniform(num_samples).float(),
        "is_judged": uniform(num_samples) < 0.9,
        "is_of_no_class": uniform(num_samples) < 0.1,
        "noise_rate": 0.25,
        "noise_rate_interval": (0.2, 0.31),
        "neighbours": neighbours,
        "duplicate_pairs": pairs,
        "duplicate_similarity": torch.tensor([0.99, 0.999, 0.98]),
        "class_distances": (points[:, None] - points[None]).square().sum(2).sqrt(),
        "class_names": class_names or tuple(f"class {k}" for k in range(num_classes)),
        "sample_names": sample_names,
    }
    return LabelAudit(**(fields | changes))


def empty_audit(num_classes: int = 3) -> LabelAudit:
    """An audit of no samples."""
    return made_audit(
        0,
        num_classes,
        noise_rate=float("nan"),
        noise_rate_interval=(float("nan"), float("nan")),
        duplicate_pairs=torch.empty(0, 2, dtype=torch.long),
        duplicate_similarity=torch.empty(0),
        class_distances=torch.full((num_classes, num_classes), float("nan")),
        neighbours=torch.empty(0, 4, dtype=torch.long),
    )
