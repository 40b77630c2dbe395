"""Streaming hyperbolic class centroids and the divergence between classes."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import torch
from pytorch_metric_learning.distances import BaseDistance
from torch import Tensor

from .. import checks
from ..distances import HyperbolicDistance, PoincareDistance
from ..hyperbolic import hyperboloid
from ..precision import exact_dtype
from ..state.derived import Derived
from ..state.module_with_tables import ModuleWithTables
from ..state.saved_state import Rule, check_on_hyperboloid
from . import class_means as cm
from .centroids import Centroids
from .class_distances import ClassDistances
from .class_neighbours import distances_to_all, distances_to_listed, empty_tables
from .directions import directions_from, directions_of, next_centre
from .measured_distances import by_all_classes, by_candidates
from .neighbourhoods import Neighbourhoods
from .visits import Visits, checked_weights, gain_of

# Smoothing of the gain: a network freed of wrong labels moves within about twenty batches.
_GAIN_SMOOTHING = 0.9


class ClassStatistics(ModuleWithTables):
    """Streaming centroid of every class in hyperbolic space.

    Keeps the running mean m_k of the hyperboloid points x_i = (cosh A_i, sinh A_i·û_i) of class k.
    Normalised, it is the Einstein midpoint of the class, its centroid μ_k; unnormalised, the inner
    products of the means are the mean Minkowski similarities within and between classes.

    A PoincareDistance or LorentzSimilarity is used as it is, norm included. For others rows are
    normalised and placed at one radius. With ``centred=True``, their directions are taken from the
    running mean of all embeddings, which follows a network that moves them together.

    Args:
        num_classes: K ≥ 2.
        embedding_size: D ≥ 1.
        distance: the distance of the loss whose embeddings are summarised.
        momentum: in [0, 1], the largest share of the old mean kept at an update. 0.7 averages about
            six visits: enough to outvote wrong labels, too few for one to stay for long.
        max_exact_classes: with more, a class keeps distances to its nearest 16 and 16 others only.
        max_compared_classes: with more, a sample is compared with its nearest 64 and with 64 evenly
            spaced others that represent the rest.
        centred: whether directions are taken from the running mean of all embeddings. Not possible
            with a PoincareDistance, whose origin has a meaning.

    Raises:
        ValueError: if an option is out of range, or for ``centred=True`` with a PoincareDistance.

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
        num_classes = checks.check_count("num_classes", num_classes, minimum=2)
        embedding_size = checks.check_count("embedding_size", embedding_size, minimum=1)
        momentum = checks.check_in_interval("momentum", momentum, 0.0, 1.0)
        max_exact_classes = checks.check_count("max_exact_classes", max_exact_classes, minimum=0)
        max_compared_classes = checks.check_count(
            "max_compared_classes", max_compared_classes, minimum=max_exact_classes
        )
        centred = checks.check_flag("centred", centred)
        if centred and isinstance(distance, HyperbolicDistance):
            raise ValueError(f"centred must be False with a {type(distance).__name__}, got True")
        super().__init__()
        self.num_classes = num_classes
        self.embedding_size = embedding_size
        self.momentum = momentum
        self.is_exact = num_classes <= max_exact_classes
        self.compares_all = num_classes <= max_compared_classes
        self.centred = centred
        self.keeps_norm = isinstance(distance, HyperbolicDistance)
        self.distance = distance if isinstance(distance, HyperbolicDistance) else PoincareDistance()
        self.register_table("means", _zeros(num_classes, embedding_size + 1), Rule())
        self.register_table("visits", _zeros(num_classes), Rule(lowest=0, is_whole=True))
        self._snapshot: Derived[Centroids] = Derived()
        # 0 before the first batch, then a mean of directions; 0.001 allows for rounding
        self.register_table("centre", _zeros(embedding_size), Rule(-1.001, 1.001))
        # mean squared distance of a visit from the running mean of its class, and its part due to
        # sampling; both smoothed alike, starting at 0
        self.register_table("gain_statistics", _zeros(2), Rule(lowest=0))
        for name, table, rule in empty_tables(num_classes, self.is_exact):
            self.register_table(name, table, rule)

    @property
    def seen(self) -> Tensor:
        """The classes that have a centroid, (K,) bool."""
        return self._centroids().seen

    @property
    def gain(self) -> float:
        """Share of a visit in the running mean of its class, in [1 − momentum, 1]."""
        return float(gain_of(self.gain_statistics, self.momentum))

    def tangent(self, embeddings: Tensor) -> Tensor:
        """(N, D) float32 tangent vectors of (N, D) embeddings, without a gradient."""
        checks.check_tensor("embeddings", embeddings)
        if not self.keeps_norm:
            return self._tangent(directions_of(embeddings))
        rows = self.distance.maybe_normalize(embeddings.detach().float())
        return self.distance.to_tangent(rows).detach()

    @torch.no_grad()
    def recentre(self, directions: Tensor) -> None:
        """Move the centre towards the mean of (N, D) directions, before :meth:`learn`."""
        if self.centred:
            self.centre = next_centre(self._known_centre(), directions)
            self.count_change()

    @torch.no_grad()
    def update(self, embeddings: Tensor, labels: Tensor, weights: Tensor | None = None) -> None:
        """Move the means of the classes in a batch towards its samples.

        m_k ← m_k + min(1, Σ w_i)·max(g, 1/visits of k, this one included)·(x̄_k − m_k), with x̄_k
        the weighted mean of the samples of k. The ``gain`` g is that of a Kalman filter.

        Args:
            embeddings: (N, D).
            labels: (N,) integers in [0, num_classes).
            weights: (N,) in [0, 1], how much each sample counts; 1 by default. A class whose
                weights are all 0 does not change.

        Raises:
            ValueError: if a shape, value or label is wrong; nothing changes then.
        """
        checks.check_embeddings("embeddings", embeddings, self.embedding_size)
        labels = checks.check_labels("labels", labels, len(embeddings), self.num_classes)
        weights = checked_weights(weights, labels, embeddings.device)
        self.on(embeddings.device)
        points, counts = self._lifted(self.tangent(embeddings)), weights > 0
        self.recentre(directions_of(embeddings))
        groups = cm.Groups.by(labels.to(embeddings.device)[counts])
        self.learn(points[counts], groups, weights[counts])

    @torch.no_grad()
    def learn(self, points: Tensor, groups: cm.Groups, weights: Tensor) -> None:
        """Move the class means as :meth:`update` does, for samples already checked and judged.

        Args:
            points: (N, D + 1) points of the hyperboloid, as in ``ClassDistances``.
            groups: the samples by class.
            weights: (N,) in (0, 1].
        """
        classes, latest = groups.values, Visits.of(points, groups, weights)
        old, visits = self.means[classes].to(points), self.visits[classes] + 1
        self.visits[classes] = visits
        sample = latest.gain_sample(old, visits, self.gain_statistics)
        self.gain_statistics.lerp_(sample.to(self.gain_statistics), 1 - _GAIN_SMOOTHING)
        gain = gain_of(self.gain_statistics, self.momentum)
        self.means[classes] = latest.moved(old, visits, gain).to(self.means)
        if self.is_exact:
            lengths = distances_to_all(classes, self._centroids())
            self.neighbour_distances[classes] = lengths
            self.neighbour_distances[:, classes] = lengths.T
        else:
            lengths, listed = distances_to_listed(classes, self._centroids())
            self.neighbour_distances[classes], self.neighbour_weights[classes] = lengths, listed
        self.count_change()

    def _check_together(self, state: Mapping[str, Any], prefix: str) -> None:
        check_on_hyperboloid(
            prefix + "means", state[prefix + "means"], state[prefix + "visits"] > 0
        )

    @torch.no_grad()
    def evidence(
        self,
        embeddings: Tensor,
        labels: Tensor,
        view_ids: Tensor | None = None,
        groups: cm.Groups | None = None,
    ) -> ClassDistances:
        """Compute the distances by which the label model judges a batch.

        Args:
            embeddings: (N, D).
            labels: (N,) integers in [0, num_classes), as given.
            view_ids: (N,) one id for all views of a sample, judged by mean distances; or None.
            groups: the samples by label; None if not known yet.

        Returns:
            Distances of the samples and of their labels' centroids to all classes, or to candidates
            with more than ``max_compared_classes``.
        """
        labels = checks.check_integers("labels", labels)
        view_ids = None if view_ids is None else checks.check_integers("view_ids", view_ids)
        directions = directions_of(embeddings) if self.centred else None
        tangent = self.tangent(embeddings) if directions is None else self._tangent(directions)
        here = self._centroids()
        points = self._lifted(tangent)
        weights = None if self.is_exact else self.neighbour_weights
        neighbourhoods = Neighbourhoods(self.neighbour_distances, weights)
        if self.compares_all:
            evidence = by_all_classes(points, labels, here, neighbourhoods, groups)
        else:
            evidence = by_candidates(points, labels, view_ids, here, neighbourhoods)
        tangent = tangent * here.curvature**0.5
        evidence = replace(evidence, groups=groups, tangent=tangent, directions=directions)
        return evidence if view_ids is None else evidence.averaged(view_ids)

    @torch.no_grad()
    def distances(self, embeddings: Tensor) -> Tensor:
        """(N, K) geodesic distances of (N, D) embeddings to the classes, inf for unseen ones."""
        return self._centroids().distances(self._lifted(self.tangent(embeddings)))

    @torch.no_grad()
    def divergence(self, classes: Tensor | None = None) -> Tensor:
        """Geodesic distance between class centroids.

        Args:
            classes: (C,) classes; all K by default.

        Returns:
            (C, C) geodesic lengths, symmetric with a zero diagonal; nan for classes never seen.
        """
        return self._centroids().divergence(self._checked_classes(classes))

    @torch.no_grad()
    def centroids(self, classes: Tensor | None = None) -> Tensor:
        """Class centroids (Einstein midpoints) as tangent vectors at the origin.

        Args:
            classes: (C,) classes; all K by default.

        Returns:
            (C, D); the origin for classes never seen.
        """
        return self._centroids().tangent(self._checked_classes(classes))

    def mean_similarity(self, classes: Tensor) -> tuple[Tensor, Tensor]:
        """Mean Minkowski similarity ⟨m_a, m_b⟩ within and between classes, in float32.

        Args:
            classes: (C,) classes.

        Returns:
            within: (C,) ⟨m_a, m_a⟩ over all pairs, a sample with itself included.
            between: (C, C) ⟨m_a, m_b⟩, nan on the diagonal. Both are nan for classes never seen.
        """
        return self._centroids().mean_similarity(self._checked_classes(classes))

    def _checked_classes(self, classes: Tensor | None) -> Tensor:
        """(C,) classes in [0, K), as indices on the device of the tables; all for None."""
        if classes is None:
            return torch.arange(self.num_classes, device=self.means.device)
        integers = checks.check_integers("classes", classes).to(self.means.device)
        return checks.check_labels("classes", integers, integers.numel(), self.num_classes)

    def _lifted(self, tangent: Tensor) -> Tensor:
        """(N, D + 1) points of the hyperboloid, in float64."""
        curvature = float(self.distance.curvature)
        return hyperboloid.hyperboloid_lift(tangent.to(exact_dtype(tangent)), curvature)

    def _tangent(self, directions: Tensor) -> Tensor:
        if self.centred:
            directions = directions_from(self._known_centre(), directions)
        return directions * self.distance.clip_radius

    def _known_centre(self) -> Tensor | None:
        centre = self.centre
        return centre if self._num_changes else None  # none before the first batch

    def _centroids(self) -> Centroids:
        curvature = float(self.distance.curvature)
        return self._snapshot.of(Centroids, self.means, self.visits, curvature)


def _zeros(*shape: int) -> Tensor:
    """Zeros in float32, whatever torch's default dtype."""
    return torch.zeros(shape, dtype=torch.float32)
