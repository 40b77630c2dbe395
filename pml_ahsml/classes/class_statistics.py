"""Streaming hyperbolic class centroids and the divergence between classes."""

from collections.abc import Mapping
from typing import Any

import torch
from pytorch_metric_learning.distances import BaseDistance
from torch import Tensor

from ..checks import (
    check_count,
    check_embeddings,
    check_flag,
    check_in_interval,
    check_integers,
    check_labels,
    check_tensor,
)
from ..distances import PoincareDistance
from ..hyperbolic import hyperboloid
from ..hyperbolic.products import product
from ..precision import exact_dtype
from ..state.module_with_tables import ModuleWithTables
from ..state.saved_state import Rule, check_on_hyperboloid
from . import class_means as cm
from .class_distances import ClassDistances, mean_over_views
from .nearest_classes import candidate_classes
from .neighbourhoods import Neighbourhoods

# With more classes than fit: the nearest of each class, and evenly spaced others for the rest.
_NEAREST, _SAMPLED = 16, 16

# With many more: the same for each sample, whose class need not be among the very nearest.
_JUDGED_NEAREST, _JUDGED_SAMPLED = 64, 64

# How fast the gain follows: a network freed of wrong labels moves within some twenty batches.
_GAIN_SMOOTHING = 0.9

# Weight of a visit above which at least one of its samples counts in full, or nearly so.
_TRUSTED = 0.5

# Of the way from the centre to the mean of a batch: some five batches are averaged, few enough to
# follow a network that moves all embeddings.
_CENTRE_STEP = 0.2

# Centroids that are widened to float64 at once: a block of them fits into a cache.
_BLOCK = 1 << 10


