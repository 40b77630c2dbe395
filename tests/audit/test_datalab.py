"""The audit in the words of cleanlab's Datalab."""

import numpy as np

from tests.audit.made import made_audit


def test_columns():
    audit = made_audit()
    columns = audit.datalab_issues()
    assert list(columns) == ["is_label_issue", "label_score", "given_label", "predicted_label"]
    assert columns["is_label_issue"].dtype == np.bool_
    assert columns["is_label_issue"].tolist() == audit.is_doubted.tolist()
    assert columns["label_score"].tolist() == audit.trust.tolist()
    assert columns["given_label"].tolist() == [f"class {k}" for k in audit.labels.tolist()]
    assert columns["predicted_label"].tolist() == [f"class {k}" for k in audit.suggested.tolist()]
