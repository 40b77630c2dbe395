"""What is left to train on."""

import pytest
import torch

from tests.audit.made import made_audit


@pytest.fixture
def audit():
    return made_audit(num_samples=200)


def test_keep(audit):
    labels, mask = audit.cleaned("keep")
    assert torch.equal(labels, audit.labels)
    assert mask.all()


def test_drop(audit):
    labels, mask = audit.cleaned()
    assert torch.equal(labels, audit.labels)
    for i in range(200):
        is_doubted = bool(audit.is_judged[i]) and bool(audit.trust[i] < 0.5)
        assert bool(mask[i]) is not (is_doubted or bool(audit.is_of_no_class[i]))
    assert 0 < mask.sum() < 200


def test_relabel(audit):
    labels, mask = audit.cleaned("relabel")
    kinds = set()
    for i in range(200):
        is_doubted = bool(audit.is_judged[i]) and bool(audit.trust[i] < 0.5)
        has_other = bool(audit.suggested[i] != audit.labels[i])
        no_class = bool(audit.is_of_no_class[i])
        assert bool(mask[i]) is not (no_class or (is_doubted and not has_other))
        expected = audit.suggested[i] if is_doubted and not no_class else audit.labels[i]
        assert labels[i] == expected
        kinds.add((is_doubted, has_other, no_class))
    assert len(kinds) == 8  # every kind was there


def test_policy_is_checked(audit):
    with pytest.raises(ValueError, match=r"policy must be one of .*drop.*, got 'fix'"):
        audit.cleaned("fix")
