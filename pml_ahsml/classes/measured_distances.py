"""Three ways to measure distances of a batch to the classes, by the number of classes."""

import torch
from torch import Tensor

from .centroids import Centroids
from .class_distances import ClassDistances, mean_over_views
from .class_means import Groups
from .nearest_classes import candidate_classes
from .neighbourhoods import Neighbourhoods

# With very many classes: the nearest of each sample, many because its class need not be among the
# very nearest, and evenly spaced others for the rest. The last table of docs/geometry.md shows that
# they change the trust in a label no more than the lists of neighbours do.
_NEAREST, _SAMPLED = 64, 64


def by_all_classes(
    points: Tensor,
    labels: Tensor,
    centroids: Centroids,
    neighbourhoods: Neighbourhoods,
    groups: Groups | None = None,
) -> ClassDistances:
    """Compare samples with all classes.

    The distances of the labels' centroids are those that each class keeps to all others. If it
    keeps only those of its list, they are measured together with the samples' distances.

    Args:
        points: (N, D + 1) points of the hyperboloid.
        labels: (N,) labels as given.
        centroids: centroids of all classes.
        neighbourhoods: of each class with all others, or with those on its list.
        groups: the samples by label; None if not known yet.
    """
    if neighbourhoods.weights is not None:
        groups = Groups.by(labels) if groups is None else groups
        return _measured_together(points, groups, centroids, neighbourhoods)
    distances = centroids.distances(points)
    label_distances = neighbourhoods.distances.index_select(0, labels)
    label_distances.scatter_(1, labels[:, None], 0)
    return ClassDistances(points, distances, label_distances, neighbourhoods, centroids.seen)


def _measured_together(
    points: Tensor, groups: Groups, centroids: Centroids, neighbourhoods: Neighbourhoods
) -> ClassDistances:
    classes, rows = groups
    own = centroids.of(classes)
    # the origin for classes never seen, whose rows mean nothing but must not be nan
    own[:, 0].clamp_min_(1)
    # one product for the samples and the centroids of their labels
    lengths = centroids.distances(torch.cat([points, own]))
    distances, divergence = lengths.split([len(points), len(own)])
    label_distances = divergence.scatter_(1, classes[:, None], 0).index_select(0, rows)
    return ClassDistances(points, distances, label_distances, neighbourhoods, centroids.seen)


def by_candidates(
    points: Tensor,
    labels: Tensor,
    view_ids: Tensor | None,
    centroids: Centroids,
    neighbourhoods: Neighbourhoods,
) -> ClassDistances:
    """Compare samples only with candidate classes, which represent all classes.

    Args:
        points: (N, D + 1) points of the hyperboloid.
        labels: (N,) labels as given.
        view_ids: (N,) one id for all views of a sample, which share candidates; None without views.
        centroids: centroids of all classes.
        neighbourhoods: of each class with those on its list.
    """
    seeking = points if view_ids is None else mean_over_views(points, view_ids)
    candidates = candidate_classes(
        seeking, labels, centroids.means, centroids.seen, _NEAREST, _SAMPLED
    )
    others = centroids.of(candidates.classes)
    lengths = centroids.lengths(torch.stack([points, others[:, 0]], 1), others)
    lengths += torch.where(candidates.weights > 0, 0.0, torch.inf)[:, None]
    distances, label_distances = lengths.unbind(1)
    label_distances[:, 0] = 0
    return ClassDistances(
        points, distances, label_distances, neighbourhoods, centroids.seen, candidates
    )
