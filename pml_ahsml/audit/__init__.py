"""The label audit: find wrong labels, look at them, clean them."""

from .label_audit import LabelAudit

__all__ = ["LabelAudit"]
