"""What the hyperbolic distances share: curvature, clip radius and the scale of embeddings."""

import math
from typing import Any, cast

import torch
from pytorch_metric_learning.distances import BaseDistance
from torch import Tensor

from ..checks import check_flag, check_in_interval, check_positive
from ..hyperbolic import maps
from .learnt_scale import LearntScale


class HyperbolicDistance(BaseDistance):
    """Base class of the distances between embeddings in hyperbolic space of curvature −c.

    An embedding e is a tangent vector at the origin, u = λ·e, clipped to norm r. A subclass says
    what it computes of u and v. Scaling by λ changes nothing but the unit of length: with curvature
    λ²c and clip radius r/λ, e itself gives the same hyperbolic angles and radii
    (:attr:`geometry`), so that no copy of the embeddings is made.

    Args:
        curvature: c > 0.
        clip_radius: r > 0, finite.
        learn_curvature: whether c is learnable.
        manifold: a ``geoopt.PoincareBall`` whose curvature is read at every call.
        embedding_space: "tangent" or "ball".
        scale: λ, "auto" or None, see the subclasses.
        **kwargs: passed to ``BaseDistance``.

    Raises:
        ValueError: if an option is out of range, or ``curvature`` is given with ``manifold``.
        TypeError: if an option has the wrong type.
    """

    def __init__(
        self,
        curvature: float,
        clip_radius: float,
        *,
        learn_curvature: bool,
        manifold: torch.nn.Module | None,
        embedding_space: str,
        scale: float | str | None,
        **kwargs: Any,
    ) -> None:
        curvature = check_positive("curvature", curvature)
        clip_radius = check_positive("clip_radius", clip_radius)
        learn_curvature = check_flag("learn_curvature", learn_curvature)
        if embedding_space not in ("tangent", "ball"):
            raise ValueError(
                f"embedding_space must be 'tangent' or 'ball', got {embedding_space!r}"
            )
        scale = _checked_scale(scale, embedding_space)
        kwargs = _checked(kwargs)
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
        self._fixed_scale = scale if isinstance(scale, float) else 1.0
        self.learnt_scale = LearntScale(clip_radius / 4) if scale == "auto" else None
        self.add_to_recordable_attributes(list_of_names=["clip_radius"], is_stat=False)

    @property
    def curvature(self) -> float | Tensor:
        """The curvature c > 0; a tensor if it is learnable or comes from a manifold."""
        if self.manifold is not None:
            return cast(Tensor, self.manifold.c)
        return self.log_curvature.exp() if self.learn_curvature else self._fixed_curvature

    @property
    def scale(self) -> float:
        """The factor λ of embeddings; 1 without one, and before "auto" has seen a batch."""
        return self._fixed_scale if self.learnt_scale is None else self.learnt_scale.factor

    @property
    def geometry(self) -> tuple[float | Tensor, float]:
        """Curvature λ²c and clip radius r/λ, at which embeddings need no scaling."""
        scale = self.scale
        return self.curvature * scale**2, self.clip_radius / scale

    def find_scale(self, embeddings: Tensor) -> None:
        """Find the scale from a batch if it is "auto" and not known yet.

        A loss in training does so by itself. Call it to use the distance before.

        Args:
            embeddings: (N, D), what the network puts out.
        """
        if self.learnt_scale is not None:
            self.learnt_scale.find(self.maybe_normalize(embeddings))

    def to_tangent(self, embeddings: Tensor) -> Tensor:
        """Convert embeddings to tangent vectors at the origin, scaled and clipped to norm r.

        Args:
            embeddings: (N, D), in this distance's ``embedding_space``.

        Returns:
            (N, D), of norm ≤ clip_radius.
        """
        if self.embedding_space == "ball":
            return maps.logmap0(embeddings, self.curvature, max_norm=self.clip_radius)
        scale = self.scale
        rows = embeddings if scale == 1 else embeddings * scale
        return maps.clip_norm(rows, self.clip_radius)

    def from_tangent(self, tangent: Tensor) -> Tensor:
        """Convert tangent vectors at the origin to embeddings, the inverse of :meth:`to_tangent`.

        Args:
            tangent: (N, D).

        Returns:
            (N, D), in this distance's ``embedding_space``.
        """
        if self.embedding_space == "ball":
            return maps.expmap0(tangent, self.curvature)
        scale = self.scale
        return tangent if scale == 1 else tangent / scale

    def _learn_scale(self, embeddings: Tensor) -> None:
        """Find the scale in training, from embeddings that are normalised already if asked for."""
        learnt = self.learnt_scale
        if learnt is not None and self.training and torch.is_grad_enabled():
            learnt.find(embeddings)


def _checked_scale(scale: float | str | None, embedding_space: str) -> float | str | None:
    if isinstance(scale, str):
        if scale != "auto":
            raise ValueError(f"scale must be a number, 'auto' or None, got {scale!r}")
        # points of the ball are at their place already
        return None if embedding_space == "ball" else scale
    if scale is None:
        return None
    scale = float(check_positive("scale", scale))
    if embedding_space == "ball":
        raise ValueError(f"scale must be 'auto' or None for points of the ball, got {scale}")
    return scale


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
