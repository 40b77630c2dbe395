"""Distances between the samples of a batch and the classes, input of the label model."""

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from ..hyperbolic.hyperboloid import hyperboloid_unlift
from .class_means import Groups, weighted_means
from .nearest_classes import Candidates
from .neighbourhoods import Neighbourhoods


@dataclass(frozen=True)
class ClassDistances:
    """Distances of the samples of a batch, and of their labels, to the classes.

    The columns are all K classes in order or, with too many classes, C candidates of each sample.

    Args:
        points: (N, D + 1) samples as points of the hyperboloid, in float64.
        distances: (N, K) geodesic distances of the samples to the class centroids, inf for classes
            never seen.
        label_distances: (N, K) geodesic distances between the centroid of each sample's label and
            those of the classes, inf for classes never seen.
        neighbourhoods: neighbourhoods of all classes, for the normaliser of the confusion prior.
        seen: (K,) bool: the classes that have a centroid.
        candidates: the classes of the columns; None if the columns are all classes.
        view_ids: (N,) sample that each row is a view of; None if each row is a sample.
        sample_ids: (N,) the sample's row in the training set; None if unknown.
        groups: the samples by label; None if not known yet.
        tangent: (N, D) the samples as tangent vectors √c·u in float32; None if they have to be
            computed from the points.
        directions: (N, D) their embeddings, normalised; None if there is no centre.
    """

    points: Tensor
    distances: Tensor
    label_distances: Tensor
    neighbourhoods: Neighbourhoods
    seen: Tensor
    candidates: Candidates | None = None
    view_ids: Tensor | None = None
    sample_ids: Tensor | None = None
    groups: Groups | None = None
    tangent: Tensor | None = None
    directions: Tensor | None = None

    @property
    def coordinates(self) -> Tensor:
        """(N, D) tangent vectors √c·u in float32; far points do not outweigh all others in them."""
        if self.tangent is None:
            return hyperboloid_unlift(self.points, 1.0).float()
        return self.tangent

    def own_columns(self, labels: Tensor) -> Tensor:
        """Return the column of each sample's label, (N,)."""
        return labels if self.candidates is None else torch.zeros_like(labels)

    def classes_of(self, columns: Tensor) -> Tensor:
        """Return the class of one column of each sample, (N,)."""
        if self.candidates is None:
            return columns
        return self.candidates.classes.gather(1, columns[:, None]).squeeze(1)

    def column_neighbourhoods(self) -> Neighbourhoods:
        """Return the neighbourhoods of the columns' classes, (K, M) or (N, C, M)."""
        if self.candidates is None:
            return self.neighbourhoods
        return self.neighbourhoods.of(self.candidates.classes)

    def by_column(self, values: Tensor) -> Tensor:
        """Arrange one value per class by column, (K,) or (N, C)."""
        return values if self.candidates is None else values[self.candidates.classes]

    def column_weights(self) -> Tensor:
        """Return the number of classes a column represents, (K,) or (N, C); 0 if never seen."""
        if self.candidates is None:
            return self.seen.to(self.distances)
        return self.candidates.weights.to(self.distances)

    def of_single_classes(self, values: Tensor) -> Tensor:
        """Set values of columns that represent several classes to 0, (N, K) or (N, C)."""
        if self.candidates is None:
            return values
        return values.masked_fill(self.candidates.weights > 1, 0)

    def for_all_classes(self, posterior: Tensor) -> Tensor:
        """Expand a distribution over the columns to all classes.

        Columns that represent several classes are spread evenly over the classes not listed.

        Args:
            posterior: (N, K) or (N, C) probabilities, rows sum to 1.

        Returns:
            (N, K) probabilities.
        """
        if self.candidates is None:
            return posterior
        classes, weights = self.candidates
        is_single = weights == 1
        singles = posterior * is_single
        others = self.seen.sum() - is_single.sum(1, keepdim=True)
        rest = (1 - singles.sum(1, keepdim=True)).clamp_min(0) / others.clamp_min(1)
        full = rest * self.seen
        # add, because a class may be in two columns, one of them with weight 0
        return full.scatter_add_(1, classes, is_single * (posterior - rest))

    def for_columns(self, posterior: Tensor) -> Tensor:
        """Restrict a distribution over all classes to the columns.

        The inverse of :meth:`for_all_classes`. The probability of classes not listed goes to the
        columns that represent several classes; if nothing else is left, to the given label.

        Args:
            posterior: (N, K) probabilities, rows sum to 1.

        Returns:
            (N, K) or (N, C) probabilities, rows sum to 1.
        """
        if self.candidates is None:
            return posterior
        classes, weights = self.candidates
        singles = posterior.gather(1, classes) * (weights == 1)
        several = weights * (weights > 1)
        share = several / several.sum(1, keepdim=True).clamp_min(1)
        rest = (1 - singles.sum(1, keepdim=True)).clamp_min(0)
        columns = singles + rest * share.to(posterior)
        total = columns.sum(1, keepdim=True)
        is_own = torch.arange(columns.shape[1], device=columns.device) == 0
        return torch.where(total > 0, columns / total, is_own.to(columns))

    def select(self, rows: Tensor) -> "ClassDistances":
        """Return the distances of some samples.

        Args:
            rows: (N,) bool, or (M,) indices of the selected samples.
        """
        candidates = self.candidates
        return replace(
            self,
            points=self.points[rows],
            distances=self.distances[rows],
            label_distances=self.label_distances[rows],
            candidates=candidates and Candidates(*(table[rows] for table in candidates)),
            view_ids=None if self.view_ids is None else self.view_ids[rows],
            sample_ids=None if self.sample_ids is None else self.sample_ids[rows],
            groups=None,
            tangent=None if self.tangent is None else self.tangent[rows],
            directions=None if self.directions is None else self.directions[rows],
        )

    def averaged(self, view_ids: Tensor) -> "ClassDistances":
        """Average the distances over the views of each sample, so that its views are judged alike.

        Args:
            view_ids: (N,) integers; views of one sample share the id and the candidates.
        """
        return replace(self, distances=mean_over_views(self.distances, view_ids), view_ids=view_ids)


def mean_over_views(values: Tensor, view_ids: Tensor) -> Tensor:
    """Replace each row by the mean of the rows with the same id.

    Args:
        values: (N, C) values.
        view_ids: (N,) integers.

    Returns:
        (N, C) means.

    Example:
        >>> mean_over_views(torch.tensor([[1.0], [2.0], [4.0]]), torch.tensor([7, 0, 7]))
        tensor([[2.5000],
                [2.0000],
                [2.5000]])
    """
    samples = Groups.by(view_ids)
    means, _ = weighted_means(values, samples, values.new_ones(len(values)))
    return means[samples.of_rows]
