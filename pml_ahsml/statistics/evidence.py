"""What the label model judges by."""

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from ..functional.confusion_prior import Neighbourhoods


@dataclass(frozen=True)
class Evidence:
    """Where the samples of a batch and their labels lie among the classes.

    Args:
        points: (N, D + 1) the samples, as points of the hyperboloid in float64.
        distances: (N, K) geodesic distances of the samples to the class centroids, inf for classes
            never seen.
        label_distances: (N, K) geodesic distances between the centroid of each sample's label and
            those of all classes, inf for classes never seen.
        neighbourhoods: distances between classes, for the normaliser of the confusion prior.
        seen: (K,) bool: the classes that have a centroid.
    """

    points: Tensor
    distances: Tensor
    label_distances: Tensor
    neighbourhoods: Neighbourhoods
    seen: Tensor

    def select(self, rows: Tensor) -> "Evidence":
        """The evidence of some samples.

        Args:
            rows: (N,) bool.
        """
        return replace(
            self,
            points=self.points[rows],
            distances=self.distances[rows],
            label_distances=self.label_distances[rows],
        )

    def averaged(self, view_ids: Tensor) -> "Evidence":
        """The distances of each sample averaged over its views, so that all are judged alike.

        Args:
            view_ids: (N,) integers; views of one sample share theirs.
        """
        ids, rows = view_ids.unique(return_inverse=True)
        sums = self.distances.new_zeros(len(ids), self.distances.shape[1])
        sums.index_add_(0, rows, self.distances)
        counts = torch.bincount(rows, minlength=len(ids)).to(sums.dtype)
        return replace(self, distances=(sums / counts[:, None])[rows])
