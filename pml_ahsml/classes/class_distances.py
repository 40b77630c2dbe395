"""What the label model judges by."""

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from .class_means import Groups, weighted_means
from .nearest_classes import Candidates
from .neighbourhoods import Neighbourhoods


@dataclass(frozen=True)
class ClassDistances:
    """Where the samples of a batch and their labels lie among the classes.

    The columns are all K classes in order or, where they are too many, C candidates of each sample.

    Args:
        points: (N, D + 1) the samples, as points of the hyperboloid in float64.
        distances: (N, K) geodesic distances of the samples to the class centroids, inf for classes
            never seen.
        label_distances: (N, K) geodesic distances between the centroid of each sample's label and
            those of the classes, inf for classes never seen.
        neighbourhoods: of all classes, for the normaliser of the confusion prior.
        seen: (K,) bool: the classes that have a centroid.
        candidates: the classes of the columns, or None for all.
        view_ids: (N,) which sample each row is a view of, or None where each row is a sample.
    """

    points: Tensor
    distances: Tensor
    label_distances: Tensor
    neighbourhoods: Neighbourhoods
    seen: Tensor
    candidates: Candidates | None = None
    view_ids: Tensor | None = None

    def own_columns(self, labels: Tensor) -> Tensor:
        """(N,) the column of each sample's label."""
        return labels if self.candidates is None else torch.zeros_like(labels)

    def classes_of(self, columns: Tensor) -> Tensor:
        """(N,) the class of one column of each sample."""
        if self.candidates is None:
            return columns
        return self.candidates.classes.gather(1, columns[:, None]).squeeze(1)

    def column_neighbourhoods(self) -> Neighbourhoods:
        """The neighbourhoods of the classes of the columns: (K, M) or (N, C, M)."""
        if self.candidates is None:
            return self.neighbourhoods
        return self.neighbourhoods.of(self.candidates.classes)

    def by_column(self, values: Tensor) -> Tensor:
        """(K,) or (N, C): a value of each class, for its columns."""
        return values if self.candidates is None else values[self.candidates.classes]

    def column_weights(self) -> Tensor:
        """(K,) or (N, C): how many classes a column stands for, 0 for one never seen."""
        if self.candidates is None:
            return self.seen.to(self.distances)
        return self.candidates.weights.to(self.distances)

    def one_by_one(self, values: Tensor) -> Tensor:
        """(N, K) or (N, C): values of the columns, 0 where one stands for several classes."""
        if self.candidates is None:
            return values
        return values.masked_fill(self.candidates.weights > 1, 0)

    def for_all_classes(self, posterior: Tensor) -> Tensor:
        """(N, K): a distribution over the columns, spread evenly where one stands for several.

        Args:
            posterior: (N, K) or (N, C), rows sum to 1.
        """
        if self.candidates is None:
            return posterior
        classes, weights = self.candidates
        is_single = weights == 1
        singles = posterior * is_single
        others = self.seen.sum() - is_single.sum(1, keepdim=True)
        rest = (1 - singles.sum(1, keepdim=True)).clamp_min(0) / others.clamp_min(1)
        full = rest * self.seen
        # added, as a class may be in two columns, of which one has weight 0
        return full.scatter_add_(1, classes, is_single * (posterior - rest))

    def select(self, rows: Tensor) -> "ClassDistances":
        """The evidence of some samples.

        Args:
            rows: (N,) bool.
        """
        candidates = self.candidates
        return replace(
            self,
            points=self.points[rows],
            distances=self.distances[rows],
            label_distances=self.label_distances[rows],
            candidates=candidates and Candidates(*(table[rows] for table in candidates)),
            view_ids=None if self.view_ids is None else self.view_ids[rows],
        )

    def averaged(self, view_ids: Tensor) -> "ClassDistances":
        """The distances of each sample averaged over its views, so that all are judged alike.

        Args:
            view_ids: (N,) integers; views of one sample share theirs, and their candidates.
        """
        return replace(self, distances=mean_over_views(self.distances, view_ids), view_ids=view_ids)


def mean_over_views(values: Tensor, view_ids: Tensor) -> Tensor:
    """The mean of the rows with the same id, in each of them.

    Args:
        values: (N, C).
        view_ids: (N,) integers.

    Returns:
        (N, C).

    Example:
        >>> mean_over_views(torch.tensor([[1.0], [2.0], [4.0]]), torch.tensor([7, 0, 7]))
        tensor([[2.5000],
                [2.0000],
                [2.5000]])
    """
    samples = Groups.by(view_ids)
    means, _ = weighted_means(values, samples, values.new_ones(len(values)))
    return means[samples.of_rows]
