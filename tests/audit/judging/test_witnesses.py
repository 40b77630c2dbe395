"""Witnesses never ask the sample itself, nor those of its group."""

import pytest
import torch

from pml_ahsml.audit.judging import witnesses
from pml_ahsml.audit.judging.beliefs import Beliefs, taken_as_given
from pml_ahsml.audit.judging.witnesses import FeatureWitnesses, GivenProbabilities
from tests.audit.judging.made import gaussian_classes

# Log-evidence is computed in float32 from sums that change by rounding.
SAME = {"rtol": 1e-4, "atol": 1e-4}


def silent(stage, done, total):
    pass


def of_all(evidence, classes, num_classes):
    """(N, K) log-evidence by class; nan for classes out of the question."""
    table = torch.full((len(classes), num_classes), torch.nan)
    return table.scatter(1, classes, evidence)


def ask(points, labels, num_classes, groups=None, k=5):
    """What both witnesses say if labels are taken as given."""
    asked = FeatureWitnesses(points, labels, num_classes, k, groups, silent)
    said = asked.ask(taken_as_given(asked.classes, labels))
    return [of_all(evidence, asked.classes, num_classes) for evidence in said]


@pytest.mark.parametrize("size", [3, 100])
@pytest.mark.parametrize("sample", [0, 13, 59])
def test_what_is_said_of_a_sample_does_not_depend_on_its_own_label(size, sample):
    points, labels = gaussian_classes(60, 4, size, spread=1.0)
    other = labels.clone()
    other[sample] = (other[sample] + 1) % 4
    for before, after in zip(ask(points, labels, 4), ask(points, other, 4), strict=True):
        torch.testing.assert_close(after[sample], before[sample], **SAME)
        # and it speaks of others
        assert not torch.allclose(after, before, **SAME)


def test_what_is_said_of_a_sample_does_not_depend_on_what_is_believed_of_it():
    points, labels = gaussian_classes(60, 4, 8, spread=1.0)
    asked = FeatureWitnesses(points, labels, 4, 5, None, silent)
    generator = torch.Generator().manual_seed(0)
    weights = torch.rand(60, 4, generator=generator).softmax(1)
    changed = weights.clone()
    changed[7] = torch.tensor([0.0, 0.1, 0.2, 0.7])
    for before, after in zip(
        asked.ask(Beliefs(asked.classes, weights)),
        asked.ask(Beliefs(asked.classes, changed)),
        strict=True,
    ):
        torch.testing.assert_close(after[7], before[7], **SAME)


@pytest.mark.parametrize("group", [0, 4, 14])
def test_what_is_said_of_a_group_does_not_depend_on_its_labels(group):
    points, labels = gaussian_classes(60, 4, 8, spread=1.0)
    groups = torch.arange(60) % 15
    of_group = groups == group
    other = torch.where(of_group, (labels + 1) % 4, labels)
    before, after = (ask(points, given, 4, groups) for given in (labels, other))
    for x, y in zip(before, after, strict=True):
        torch.testing.assert_close(y[of_group], x[of_group], **SAME)
        assert not torch.allclose(y, x, **SAME)


def test_copies_within_a_group_do_not_confirm_each_other():
    points, labels = gaussian_classes(60, 4, 8)
    groups = torch.arange(60)
    points[40:44], labels[40:44], groups[40:44] = points[0], 3, 0
    labels[0], groups[0] = 3, 0
    alone, in_group = (ask(points, labels, 4, given, k=4) for given in (None, groups))
    # the copies' own wrong label against the class where they lie
    for one, other in zip(alone, in_group, strict=True):
        assert other[0, 3] < one[0, 3] - 1
        assert other[0, 0] > other[0, 3]
    assert alone[1][0].argmax() == 3


def test_labels_drawn_at_random_do_not_look_right():
    # more dimensions than samples: whoever has a part in a covariance lies near to its mean
    generator = torch.Generator().manual_seed(0)
    points = torch.nn.functional.normalize(torch.randn(200, 300, generator=generator), dim=1)
    labels = torch.randint(4, (200,), generator=generator)
    for evidence in ask(points, labels, 4):
        likeliest = evidence.argmax(1) == labels
        # a quarter, within 4 standard errors
        assert abs(float(likeliest.double().mean()) - 0.25) < 4 * (0.25 * 0.75 / 200) ** 0.5


@pytest.mark.parametrize("groups", [None, torch.arange(50) // 3, torch.arange(50) % 2])
def test_each_sample_is_in_one_fold_and_its_group_with_it(groups):
    points, labels = gaussian_classes(50, 4, 8)
    folds = FeatureWitnesses(points, labels, 4, 5, groups, silent).folds
    assert torch.cat(list(folds)).sort().values.tolist() == list(range(50))
    assert len(folds) == (2 if groups is not None and groups.max() == 1 else 10)
    if groups is not None:
        of_folds = [set(groups[rows].tolist()) for rows in folds]
        assert sum(map(len, of_folds)) == len(groups.unique())


def test_folds_do_not_depend_on_the_order_of_samples():
    points, labels = gaussian_classes(50, 4, 8)
    order = torch.randperm(50, generator=torch.Generator().manual_seed(0))
    one, other = (
        FeatureWitnesses(points[rows], labels[rows], 4, 5, None, silent).folds
        for rows in (torch.arange(50), order)
    )
    assert [set(order[rows].tolist()) for rows in other] == [set(rows.tolist()) for rows in one]


def test_the_classes_in_question_hold_the_label_and_the_nearest(monkeypatch):
    points, labels = gaussian_classes(300, 30, 16)
    wrong = labels.clone()
    wrong[:3] = (labels[:3] + 7) % 30
    monkeypatch.setattr(witnesses, "_MOST_CLASSES", 6)
    classes = FeatureWitnesses(points, wrong, 30, 5, None, silent).classes
    assert classes.shape == (300, 6)
    for wanted in (labels, wrong):
        assert (classes == wanted[:, None]).any(1).all()


def test_probabilities_given_are_taken_by_class():
    probabilities = torch.tensor([[0.5, 0.25, 0.25, 0.0]])
    found = GivenProbabilities(probabilities).ask(torch.tensor([[3, 0]]))
    assert found[0, 1].exp() == 0.5
    assert -100 < found[0, 0] < -80
