"""Means of the samples of each class in a batch, and their sampling error."""

from typing import NamedTuple

import torch
from torch import Tensor

from ..hyperbolic.products import row_products
from ..precision import exact_dtype

# Smallest squared deviation: without it a sample at the mean would have infinite weight.
_SMALLEST_SQUARE = 1e-12

# Steps of reweighting. One suffices if most labels are right, two if half of them are.
_STEPS = 2

# Below this, n − 1 is a rounding error of 0.
_SMALLEST_FREEDOM = 1e-6


class LabelOrder(NamedTuple):
    """The labels of a batch in ascending order.

    Args:
        ordered: (N,).
        is_again: (N,) bool, the places at which a label is not the first of its kind.
    """

    ordered: Tensor
    is_again: Tensor

    @classmethod
    def of(cls, labels: Tensor) -> "LabelOrder":
        """Sort (N,) labels."""
        ordered = labels.sort().values
        again = torch.nn.functional.pad(ordered[1:] == ordered[:-1], (1, 0), value=False)
        return cls(ordered, again[: len(labels)])

    def groups(self, labels: Tensor, repetitions: int) -> "Groups":
        """Group rows by label, as :meth:`Groups.by`, without waiting for the device.

        Args:
            labels: (N,) the labels that were sorted.
            repetitions: the sum of ``is_again``.

        Example:
            >>> labels = torch.tensor([7, 0, 7])
            >>> LabelOrder.of(labels).groups(labels, 1)
            Groups(values=tensor([0, 7]), of_rows=tensor([1, 0, 1]))
        """
        highest = torch.iinfo(labels.dtype).max
        firsts = self.ordered.masked_fill(self.is_again, highest).sort().values
        values = firsts[: len(labels) - repetitions]
        return Groups(values, torch.searchsorted(values, labels))


class Groups(NamedTuple):
    """Groups of the rows of a batch.

    Args:
        values: (G,) label of each group, ascending.
        of_rows: (N,) group of each row, in [0, G).
    """

    values: Tensor
    of_rows: Tensor

    @classmethod
    def by(cls, labels: Tensor) -> "Groups":
        """Group rows by label.

        Args:
            labels: (N,) labels.

        Example:
            >>> Groups.by(torch.tensor([7, 0, 7]))
            Groups(values=tensor([0, 7]), of_rows=tensor([1, 0, 1]))
        """
        return cls(*labels.unique(return_inverse=True))

    def sum(self, x: Tensor) -> Tensor:
        """Sum the rows of each group.

        Args:
            x: (N, …) rows.

        Returns:
            (G, …) sums.
        """
        return x.new_zeros(len(self.values), *x.shape[1:]).index_add_(0, self.of_rows, x)

    def select(self, rows: Tensor) -> "Groups":
        """Return the groups of some rows, (M,) indices; those without any are still there."""
        return Groups(self.values, self.of_rows[rows])

    def add_to_columns(self, table: Tensor, rows: Tensor) -> None:
        """Add the sum of each group to the column of its label, in place.

        Args:
            table: (K, L), with a column for each label.
            rows: (N, K).

        Example:
            >>> table = torch.zeros(2, 3)
            >>> Groups.by(torch.tensor([2, 0, 2])).add_to_columns(table, torch.eye(2)[[0, 1, 1]])
            >>> table
            tensor([[0., 0., 1.],
                    [1., 0., 1.]])
        """
        # summed in float64, so that the order of the rows (the rank that gathered) does not matter
        sums = self.sum(rows.to(exact_dtype(rows)))
        table.index_add_(1, self.values, sums.T.to(table))


def weighted_means(points: Tensor, groups: Groups, weights: Tensor) -> tuple[Tensor, Tensor]:
    """Compute the weighted mean of each group: x̄_k = Σ_{i∈k} w_i·x_i / Σ_{i∈k} w_i.

    Args:
        points: (N, D) points; in float64 the order of the rows does not change the result.
        groups: G groups of the N rows.
        weights: (N,) weights ≥ 0.

    Returns:
        means: (G, D) means, nan for a group without weight.
        totals: (G,) Σ w_i.

    Example:
        >>> x = torch.tensor([[1.0], [2.0], [5.0]])
        >>> weighted_means(x, Groups.by(torch.tensor([0, 0, 1])), torch.tensor([3.0, 1.0, 1.0]))
        (tensor([[1.2500],
                [5.0000]]), tensor([4., 1.]))
    """
    return _means_of_columns(_with_ones(points), groups, weights.to(points))


