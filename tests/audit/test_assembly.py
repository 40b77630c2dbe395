"""An audit, put together from an opinion."""

import pytest
import torch

from pml_ahsml.audit import assembly
from pml_ahsml.audit.arguments import Classes
from pml_ahsml.audit.assembly import Opinion, assembled, class_means
from pml_ahsml.audit.judging.neighbours import nearest_others
from pml_ahsml.audit.judging.unusual_samples import contradicting_duplicates, far_from_all
from tests.audit.judging.made import gaussian_classes

CLASSES = Classes(("a", "b", "c", "d"))


def made():
    points, labels = gaussian_classes(50, 4, 6)
    points[1] = points[0]
    opinion = Opinion(
        trust=torch.rand(50, generator=torch.Generator().manual_seed(0)),
        suggested=(labels + 1) % 3,
        confidence=torch.full((50,), 0.7),
        is_judged=torch.arange(50) > 3,
        noise_rate=0.2,
        noise_rate_interval=(0.1, 0.3),
    )
    return points, labels, opinion, nearest_others(points, 5)


def test_the_opinion_stays_as_it_is_and_the_rest_comes_from_the_points():
    points, labels, opinion, near = made()
    audit = assembled(points, labels, opinion, near, CLASSES, None)
    for name in ("trust", "suggested", "confidence", "is_judged", "noise_rate"):
        assert getattr(audit, name) is getattr(opinion, name)
    assert audit.noise_rate_interval == (0.1, 0.3)
    assert audit.labels is labels
    assert audit.neighbours is near
    assert torch.equal(audit.is_of_no_class, far_from_all(points, near))
    pairs, cosines = contradicting_duplicates(points, labels, near)
    assert torch.equal(audit.duplicate_pairs, pairs)
    assert [0, 1] in pairs.tolist()
    assert torch.equal(audit.duplicate_similarity, cosines)


def test_distances_of_classes_are_those_of_the_means_of_what_is_suggested():
    points, labels, opinion, near = made()
    audit = assembled(points, labels, opinion, near, CLASSES, None)
    found = audit.class_distances
    for a in range(3):
        for b in range(3):
            means = [points[opinion.suggested == k].double().mean(0) for k in (a, b)]
            expected = float((means[0] - means[1]).norm())
            # the distance of a mean to itself is the root of what rounding leaves
            assert float(found[a, b]) == pytest.approx(expected, abs=1e-3 if a == b else 1e-5)
    assert found[3].isnan().all()


def test_with_too_many_classes_there_is_no_tree(monkeypatch):
    points, labels, opinion, near = made()
    for most, is_there in ((4, True), (3, False)):
        monkeypatch.setattr(assembly, "_MOST_OF_A_TREE", most)
        audit = assembled(points, labels, opinion, near, CLASSES, None)
        assert (audit.class_distances is not None) == is_there


def test_means_of_classes():
    points, labels = gaussian_classes(50, 4, 6)
    found = class_means(points, labels, 5)
    for k in range(4):
        expected = points[labels == k].double().mean(0).float()
        torch.testing.assert_close(found[k], expected, rtol=0, atol=1e-6)
    assert found[4].isnan().all()


def test_labels_are_shown_by_the_values_of_their_classes():
    points, labels, opinion, near = made()
    values = torch.tensor([5, 7, 1000, 10**15])
    audit = assembled(points, labels, opinion, near, Classes(CLASSES.names, values), None)
    assert torch.equal(audit.labels, values[labels])
    assert torch.equal(audit.suggested, values[opinion.suggested])
    plain = assembled(points, labels, opinion, near, CLASSES, None)
    is_there = plain.class_distances.isfinite()
    assert is_there.any()
    torch.testing.assert_close(audit.class_distances[is_there], plain.class_distances[is_there])
    assert audit.class_distances[~is_there].isnan().all()
    for of in ("suspects", "classes", "confusions", "duplicates"):
        assert repr(getattr(audit, of)()) == repr(getattr(plain, of)())
