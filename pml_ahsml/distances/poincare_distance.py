"""Geodesic distance in the Poincaré ball, as a PML distance."""

from typing import Any

import torch
from torch import Tensor

from ..hyperbolic import geodesic, near_pairs
from ..precision import exact_dtype
from .hyperbolic_distance import HyperbolicDistance


class PoincareDistance(HyperbolicDistance):
    """Geodesic distance between embeddings in the Poincaré ball of curvature −c.

    d(u, v) = (2/√c)·asinh √( sinh²((A_u − A_v)/2) + sinh A_u·sinh A_v·‖û − v̂‖²/4 ), A = 2√c‖u‖.

    Embeddings are tangent vectors u at the origin, clipped to norm ``clip_radius``; the exponential
    map takes them into the ball. The formula computes the distance without it. Unlike cosine and
    normalised Euclidean distance, this distance uses the norm of the embedding: points near the
    origin are general, points near the rim specific. PML's testers and InferenceModel normalise
    embeddings by default, which discards the norm: set ``normalize_embeddings=False``.

    Args:
        curvature: c > 0. 0.1 is the value of Ermolov et al., CVPR 2022.
        clip_radius: r > 0, finite; the norm of tangent vectors is clipped to it. Distances are then
            at most 4r, whatever the curvature. 2.3 is the value of Ermolov et al., CVPR 2022.
        learn_curvature: whether c is learnable, as exp(log_curvature). Give the parameters of the
            distance to an optimiser, like those of a proxy loss.
        manifold: a ``geoopt.PoincareBall`` whose curvature, learnable or not, is read at every
            call. It replaces ``curvature`` and ``learn_curvature``.
        embedding_space: "tangent" for the output of a network, "ball" for points of the ball
            (geoopt parameters). Points of the ball are clipped to distance 2r from the origin, as
            are points on or beyond the rim.
        scale: factor λ > 0 of the embeddings before they are clipped, u = λe. "auto" finds it from
            the first training batch and keeps it in the ``state_dict()``, see
            :class:`LorentzSimilarity`. None is 1: what the network puts out is not touched.
        **kwargs: passed to ``BaseDistance``: normalize_embeddings (False here), p, power,
            collect_stats.

    Returns:
        ``forward(query_emb, ref_emb=None)``: (N, M) geodesic lengths in [0, 4r] (to the power
        ``power``); 0 for equal rows.

    Raises:
        ValueError: if an option is out of range, or ``curvature`` is given with ``manifold``.
        TypeError: if an option has the wrong type, such as a manifold of another geometry.

    Source:
        Geometry and defaults: Ermolov et al., CVPR 2022.

    Example:
        >>> distance = PoincareDistance()
        >>> distance(torch.tensor([[0.3, 0.4], [0.0, 0.0]])).round(decimals=5)
        tensor([[0., 1.],
                [1., 0.]])
        >>> from pytorch_metric_learning.losses import TripletMarginLoss
        >>> loss = TripletMarginLoss(margin=0.5, distance=distance)
    """

    def __init__(
        self,
        curvature: float = 0.1,
        clip_radius: float = 2.3,
        *,
        learn_curvature: bool = False,
        manifold: torch.nn.Module | None = None,
        embedding_space: str = "tangent",
        scale: float | str | None = None,
        **kwargs: Any,
    ) -> None:
        if kwargs.get("is_inverted", False):
            raise ValueError("is_inverted must be False for a distance, got True")
        super().__init__(
            curvature,
            clip_radius,
            learn_curvature=learn_curvature,
            manifold=manifold,
            embedding_space=embedding_space,
            scale=scale,
            **kwargs,
        )

    @property
    def max_distance(self) -> float:
        """The largest value that this distance can return, (4·clip_radius)^power."""
        return float((4 * self.clip_radius) ** self.power)

    def compute_mat(self, query_emb: Tensor, ref_emb: Tensor | None) -> Tensor:
        """Compute the distances of all pairs, (N, M). Overrides ``BaseDistance.compute_mat``."""
        self._learn_scale(query_emb)
        curvature, clip_radius = self.geometry
        distances = geodesic.distance_matrix(
            query_emb,
            query_emb if ref_emb is None else ref_emb,
            curvature,
            max_norm=clip_radius,
            on_ball=self.embedding_space == "ball",
        )
        # the lengths of the smaller space, in the unit of this one
        scale = self.scale
        return distances if scale == 1 else distances * scale

    def pairwise_distance(self, query_emb: Tensor, ref_emb: Tensor) -> Tensor:
        """Compute the distances of matching rows, (N,).

        Overrides ``BaseDistance.pairwise_distance``.
        """
        self._learn_scale(query_emb)
        # in float32, clipping and mapping move points by more than near-duplicates differ
        exact = exact_dtype(query_emb)
        query, ref = (self.to_tangent(e.to(exact)) for e in (query_emb, ref_emb))
        return near_pairs.pairwise_distance(query, ref, self.curvature).to(query_emb.dtype)
