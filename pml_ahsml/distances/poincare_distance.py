"""Geodesic distance in the Poincaré ball, as a PML distance."""

import math
from typing import Any, cast

import torch
from pytorch_metric_learning.distances import BaseDistance
from torch import Tensor

from ..checks import check_flag, check_in_interval, check_positive
from ..hyperbolic import geodesic, maps, near_pairs
from ..precision import exact_dtype


class PoincareDistance(BaseDistance):
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
        **kwargs: passed to ``BaseDistance``: normalize_embeddings (False here), p, power,
            collect_stats.

    Returns:
        ``forward(query_emb, ref_emb=None)``: (N, M) geodesic lengths in [0, 4r] (to the power
        ``power``); 0 for equal rows.

    Raises:
        ValueError: if an option is out of range, or ``curvature`` is given with ``manifold``.
        TypeError: if ``manifold`` is not a ``geoopt.PoincareBall``.

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
        **kwargs: Any,
    ) -> None:
        curvature = check_positive("curvature", curvature)
        clip_radius = check_positive("clip_radius", clip_radius)
        learn_curvature = check_flag("learn_curvature", learn_curvature)
        if embedding_space not in ("tangent", "ball"):
            raise ValueError(
                f"embedding_space must be 'tangent' or 'ball', got {embedding_space!r}"
            )
        kwargs = _checked(kwargs)
        if kwargs.get("is_inverted", False):
            raise ValueError("is_inverted must be False for a distance, got True")
        if manifold is not None:
            _check_manifold(manifold)
            if curvature != 0.1 or learn_curvature:
                raise ValueError(
                    "curvature and learn_curvature must be left out with a manifold, "
                    f"got curvature={curvature}, learn_curvature={learn_curvature}"
                )
        super().__init__(**{"normalize_embeddings": False, **kwargs})
        self.clip_radius = clip_radius
        self.embedding_space = embedding_space
        self.manifold = manifold
        self.learn_curvature = learn_curvature
        if learn_curvature:
            self.log_curvature = torch.nn.Parameter(torch.tensor(math.log(curvature)))
        else:
            self._fixed_curvature = float(curvature)
        self.add_to_recordable_attributes(list_of_names=["clip_radius"], is_stat=False)

    @property
    def curvature(self) -> float | Tensor:
        """The curvature c > 0; a tensor if it is learnable or comes from a manifold."""
        if self.manifold is not None:
            return cast(Tensor, self.manifold.c)
        return self.log_curvature.exp() if self.learn_curvature else self._fixed_curvature

    @property
    def max_distance(self) -> float:
        """The largest value that this distance can return, (4·clip_radius)^power."""
        return float((4 * self.clip_radius) ** self.power)

    def to_tangent(self, embeddings: Tensor) -> Tensor:
        """Convert embeddings to tangent vectors at the origin, clipped to norm ``clip_radius``.

        Args:
            embeddings: (N, D), in this distance's ``embedding_space``.

        Returns:
            (N, D), of norm ≤ clip_radius.
        """
        if self.embedding_space == "ball":
            return maps.logmap0(embeddings, self.curvature, max_norm=self.clip_radius)
        return maps.clip_norm(embeddings, self.clip_radius)

    def from_tangent(self, tangent: Tensor) -> Tensor:
        """Convert tangent vectors at the origin to embeddings, the inverse of :meth:`to_tangent`.

        Args:
            tangent: (N, D).

        Returns:
            (N, D), in this distance's ``embedding_space``.
        """
        if self.embedding_space == "ball":
            return maps.expmap0(tangent, self.curvature)
        return tangent

    def compute_mat(self, query_emb: Tensor, ref_emb: Tensor | None) -> Tensor:
        """Compute the distances of all pairs, (N, M). Overrides ``BaseDistance.compute_mat``."""
        return geodesic.distance_matrix(
            query_emb,
            query_emb if ref_emb is None else ref_emb,
            self.curvature,
            max_norm=self.clip_radius,
            on_ball=self.embedding_space == "ball",
        )

    def pairwise_distance(self, query_emb: Tensor, ref_emb: Tensor) -> Tensor:
        """Compute the distances of matching rows, (N,).

        Overrides ``BaseDistance.pairwise_distance``.
        """
        # in float32, clipping and mapping move points by more than near-duplicates differ
        exact = exact_dtype(query_emb)
        query, ref = (self.to_tangent(e.to(exact)) for e in (query_emb, ref_emb))
        return near_pairs.pairwise_distance(query, ref, self.curvature).to(query_emb.dtype)


def _checked(kwargs: dict[str, Any]) -> dict[str, Any]:
    """Check the options of ``BaseDistance``, which does not check them itself."""
    checked = dict(kwargs)
    for name in ("normalize_embeddings", "is_inverted", "collect_stats"):
        if checked.get(name) is not None:
            checked[name] = check_flag(name, checked[name])
    if "power" in checked:
        checked["power"] = check_positive("power", checked["power"])
    if "p" in checked:
        checked["p"] = check_in_interval("p", checked["p"], 1.0, math.inf)
    return checked


def _check_manifold(manifold: torch.nn.Module) -> None:
    import geoopt  # takes half a second to import, so only users of geoopt wait for it

    if not isinstance(manifold, geoopt.PoincareBall):
        raise TypeError(f"manifold must be a geoopt.PoincareBall, got {type(manifold).__name__}")
