"""Nearest samples among very many: faiss sorts them into cells and looks into the nearest ones."""

from importlib import import_module
from importlib.util import find_spec
from typing import Any

import numpy as np
import torch
from torch import Tensor

# So many of 4·√N cells are searched. On 1,000,000 rows of 128 dimensions whose variances fall as
# those of trained features do, nine of the ten nearest are found so, and eight with half as many.
_SEARCHED = 32

# The cells are chosen by so many samples each, in so many rounds. Twice as many found no more.
_TRAINED_ON, _ROUNDS = 20, 10

# Samples of one search: what it finds is kept in memory.
_ROWS = 1 << 16

# With small groups, it is cheapest to find some samples more and to drop those of the own group.
# Larger ones are searched for one by one, among all other samples.
_SMALL_GROUP = 32


def has_faiss() -> bool:
    """Whether faiss is installed."""
    return find_spec("faiss") is not None


def nearest_in_cells(points: Tensor, count: int, groups: Tensor) -> Tensor:
    """Find most of the samples with the largest cosine to each sample, its own group left out.

    Args:
        points: (N, D), rows of norm 1.
        count: k.
        groups: (N,) integers.

    Returns:
        (N, k) rows, nearest first by cosines in half precision; -1 where there are no more.

    Source:
        Sivic & Zisserman, Video Google (ICCV 2003): an inverted file; by faiss.
    """
    cells, members = _Cells(points), _Groups(groups)
    found = torch.full((len(points), count), -1)
    # searches for neighbours follow each other, so that the same cells are at hand
    rows, searched = cells.order, _SEARCHED
    while len(rows):
        small, large = members.by_size(rows)
        for part in small:
            near = cells.search(part, count + members.largest_small, searched)
            found[part] = members.others(part, near)[:, :count]
        for part in large:
            found[part] = cells.search(part, count, searched, left_out=members.of(part[0]))
        if searched >= cells.count:
            break
        # the cells around a sample may hold its own group alone
        rows, searched = rows[found[rows, -1] < 0], 4 * searched
    return found


class _Cells:
    """An index of cells over the points."""

    def __init__(self, points: Tensor) -> None:
        # its types do not know search_c
        faiss: Any = import_module("faiss")
        self.faiss, self.points = faiss, points.contiguous().numpy()
        size, self.count = points.shape[1], int(4 * len(points) ** 0.5)
        self.index = faiss.IndexIVFScalarQuantizer(
            faiss.IndexFlatIP(size),
            size,
            self.count,
            faiss.ScalarQuantizer.QT_fp16,
            faiss.METRIC_INNER_PRODUCT,
        )
        self.index.cp.niter, self.index.cp.min_points_per_centroid = _ROUNDS, 1
        step = max(1, len(points) // (_TRAINED_ON * self.count))
        self.index.train(np.ascontiguousarray(self.points[::step]))
        self.index.add(self.points)
        lists = self.index.invlists
        # copies: an array over memory of faiss dies with the index
        ids = [
            faiss.rev_swig_ptr(lists.get_ids(cell), lists.list_size(cell)).copy()
            for cell in range(self.count)
        ]
        #: (N,) rows, those of one cell after each other
        self.order = torch.from_numpy(np.concatenate(ids))

    def search(
        self, rows: Tensor, count: int, searched: int, left_out: Tensor | None = None
    ) -> Tensor:
        """(B, k) the rows nearest to some rows, themselves included unless left out."""
        options: dict[str, Any] = {"nprobe": min(searched, self.count)}
        if left_out is not None:
            batch = self.faiss.IDSelectorBatch(left_out.numpy())
            options["sel"] = self.faiss.IDSelectorNot(batch)
        how = self.faiss.SearchParametersIVF(**options)
        queries = self.points[rows.numpy()]
        cosines = np.empty((len(queries), count), dtype=np.float32)
        found = np.empty((len(queries), count), dtype=np.int64)
        # not search: faiss.contrib.torch_utils, which PML imports, takes the options from it
        arrays = (self.faiss.swig_ptr(array) for array in (cosines, found))
        self.index.search_c(len(queries), self.faiss.swig_ptr(queries), count, *arrays, how)
        return torch.from_numpy(found)


class _Groups:
    """Which rows belong together."""

    def __init__(self, groups: Tensor) -> None:
        self.numbers: Tensor
        self.sizes: Tensor
        _, self.numbers, self.sizes = groups.unique(return_inverse=True, return_counts=True)
        small = self.sizes[self.sizes <= _SMALL_GROUP]
        self.largest_small = int(small.max()) if len(small) else 0
        self.rows, self.ends = self.numbers.argsort(stable=True), self.sizes.cumsum(0)

    def of(self, row: Tensor) -> Tensor:
        """All rows of the group of a row."""
        number = self.numbers[row]
        stop = int(self.ends[number])
        return self.rows[stop - int(self.sizes[number]) : stop]

    def by_size(self, rows: Tensor) -> tuple[list[Tensor], list[Tensor]]:
        """The rows in small groups, a search's worth each, and those of each large group."""
        is_small = self.sizes[self.numbers[rows]] <= _SMALL_GROUP
        small, large = rows[is_small], rows[~is_small]
        numbers, order = self.numbers[large].sort(stable=True)
        counts = numbers.unique_consecutive(return_counts=True)[1]
        parts = small.split(_ROWS) if len(small) else ()
        return list(parts), list(large[order].split(counts.tolist())) if len(large) else []

    def others(self, rows: Tensor, near: Tensor) -> Tensor:
        """The (B, k) rows near each row, those of its own group last and replaced by -1."""
        own = self.numbers[near.clamp_min(0)] == self.numbers[rows, None]
        left_out = own | (near < 0)
        # a stable sort by "left out" keeps the nearest first
        order = left_out.to(torch.int8).sort(dim=1, stable=True).indices
        return near.masked_fill(left_out, -1).gather(1, order)
