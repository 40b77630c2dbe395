"""The class tree in few levels."""

import pytest
import torch

from pml_ahsml.audit.class_groups import class_groups


def distances(points):
    return (points[:, None] - points[None]).abs()


def below(groups, g=0):
    """The classes of a group and of the groups in it."""
    found = set(groups[g].classes)
    for inner in groups[g].groups:
        classes = below(groups, inner)
        assert not found & classes
        found |= classes
    assert len(found) == groups[g].size
    return found


@pytest.mark.parametrize(("num_classes", "branches"), [(2, 2), (10, 3), (40, 4), (150, None)])
def test_every_class_is_there_once(num_classes, branches, generator):
    groups = class_groups(distances(torch.rand(num_classes, generator=generator)), branches)
    assert below(groups) == set(range(num_classes))
    assert sorted(inner for group in groups for inner in group.groups) == [*range(1, len(groups))]
    most = branches or 10
    assert max(len(group.groups) + len(group.classes) for group in groups) <= most
    # a group that could be split further is full
    for group in groups:
        assert not group.groups or len(group.groups) + len(group.classes) == most
        assert [groups[g].size for g in group.groups] == sorted(
            (groups[g].size for g in group.groups), reverse=True
        )


def test_clusters_become_groups():
    points = torch.tensor([0.0, 10, 20, 0.1, 10.1, 20.1, 0.2, 10.2, 20.2])
    groups = class_groups(distances(points))  # √9 = 3 branches
    assert groups[0].classes == ()
    found = {frozenset(below(groups, g)) for g in groups[0].groups}
    assert found == {frozenset({0, 3, 6}), frozenset({1, 4, 7}), frozenset({2, 5, 8})}


def test_a_chain_of_classes_is_no_trouble():
    """Each class joins all before it: a binary tree as deep as there are classes."""
    groups = class_groups(distances(1.01 ** torch.arange(1500.0)))
    assert len(groups) > 100
    assert sum(len(group.classes) for group in groups) == 1500


def test_classes_without_samples_are_left_out():
    matrix = distances(torch.tensor([0.0, 1, 2, 3]))
    matrix[1] = matrix[:, 1] = torch.nan
    assert below(class_groups(matrix)) == {0, 2, 3}


@pytest.mark.parametrize("seen", [0, 1])
def test_one_class_is_no_tree(seen):
    matrix = torch.full((3, 3), torch.nan)
    matrix[:seen, :seen] = 0
    assert class_groups(matrix) == []
