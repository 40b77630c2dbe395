"""Which labels and samples to train on."""

from typing import TYPE_CHECKING

import torch

from .rows import Cleaned

if TYPE_CHECKING:
    from .label_audit import LabelAudit

POLICIES = ("drop", "relabel", "keep")


def cleaned(audit: "LabelAudit", policy: str) -> Cleaned:
    """Labels and mask by one of the ``POLICIES``; ``LabelAudit.cleaned`` describes them."""
    if policy not in POLICIES:
        raise ValueError(f"policy must be one of {POLICIES}, got {policy!r}")
    if policy == "keep":
        return Cleaned(audit.labels, torch.ones_like(audit.is_doubted))
    if policy == "drop":
        return Cleaned(audit.labels, ~audit.is_doubted & ~audit.is_of_no_class)
    has_no_other = audit.is_doubted & (audit.suggested == audit.labels)
    labels = torch.where(audit.is_doubted & ~audit.is_of_no_class, audit.suggested, audit.labels)
    return Cleaned(labels, ~audit.is_of_no_class & ~has_no_other)
