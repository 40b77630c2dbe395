"""An audit in the words of cleanlab's Datalab."""

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from .label_audit import LabelAudit


def datalab_columns(audit: "LabelAudit") -> dict[str, Any]:
    """The columns of ``Datalab.get_issues("label")``; a sample not judged is no issue."""
    names = np.asarray(audit.class_names, dtype=object)
    return {
        "is_label_issue": audit.is_doubted.numpy(),
        "label_score": audit.trust.numpy(),
        "given_label": names[audit.numbers_of(audit.labels).numpy()],
        "predicted_label": names[audit.numbers_of(audit.suggested).numpy()],
    }
