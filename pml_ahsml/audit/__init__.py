"""The label audit: find wrong labels, look at them, clean them."""

from .audit_labels import audit_labels
from .label_audit import LabelAudit
from .rows import ClassSummary, Cleaned, Confusion, Duplicate, Suspect

__all__ = [
    "ClassSummary",
    "Cleaned",
    "Confusion",
    "Duplicate",
    "LabelAudit",
    "Suspect",
    "audit_labels",
]