class ClassStatistics(ModuleWithTables):
    """Streaming centroid of every class in hyperbolic space.

    Keeps the running mean m_k of the hyperboloid points x_i = (cosh A_i, sinh A_i·û_i) of class k.
    Normalised, it is the Einstein midpoint of the class, its centroid μ_k; unnormalised, the inner
    products of the means are the mean Minkowski similarities within and between classes.

    Where embeddings lie follows the distance in use. A PoincareDistance is used as it is, norm
    included. Any other distance (cosine, Lp, none) says nothing about a norm, so embeddings are
    normalised and placed at the clip radius of a default PoincareDistance; all points being at one
    radius, the geodesic distance is then a monotone function of the angle.

    A young network moves all embeddings together, and centroids, which are of the past, stay
    behind. What all have in common says nothing about classes, so with ``centred=True`` the
    directions are those in which normalised embeddings lie from their running mean c,
    (û − c)/‖û − c‖, which follows the batches (:meth:`recentre`).

    Args:
        num_classes: K ≥ 2.
        embedding_size: D ≥ 1.
        distance: the distance of the loss whose embeddings are summarised, see above.
        momentum: the largest share of the old mean kept at an update, in [0, 1]. How much is kept
            follows the network, see ``update``; with 0.7 it is the mean of some six visits at the
            most: samples enough to outvote wrong labels, and few enough that a wrong one does not
            vouch for itself for long.
        max_exact_classes: with up to so many classes each class keeps the distances to all others,
            with more, to its nearest 16 and to 16 evenly spaced others. They are computed anew when
            it is visited, by the curvature of the time. The cost of the exact way grows with the
            square of their number.
        max_compared_classes: with up to so many classes each sample is compared with all; with
            more, with its nearest 64 and with 64 evenly spaced others that stand for the rest, so
            that the tables of a batch do not grow with the number of classes.
        centred: whether directions are taken from the running mean of all embeddings. By default
            they are not, so that centroids are directions of embeddings. Never with a
            PoincareDistance, in which the origin means something.

    Raises:
        ValueError: for an option outside its range, and ``centred=True`` with a PoincareDistance.

    Source:
        This project; class-wise divergence in hyperbolic space is AHSML's idea.

    Example:
        >>> statistics = ClassStatistics(num_classes=2, embedding_size=2)
        >>> embeddings = torch.tensor([[1.0, 0.1], [1.0, -0.1], [-1.0, 0.0]])
        >>> statistics.update(embeddings, torch.tensor([0, 0, 1]))
        >>> statistics.divergence().shape
        torch.Size([2, 2])
        >>> statistics.distances(embeddings).argmin(1)
        tensor([0, 0, 1])
    """

    means: Tensor
    visits: Tensor
    centre: Tensor
    gain_statistics: Tensor
    neighbour_distances: Tensor
    neighbour_weights: Tensor

    def __init__(
        self,
        num_classes: int,
        embedding_size: int,
        distance: BaseDistance | None = None,
        *,
        momentum: float = 0.7,
        max_exact_classes: int = 1000,
        max_compared_classes: int = 1 << 15,
        centred: bool = False,
    ) -> None:
        num_classes = check_count("num_classes", num_classes, minimum=2)
        embedding_size = check_count("embedding_size", embedding_size, minimum=1)
        momentum = check_in_interval("momentum", momentum, 0.0, 1.0)
        max_exact_classes = check_count("max_exact_classes", max_exact_classes, minimum=0)
        max_compared_classes = check_count(
            "max_compared_classes", max_compared_classes, minimum=max_exact_classes
        )
        centred = check_flag("centred", centred)
        if centred and isinstance(distance, PoincareDistance):
            raise ValueError("centred must be False with a PoincareDistance, got True")
        super().__init__()
        self.num_classes = num_classes
        self.embedding_size = embedding_size
        self.momentum = momentum
        self.is_exact = num_classes <= max_exact_classes
        self.compares_all = num_classes <= max_compared_classes
        self.keeps_norm = isinstance(distance, PoincareDistance)
        self.distance = distance if isinstance(distance, PoincareDistance) else PoincareDistance()
        self.register_table("means", _zeros(num_classes, embedding_size + 1), Rule())
        self.register_table("visits", _zeros(num_classes), Rule(lowest=0, is_whole=True))
        self.centred = centred
        # zeros before the first batch, which is centred by its own mean
        # a mean of directions; the rest is rounding
        self.register_table("centre", _zeros(embedding_size), Rule(-1.001, 1.001))
        # mean squared distance of a visit from the running mean of its class, and what of it
        # comes from the visit's being a sample; both smoothed alike from 0 on
        self.register_table("gain_statistics", _zeros(2), Rule(lowest=0))
        # distances of each class to others: to all, or to those on its list
        lengths = Rule(lowest=0, may_be_inf=True)
        if self.is_exact:
            nothing = _zeros(num_classes, num_classes).fill_(torch.inf)
            self.register_table("neighbour_distances", nothing, lengths)
        else:
            shape = (num_classes, min(_NEAREST, num_classes - 1) + _SAMPLED)
            self.register_table("neighbour_distances", _zeros(*shape), lengths)
            self.register_table("neighbour_weights", _zeros(*shape), Rule(lowest=0))

    @property
    def seen(self) -> Tensor:
        """The classes that have a centroid, (K,) bool."""
        return self.visits > 0

    @property
    def gain(self) -> float:
        """Share of a visit in the running mean of its class, in [1 − momentum, 1]."""
        distance, sampling = self.gain_statistics.tolist()
        drift = 1 - sampling / distance if distance > 0 else 0.0
        return max(1 - self.momentum, drift)

    def tangent(self, embeddings: Tensor) -> Tensor:
        """Embeddings as float32 tangent vectors, where this class's geometry places them.

        Args:
            embeddings: (N, D).

        Returns:
            (N, D), without a gradient.
        """
        check_tensor("embeddings", embeddings)
        embeddings = embeddings.detach().float()
        if self.keeps_norm:
            return self.distance.to_tangent(self.distance.maybe_normalize(embeddings)).detach()
        directions = torch.nn.functional.normalize(embeddings, dim=1)
        if self.centred:
            centre = torch.where(self.centre.any(), self.centre, _mean(directions))
            directions = torch.nn.functional.normalize(directions - centre, dim=1)
        return directions * self.distance.clip_radius

    @torch.no_grad()
    def recentre(self, embeddings: Tensor) -> None:
        """Move the centre a fifth of the way to the mean direction of a batch: c ← c + (ū − c)/5.

        Part of :meth:`update`; to be called after :meth:`learn`, whose points lie about the old
        centre.

        Args:
            embeddings: (N, D), N ≥ 1.
        """
        if self.centred:
            mean = _mean(torch.nn.functional.normalize(embeddings.float(), dim=1))
            old = torch.where(self.centre.any(), self.centre, mean)
            self.centre.copy_(old.lerp(mean, _CENTRE_STEP))
            self.count_change()

    @torch.no_grad()
    def update(self, embeddings: Tensor, labels: Tensor, weights: Tensor | None = None) -> None:
        """Move the means of the classes in a batch towards its samples.

        m_k ← m_k + s·(x̄_k − m_k), with s = min(1, Σ w_i) times max(g, 1/visits of k, this one
        included), and x̄_k the weighted mean of the samples of k.

        The gain g = max(1 − momentum, 1 − R/I) is that of a Kalman filter, measured instead of
        assumed. I is the mean of ‖x̄_k − m_k‖², R what of it is due to x̄_k being made of a few
        samples (``variance_of_means``); both are averaged over classes and some ten batches. What
        is left over, I − R, says that the running means are off: as long as the network moves fast
        g is large, and once it moves little, means are averages over many visits.

        Args:
            embeddings: (N, D).
            labels: (N,) integers in [0, num_classes).
            weights: (N,) in [0, 1], how much each sample counts; 1 by default. A class whose
                weights are all 0 is left as it is.

        Raises:
            ValueError: for shapes, values or labels out of range; nothing is changed then.
        """
        check_embeddings("embeddings", embeddings, self.embedding_size)
        labels = check_labels("labels", labels, len(embeddings), self.num_classes)
        if weights is None:
            weights = torch.ones(len(embeddings), device=embeddings.device)
        else:
            _check_weights(weights, labels)
        self.on(embeddings.device)
        classes = cm.Groups.by(labels.to(embeddings.device))
        self.learn(self._points(embeddings), classes, weights)
        self.recentre(embeddings)

    @torch.no_grad()
    def learn(self, points: Tensor, groups: cm.Groups, weights: Tensor) -> None:
        """The same as :meth:`update`, for samples that have been checked and judged.

        Args:
            points: (N, D + 1) points of the hyperboloid, as in ``ClassDistances``.
            groups: the samples by class.
            weights: (N,) in [0, 1].
        """
        classes = groups.values
        means, totals = cm.weighted_means(points, groups, weights)
        variances = cm.variance_of_means(points, groups, weights, means, totals)
        counts = totals > 0
        if not counts.all():
            table = (classes, means, totals, variances)
            classes, means, totals, variances = (column[counts] for column in table)
        old, visits = self.means[classes].to(points), self.visits[classes] + 1
        self.visits[classes] = visits
        # skip classes with fewer than three visits or too little trusted weight
        known = (visits > 2) & (totals > _TRUSTED) & variances.isfinite()
        if known.any():
            latest = torch.stack([(means - old).square().sum(1), variances])[:, known].mean(1)
            self.gain_statistics.lerp_(latest.to(self.gain_statistics), 1 - _GAIN_SMOOTHING)
        step = visits.to(points).reciprocal_().clamp_min_(self.gain)
        # a first visit has nothing to hold on to, however little its samples are trusted
        step = step.mul_(totals.clamp_max(1)).masked_fill_(visits == 1, 1)
        self.means[classes] = old.lerp_(means, step[:, None]).to(self.means.dtype)
        if self.is_exact:
            self._measure_neighbours(classes)
        else:
            self._list_neighbours(classes)
        self.count_change()

    def _check_together(self, state: Mapping[str, Any], prefix: str) -> None:
        check_on_hyperboloid(
            prefix + "means", state[prefix + "means"], state[prefix + "visits"] > 0
        )

    def _measure_neighbours(self, classes: Tensor) -> None:
        centroids = hyperboloid.hyperboloid_normalise(self.means)
        lengths = self._lengths(centroids[classes], centroids).add_(self._unseen())
        lengths.scatter_(1, classes[:, None], torch.inf)
        self.neighbour_distances[classes] = lengths
        self.neighbour_distances[:, classes] = lengths.T

    def _list_neighbours(self, classes: Tensor) -> None:
        means = self.means[classes]
        listed, weights = candidate_classes(
            means, classes, self.means, self.seen, _NEAREST, _SAMPLED
        )
        centroids = hyperboloid.hyperboloid_normalise(means)[:, None]
        others = hyperboloid.hyperboloid_normalise(self.means[listed[:, 1:]])
        self.neighbour_distances[classes] = self._lengths(centroids, others).squeeze(1)
        self.neighbour_weights[classes] = weights[:, 1:]

    @torch.no_grad()
    def evidence(
        self, embeddings: Tensor, labels: Tensor, view_ids: Tensor | None = None
    ) -> ClassDistances:
        """What the label model judges a batch by.

        Args:
            embeddings: (N, D).
            labels: (N,) integers in [0, num_classes), as given.
            view_ids: (N,) integers, views of one sample share theirs and are judged as one, by the
                mean of their distances; None where each row is a sample.

        Returns:
            Distances of the samples and of their labels' centroids to all classes or, with more
            than ``max_compared_classes``, to some candidates; by centroids that have not seen this
            batch.
        """
        labels = check_integers("labels", labels)
        view_ids = None if view_ids is None else check_integers("view_ids", view_ids)
        points = self._points(embeddings)
        if not self.compares_all:
            evidence = self._evidence_of_candidates(points, labels, view_ids)
        elif not self.is_exact:
            evidence = self._evidence_of_lists(points, labels)
        else:
            evidence = self._exact_evidence(points, labels)
        return evidence if view_ids is None else evidence.averaged(view_ids)

    def _exact_evidence(self, points: Tensor, labels: Tensor) -> ClassDistances:
        distances = self._to_centroids(points)
        label_distances = self.neighbour_distances.index_select(0, labels)
        label_distances.scatter_(1, labels[:, None], 0)
        neighbourhoods = Neighbourhoods(self.neighbour_distances)
        return ClassDistances(points, distances, label_distances, neighbourhoods, self.seen)

    def _evidence_of_lists(self, points: Tensor, labels: Tensor) -> ClassDistances:
        classes, rows = labels.unique(return_inverse=True)
        centroids = hyperboloid.hyperboloid_normalise(self.means[classes])
        # one product for the samples and the centroids of their labels
        lengths = self._to_centroids(torch.cat([points, centroids]))
        distances, divergence = lengths.split([len(points), len(centroids)])
        label_distances = divergence.scatter_(1, classes[:, None], 0).index_select(0, rows)
        neighbourhoods = Neighbourhoods(self.neighbour_distances, self.neighbour_weights)
        return ClassDistances(points, distances, label_distances, neighbourhoods, self.seen)

    def _evidence_of_candidates(
        self, points: Tensor, labels: Tensor, view_ids: Tensor | None
    ) -> ClassDistances:
        # the views of a sample share their candidates
        seeking = points if view_ids is None else mean_over_views(points, view_ids)
        candidates = candidate_classes(
            seeking, labels, self.means, self.seen, _JUDGED_NEAREST, _JUDGED_SAMPLED
        )
        centroids = hyperboloid.hyperboloid_normalise(self.means[candidates.classes])
        lengths = self._lengths(torch.stack([points, centroids[:, 0]], 1), centroids)
        lengths += torch.where(candidates.weights > 0, 0.0, torch.inf)[:, None]
        distances, label_distances = lengths.unbind(1)
        label_distances[:, 0] = 0
        neighbourhoods = Neighbourhoods(self.neighbour_distances, self.neighbour_weights)
        return ClassDistances(
            points, distances, label_distances, neighbourhoods, self.seen, candidates
        )

    @torch.no_grad()
    def distances(self, embeddings: Tensor) -> Tensor:
        """Geodesic distance of each sample to each class centroid.

        Args:
            embeddings: (N, D).

        Returns:
            (N, K) geodesic lengths; the columns of classes never seen are inf.
        """
        return self._to_centroids(self._points(embeddings))

    @torch.no_grad()
    def divergence(self, classes: Tensor | None = None) -> Tensor:
        """Geodesic distance between class centroids.

        Args:
            classes: (C,) the classes wanted, all K by default.

        Returns:
            (C, C) geodesic lengths, symmetric with a zero diagonal; rows and columns of classes
            never seen are nan.
        """
        if classes is None:
            classes = torch.arange(self.num_classes, device=self.means.device)
        else:
            classes = self._checked_classes(classes)
        centroids = hyperboloid.hyperboloid_normalise(self.means[classes])
        divergence = self._lengths(centroids, centroids)
        divergence.masked_fill_(classes[:, None] == classes, 0)
        unseen = torch.where(self.seen[classes], 0.0, torch.nan)
        # in place, as two numbers make a tensor of the default dtype
        return divergence.add_(unseen).add_(unseen[:, None])

    @torch.no_grad()
    def centroids(self, classes: Tensor | None = None) -> Tensor:
        """Class centroids (Einstein midpoints) as tangent vectors at the origin.

        Args:
            classes: (C,) the classes wanted, all K by default.

        Returns:
            (C, D); the origin for classes never seen.
        """
        means = self.means if classes is None else self.means[self._checked_classes(classes)]
        # a mean of time coordinates is at least 1, so a zero row is a class never seen
        time = torch.where(means[:, :1] > 0, means[:, :1], 1.0)
        return hyperboloid.hyperboloid_unlift(torch.cat([time, means[:, 1:]], 1), self._curvature())

    def mean_similarity(self, classes: Tensor) -> tuple[Tensor, Tensor]:
        """Mean Minkowski similarity ⟨m_a, m_b⟩ within and between classes, in float32.

        Near the origin all are −1 but for what the distances are squared, which float32 has no
        digits of where √c·‖u‖ is below some 1e-3.

        Args:
            classes: (C,) the classes wanted.

        Returns:
            within: (C,) ⟨m_a, m_a⟩, in (−∞, 0). The mean runs over all pairs of past samples, a
                sample with itself included, unlike the batch form.
            between: (C, C) ⟨m_a, m_b⟩, nan on the diagonal. Both are nan for classes never seen.
        """
        classes = self._checked_classes(classes)
        means = self.means[classes]
        similarity = product(means[:, 1:], means[:, 1:].T) - product(means[:, :1], means[:, :1].T)
        seen = self.seen[classes]
        similarity = similarity.masked_fill(~(seen[:, None] & seen), torch.nan)
        return similarity.diagonal().clone(), similarity.fill_diagonal_(torch.nan)

    def _checked_classes(self, classes: Tensor) -> Tensor:
        """(C,) in [0, K), as indices beside the tables."""
        integers = check_integers("classes", classes).to(self.means.device)
        return check_labels("classes", integers, integers.numel(), self.num_classes)

    def _points(self, embeddings: Tensor) -> Tensor:
        """(N, D + 1) points of the hyperboloid, in float64."""
        tangent = self.tangent(embeddings)
        return hyperboloid.hyperboloid_lift(tangent.to(exact_dtype(tangent)), self._curvature())

    def _to_centroids(self, points: Tensor) -> Tensor:
        """(N, K) distances of points of the hyperboloid to all centroids, inf if never seen."""
        # in blocks, so that the wide copy of a million centroids is never there at once
        lengths = [
            self._lengths(points, hyperboloid.hyperboloid_normalise(block))
            for block in self.means.split(_BLOCK)
        ]
        return torch.cat(lengths, 1).add_(self._unseen())

    def _unseen(self) -> Tensor:
        """(K,) what is added to distances: inf for classes never seen; masks are slower."""
        return torch.where(self.seen, 0.0, torch.inf)

    def _lengths(self, points: Tensor, centroids: Tensor) -> Tensor:
        return hyperboloid.hyperboloid_distance(points, centroids, self._curvature())

    def _curvature(self) -> float:
        return float(self.distance.curvature)


def _zeros(*shape: int) -> Tensor:
    """Float32 whatever torch's default dtype, in which a network may compute."""
    return torch.zeros(shape, dtype=torch.float32)


def _check_weights(weights: Tensor, labels: Tensor) -> None:
    check_tensor("weights", weights)
    if weights.shape != labels.shape:
        raise ValueError(
            f"weights must be of shape {tuple(labels.shape)}, got {tuple(weights.shape)}"
        )
    # for nan, too
    if len(weights) and not (weights.min() >= 0 and weights.max() <= 1):
        raise ValueError(
            f"weights must lie in [0, 1], got values from {float(weights.min())} to "
            f"{float(weights.max())}"
        )


def _mean(directions: Tensor) -> Tensor:
    """(D,) the mean of the rows, summed in float64: the order of the rows then does not show."""
    return directions.mean(0, dtype=exact_dtype(directions)).to(directions)