def _with_ones(points: Tensor) -> Tensor:
    """(N, D + 1) with a column of ones, whose weighted sums are the total weights."""
    return torch.nn.functional.pad(points, (0, 1), value=1.0)


def _means_of_columns(columns: Tensor, groups: Groups, weights: Tensor) -> tuple[Tensor, Tensor]:
    sums = groups.sum(columns * weights[:, None])
    totals = sums[:, -1]
    return sums[:, :-1] / totals[:, None], totals


def robust_weights(points: Tensor, groups: Groups, weights: Tensor) -> Tensor:
    """Give less weight to points far from the other points of their class.

    Two steps of an iteratively reweighted mean: w′_i ← w_i·(min_{j∈k} d_j / d_i)² for i in group k,
    where d_i = ‖x_i − x̄_k‖ is the distance from the mean with the previous weights w′, at first w.
    If two of four samples are right and coincide, a wrong sample has 3/7 of the weight of a right
    one after the first step and 1/9 after the second. More steps would end at a single sample.

    Args:
        points: (N, D) points.
        groups: the classes, as groups of the N rows.
        weights: (N,) weights w ≥ 0, not all 0 in a group.

    Returns:
        (N,) weights in [0, w_i].

    Example:
        >>> x = torch.tensor([[0.0], [0.0], [0.0], [4.0]])
        >>> robust_weights(x, Groups.by(torch.zeros(4)), torch.ones(4))
        tensor([1.0000, 1.0000, 1.0000, 0.0014])
    """
    robust, columns = weights.to(points), _with_ones(points)
    for _ in range(_STEPS):
        means, totals = _means_of_columns(columns, groups, robust)
        gaps = points - means[groups.of_rows]
        squares = row_products(gaps, gaps).clamp_min_(_SMALLEST_SQUARE)
        # for the next mean, only the ratios within a class matter
        robust = weights / squares
    least = totals.scatter_reduce(0, groups.of_rows, squares, "amin", include_self=False)
    robust = least[groups.of_rows] / squares * weights
    return robust


def means_and_errors(
    points: Tensor, groups: Groups, weights: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Compute the weighted mean of each group, and its squared standard error.

    x̄_k as in :func:`weighted_means`, and
    V_k = (Σ_{i∈k} w_i·‖x_i − x̄_k‖² / Σ w_i) / (n_k − 1), with the effective number of points
    n_k = (Σ w_i)² / Σ w_i².

    Args:
        points: (N, D) points in float64.
        groups: G groups of the N rows.
        weights: (N,) weights ≥ 0.

    Returns:
        means: (G, D) means, nan for a group without weight.
        totals: (G,) Σ w_i.
        errors: (G,) squared errors ≥ 0; nan for a group in which only one point has weight.

    Example:
        >>> x, groups = torch.tensor([[0.0], [2.0]]), Groups.by(torch.tensor([0, 0]))
        >>> means_and_errors(x, groups, torch.ones(2))
        (tensor([[1.]]), tensor([2.]), tensor([1.]))
    """
    weights = weights.to(points)
    # all sums by one
    columns = torch.cat([points, row_products(points, points)[:, None], weights[:, None]], 1)
    averages, totals = weighted_means(columns, groups, weights)
    means, (lengths, mean_weights) = averages[:, :-2], averages[:, -2:].unbind(1)
    # Σ w·‖x − x̄‖² = Σ w·‖x‖² − ‖x̄‖²·Σ w
    scatter = (lengths - row_products(means, means)).clamp_min_(0)
    freedom = totals / mean_weights - 1
    # nan if it is a rounding error of 0
    known = torch.nn.functional.threshold(freedom, _SMALLEST_FREEDOM, torch.nan)
    return means, totals, scatter / known
