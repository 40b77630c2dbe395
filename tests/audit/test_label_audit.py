"""Verdicts of people replace what was estimated."""

import pytest
import torch

from tests.audit.made import made_audit


def masks(*, right=(), wrong=()):
    marks = []
    for rows in (right, wrong):
        mask = torch.zeros(60, dtype=torch.bool)
        mask[list(rows)] = True
        marks.append(mask)
    return marks


def test_verdicts_replace_what_was_estimated():
    audit = made_audit()
    corrected = torch.full((60,), -1)
    corrected[4] = 2
    after = audit.with_verdicts(*masks(right=[1, 2], wrong=[3, 4]), corrected)
    assert after.trust[[1, 2, 3, 4]].tolist() == [1, 1, 0, 0]
    assert after.is_judged[[1, 2, 3, 4]].all()
    assert torch.equal(after.suggested[[1, 2]], audit.labels[[1, 2]])
    assert after.suggested[3] == audit.suggested[3]
    assert after.suggested[4] == 2
    assert after.confidence[[1, 2, 4]].tolist() == [1, 1, 1]
    assert after.confidence[3] == audit.confidence[3]
    assert after.trust.dtype == audit.trust.dtype
    others = torch.ones(60, dtype=torch.bool)
    others[[1, 2, 3, 4]] = False
    for name in ("trust", "suggested", "confidence", "is_judged", "is_of_no_class"):
        assert torch.equal(getattr(after, name)[others], getattr(audit, name)[others])


def test_a_sample_whose_class_is_known_is_of_no_class_no_more():
    audit = made_audit(is_of_no_class=torch.ones(60, dtype=torch.bool))
    corrected = torch.full((60,), -1)
    corrected[1] = 2
    after = audit.with_verdicts(*masks(right=[0], wrong=[1, 2]), corrected)
    assert after.is_of_no_class[:4].tolist() == [False, False, True, True]


def test_the_audit_itself_stays_as_it_was():
    audit, same = made_audit(), made_audit()
    audit.with_verdicts(*masks(right=range(30), wrong=range(30, 60)))
    assert torch.equal(audit.trust, same.trust)
    assert torch.equal(audit.is_judged, same.is_judged)


def test_verdicts_are_checked():
    audit = made_audit()
    with pytest.raises(ValueError, match="right and wrong must not overlap, got 1 labels in both"):
        audit.with_verdicts(*masks(right=[1], wrong=[1]))
    right, wrong = masks()
    with pytest.raises(ValueError, match=r"wrong must be of shape \(60,\), got \(59,\)"):
        audit.with_verdicts(right, wrong[1:])
    with pytest.raises(TypeError, match="right must be of dtype bool, got torch.int64"):
        audit.with_verdicts(right.long(), wrong)
    for bad in (5, -2):
        with pytest.raises(ValueError, match=f"-1 and labels of classes, got {bad}"):
            audit.with_verdicts(right, wrong, torch.where(torch.arange(60) == 7, bad, 0))
    with pytest.raises(TypeError, match="corrected must be of an integer dtype"):
        audit.with_verdicts(right, wrong, torch.zeros(60))


def test_classes_may_have_any_labels():
    values = torch.tensor([2, 5, 6, 10**9, 10**10])
    one = made_audit()
    other = made_audit(
        labels=values[one.labels], suggested=values[one.suggested], class_values=values
    )
    assert torch.equal(other.numbers_of(other.suggested), one.suggested)
    assert other.numbers_of(torch.tensor([-1, 10**9])).tolist() == [-1, 3]
    right, wrong = masks(right=[0], wrong=[1, 2])
    corrected = torch.full((60,), -1)
    corrected[1] = 10**9
    after = other.with_verdicts(right, wrong, corrected)
    assert after.suggested[:3].tolist() == [
        int(other.labels[0]),
        10**9,
        int(other.suggested[2]),
    ]
    with pytest.raises(ValueError, match="corrected must hold -1 and labels of classes, got 3"):
        other.with_verdicts(right, wrong, torch.full((60,), 3))
