"""Far-out samples and near-duplicates against loops."""

import math

import torch

from pml_ahsml.audit.judging.neighbours import nearest_others
from pml_ahsml.audit.judging.unusual_samples import (
    contradicting_duplicates,
    distances,
    far_from_all,
)
from tests.audit.judging.made import gaussian_classes


def naive_far(points, neighbours):
    logs = {}
    for i, row in enumerate(neighbours.tolist()):
        gaps = [math.dist(points[i].tolist(), points[j].tolist()) for j in row if j >= 0]
        if gaps:
            logs[i] = math.log(sum(gaps) / len(gaps))
    ordered = sorted(logs.values())
    lower, upper = (ordered[round(share * (len(ordered) - 1))] for share in (0.25, 0.75))
    limit = upper + 3 * max(upper - lower, 1e-3)
    return [i in logs and logs[i] > limit for i in range(len(points))]


def test_far_out_samples_are_tukeys():
    points, _ = gaussian_classes(200, 4, 6, spread=0.1)
    generator = torch.Generator().manual_seed(1)
    points[:5] = torch.nn.functional.normalize(torch.randn(5, 6, generator=generator), dim=1)
    near = nearest_others(points, 5)
    near[7] = -1
    near[8, 2:] = -1
    found = far_from_all(points, near)
    assert found.tolist() == naive_far(points, near)
    assert 0 < found.sum() < 20
    assert not found[7]


def test_what_differs_by_rounding_is_not_far_out():
    angles = 2 * math.pi * torch.arange(100) / 100
    ring = torch.stack([angles.cos(), angles.sin()], 1)
    assert not far_from_all(ring, nearest_others(ring, 2)).any()
    copies = torch.ones(20, 1)
    assert not far_from_all(copies, nearest_others(copies, 3)).any()


def test_without_neighbours_nothing_is_far_out():
    assert far_from_all(torch.eye(3), torch.full((3, 2), -1)).tolist() == [False] * 3


def test_distances_of_copies_are_zero():
    points, _ = gaussian_classes(20, 2, 300)
    points[1] = points[0]
    found = distances(points, torch.tensor([[1, 2]] * 20))
    assert found[0, 0] == 0
    expected = math.dist(points[5].tolist(), points[2].tolist())
    assert abs(float(found[5, 1]) - expected) < 1e-6


def test_near_duplicates_are_much_nearer_than_others_and_labelled_otherwise():
    points, labels = gaussian_classes(100, 5, 6)
    generator = torch.Generator().manual_seed(2)
    labels[1], labels[11], labels[21] = 0, 1, 2
    for source, copy, scale in ((0, 90, 0.0), (1, 91, 1e-3), (2, 92, 0.0), (11, 93, 2e-3)):
        points[copy] = points[source] + scale * torch.randn(6, generator=generator)
        labels[copy] = (labels[source] + 1) % 5
    labels[92] = labels[2]  # a copy that agrees
    points = torch.nn.functional.normalize(points, dim=1)
    near = nearest_others(points, 4)
    firsts = sorted(
        math.dist(points[i].tolist(), points[j].tolist()) for i, j in enumerate(near[:, 0].tolist())
    )
    limit = 0.1 * firsts[(len(firsts) - 1) // 2]
    expected = {
        (min(i, j), max(i, j))
        for i, row in enumerate(near.tolist())
        for j in row
        if labels[i] != labels[j] and math.dist(points[i].tolist(), points[j].tolist()) <= limit
    }
    pairs, cosines = contradicting_duplicates(points, labels, near)
    assert {tuple(pair) for pair in pairs.tolist()} == expected
    assert expected >= {(0, 90), (1, 91), (11, 93)}
    assert len(pairs) == len(expected)
    assert (cosines.diff() <= 0).all()
    torch.testing.assert_close(cosines, (points[pairs[:, 0]] * points[pairs[:, 1]]).sum(1))


def test_without_neighbours_there_are_no_duplicates():
    pairs, cosines = contradicting_duplicates(torch.eye(3), torch.arange(3), torch.full((3, 2), -1))
    assert pairs.shape == (0, 2)
    assert cosines.shape == (0,)
