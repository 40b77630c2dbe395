"""Searches in cells against a comparison with all samples."""

import pytest
import torch

from pml_ahsml.audit.judging import cells
from pml_ahsml.audit.judging.cells import nearest_in_cells
from tests.audit.judging.made import gaussian_classes

pytest.importorskip("faiss", reason="faiss is not installed")

N, D = 2000, 8

# A component of half precision is rounded by 2⁻¹¹ of itself, so a cosine of rows of norm 1 by as
# much at most.
HALF = 2**-11


def naive_cosines(points, groups, count):
    cosines = points.double() @ points.double().T
    return cosines.masked_fill(groups[:, None] == groups, -torch.inf).topk(count).values


GROUPS = {
    "none": torch.arange(N),
    "pairs": torch.arange(N) // 2,
    "small and large": (torch.arange(N) // 10).clamp_min(30),
    "large": torch.arange(N) % 4,
    "far apart": torch.randint(40, (N,), generator=torch.Generator().manual_seed(1)),
}


@pytest.mark.parametrize("groups", GROUPS.values(), ids=GROUPS.keys())
def test_the_nearest_of_other_groups_are_found_where_all_cells_are_searched(monkeypatch, groups):
    monkeypatch.setattr(cells, "_SEARCHED", 10_000)
    monkeypatch.setattr(cells, "_ROWS", 300)
    points, _ = gaussian_classes(N, 20, D)
    found = nearest_in_cells(points, 5, groups)
    assert (found >= 0).all()
    assert not (groups[found] == groups[:, None]).any()
    cosines = (points[found].double() * points[:, None].double()).sum(2)
    # two cosines change places if they are nearer than what both are rounded by
    torch.testing.assert_close(cosines, naive_cosines(points, groups, 5), rtol=0, atol=2 * HALF)


def test_a_group_that_fills_the_cells_around_it_finds_others_further_away(monkeypatch):
    monkeypatch.setattr(cells, "_SEARCHED", 1)
    points, classes = gaussian_classes(N, 4, D, spread=0.05)
    found = nearest_in_cells(points, 5, classes)
    assert (found >= 0).all()
    assert not (classes[found] == classes[:, None]).any()


def test_where_there_are_no_more_rows_are_missing():
    points, _ = gaussian_classes(N, 4, D)
    groups = torch.where(torch.arange(N) < N - 3, 0, torch.arange(N))
    found = nearest_in_cells(points, 5, groups)
    assert ((found[: N - 3] >= 0).sum(1) == 3).all()
    assert (found[N - 3 :] >= 0).all()
    assert (found[: N - 3, :3].sort(1).values == torch.arange(N - 3, N)).all()


def test_a_large_group_costs_no_more_columns(monkeypatch):
    searches = []
    search = cells._Cells.search

    def counted(self, rows, count, searched, left_out=None):
        searches.append((len(rows), count))
        return search(self, rows, count, searched, left_out)

    monkeypatch.setattr(cells._Cells, "search", counted)
    points, _ = gaussian_classes(N, 20, D)
    nearest_in_cells(points, 5, torch.randint(4, (N,), generator=torch.Generator().manual_seed(0)))
    assert len(searches) == 4
    assert sum(rows for rows, _ in searches) == N
    assert {count for _, count in searches} == {5}
