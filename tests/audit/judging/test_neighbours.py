"""Nearest samples and their votes against loops."""

import math

import pytest
import torch

from pml_ahsml.audit.judging import neighbours
from pml_ahsml.audit.judging.neighbours import log_votes, nearest_others
from tests.audit.judging.made import dense, gaussian_classes, soft_beliefs

N, K, D, C = 60, 5, 4, 3


def naive_nearest(points, i, count, groups):
    """Rows of the largest cosines to sample i, outside of its group; -1 where there are no more."""
    cosines = {
        j: float(points[i].double() @ points[j].double())
        for j in range(len(points))
        if groups[j] != groups[i]
    }
    rows = sorted(cosines, key=cosines.__getitem__, reverse=True)[:count]
    return rows + [-1] * (count - len(rows))


@pytest.mark.parametrize("block", [(2048, 8192), (7, 11)])
@pytest.mark.parametrize("groups", [None, torch.arange(N) // 7, torch.arange(N).clamp_max(30)])
@pytest.mark.parametrize("count", [1, 6, 35, 100])
def test_neighbours_are_the_nearest_samples_of_other_groups(monkeypatch, block, groups, count):
    monkeypatch.setattr(neighbours, "_BLOCK", block)
    points, _ = gaussian_classes(N, K, D)
    found = nearest_others(points, count, groups)
    of = range(N) if groups is None else groups.tolist()
    assert found.tolist() == [naive_nearest(points, i, count, of) for i in range(N)]


def test_copies_are_neighbours_and_the_sample_itself_is_not():
    found = nearest_others(torch.ones(30, 1), 4)
    assert (found >= 0).all()
    assert not (found == torch.arange(30)[:, None]).any()


def test_many_samples_are_searched_in_cells(monkeypatch):
    pytest.importorskip("faiss", reason="faiss is not installed")
    points, _ = gaussian_classes(2000, 20, 8)
    exact = nearest_others(points, 5)
    monkeypatch.setattr(neighbours, "MANY", 2000)
    found = nearest_others(points, 5)
    assert not (found == torch.arange(2000)[:, None]).any()
    same = (found[:, :, None] == exact[:, None]).any(2)
    # half precision and cells not searched
    assert same.double().mean() >= 0.9


def test_without_faiss_many_samples_are_compared_one_by_one(monkeypatch):
    points, _ = gaussian_classes(300, 20, 8)
    exact = nearest_others(points, 5)
    monkeypatch.setattr(neighbours, "MANY", 300)
    monkeypatch.setattr(neighbours, "has_faiss", lambda: False)
    assert torch.equal(nearest_others(points, 5), exact)


@pytest.mark.parametrize("block", [1 << 19, 7 * K])
def test_votes_are_sums_of_beliefs(monkeypatch, block):
    monkeypatch.setattr(neighbours, "_VOTES", block)
    beliefs = soft_beliefs(N, K, C)
    generator = torch.Generator().manual_seed(1)
    near = torch.randint(-1, N, (N, 4), generator=generator)
    near[0] = -1
    shares = torch.tensor([0.1, 0.3, 0.0, 0.4, 0.2])
    classes = soft_beliefs(N, K, 4, seed=2).classes
    found = log_votes(near, beliefs, classes, shares)
    table = dense(beliefs, K)
    for i in range(N):
        rows = [j for j in near[i].tolist() if j >= 0]
        for c, k in enumerate(classes[i].tolist()):
            votes = sum(float(table[j, k]) for j in rows) + float(shares[k])
            smallest = torch.finfo(torch.float32).tiny
            expected = math.log(max(votes / (len(rows) + 1), smallest))
            assert float(found[i, c]) == pytest.approx(expected, rel=1e-5, abs=1e-5)
