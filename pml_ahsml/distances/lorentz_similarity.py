"""The Minkowski product of hyperbolic points as a similarity in [−1, 1], as a PML distance."""

from typing import Any

import torch
from torch import Tensor

from ..hyperbolic import minkowski
from ..precision import exact_dtype
from .hyperbolic_distance import HyperbolicDistance


class LorentzSimilarity(HyperbolicDistance):
    """Similarity of embeddings in hyperbolic space, where you would use ``CosineSimilarity``.

    s(u, v) = 1 − 2·(cosh(√c·d(u, v)) − 1)/(cosh(√c·d_max) − 1),  d_max = 4·clip_radius,

    with the geodesic distance d of :class:`PoincareDistance`: the Minkowski product of the two
    points of the hyperboloid, scaled to [−1, 1]. Where both points lie at the clip radius it equals
    the cosine. So the margins, temperatures and bases of losses that are made for cosines keep
    their meaning: swap the distance and leave everything else. It costs one matrix product.

    Embeddings are tangent vectors u = λe at the origin, clipped to norm ``clip_radius``. The scale
    λ is found from the first batch that the loss sees in training (``training`` and gradients
    enabled), then kept, and saved in the ``state_dict()`` of the loss. Give this same object to
    miners and to ``PoincareKNN``, which ranks by it, and set ``normalize_embeddings=False`` in
    PML's testers and InferenceModel: the norm counts.

    It is not a ``CosineSimilarity``, because it depends on the norm. Losses that insist on that
    class check it on construction only; CircleLoss, ArcFaceLoss, CosFaceLoss, SubCenterArcFaceLoss,
    PNPLoss and TupletMarginLoss work with it when it is assigned afterwards:
    ``loss.distance = LorentzSimilarity()``.

    Args:
        curvature: c > 0. With the clip radius it decides how much the similarity to a point near
            the origin exceeds that to a point in another direction. 0.1 as in PoincareDistance.
        clip_radius: r > 0, finite; the norm of tangent vectors is clipped to it.
        learn_curvature: whether c is learnable, as exp(log_curvature). Give the parameters of the
            distance to an optimiser, like those of a proxy loss.
        manifold: a ``geoopt.PoincareBall`` whose curvature, learnable or not, is read at every
            call. It replaces ``curvature`` and ``learn_curvature``.
        embedding_space: "tangent" for the output of a network, "ball" for points of the ball
            (geoopt parameters), which are never scaled.
        scale: "auto" makes the norm of the median row of the first batch r·D/4: at the clip radius
            in four dimensions, inside it in fewer, where the norm adds room, and beyond it in more,
            where the similarity is a cosine (docs/hyperbolic.md has the figures). A number λ > 0 is
            taken as it is; None is 1. Under ``torch.distributed`` "auto" averages over all ranks,
            which must see their first batch at the same step.
        **kwargs: passed to ``BaseDistance``: normalize_embeddings (False here), p, power,
            collect_stats.

    Returns:
        ``forward(query_emb, ref_emb=None)``: (N, M) similarities in [−1, 1] (to the power
        ``power``), 1 for equal rows. ``is_inverted`` is True: larger is more similar.

    Raises:
        ValueError: if an option is out of range, or ``curvature`` is given with ``manifold``.
        TypeError: if an option has the wrong type, such as a manifold of another geometry.

    Source:
        Lorentzian distance: Law et al., ICML 2019. Scaling to [−1, 1] and the scale of embeddings:
        this project.

    Example:
        >>> similarity = LorentzSimilarity(scale=None)
        >>> similarity(torch.tensor([[2.3, 0.0], [-5.0, 0.0]]), torch.tensor([[2.3, 0.0]]))
        tensor([[ 1.],
                [-1.]])
        >>> from pytorch_metric_learning.losses import MultiSimilarityLoss
        >>> loss = MultiSimilarityLoss(distance=LorentzSimilarity())
        >>> embeddings = 0.5 * torch.eye(4).requires_grad_()
        >>> loss(embeddings, torch.tensor([0, 0, 1, 1])).backward()
        >>> round(loss.distance.scale, 4)  # the clip radius over 0.5, in four dimensions
        4.6
    """

    def __init__(
        self,
        curvature: float = 0.1,
        clip_radius: float = 2.3,
        *,
        learn_curvature: bool = False,
        manifold: torch.nn.Module | None = None,
        embedding_space: str = "tangent",
        scale: float | str | None = "auto",
        **kwargs: Any,
    ) -> None:
        if not kwargs.get("is_inverted", True):
            raise ValueError("is_inverted must be True for a similarity, got False")
        super().__init__(
            curvature,
            clip_radius,
            learn_curvature=learn_curvature,
            manifold=manifold,
            embedding_space=embedding_space,
            scale=scale,
            **{**kwargs, "is_inverted": True},
        )

    def compute_mat(self, query_emb: Tensor, ref_emb: Tensor | None) -> Tensor:
        """All pairs, (N, M). Overrides ``BaseDistance.compute_mat``."""
        self._learn_scale(query_emb)
        curvature, clip_radius = self.geometry
        return minkowski.similarity_matrix(
            query_emb,
            query_emb if ref_emb is None else ref_emb,
            curvature,
            clip_radius,
            on_ball=self.embedding_space == "ball",
        )

    def pairwise_distance(self, query_emb: Tensor, ref_emb: Tensor) -> Tensor:
        """Matching rows, (N,). Overrides ``BaseDistance.pairwise_distance``."""
        self._learn_scale(query_emb)
        # in float32, clipping and mapping move points by more than near-duplicates differ
        exact = exact_dtype(query_emb)
        query, ref = (self.to_tangent(e.to(exact)) for e in (query_emb, ref_emb))
        similarity = minkowski.pairwise_similarity(query, ref, self.curvature, self.clip_radius)
        return similarity.to(query_emb.dtype)
