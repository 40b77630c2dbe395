"""Projects embeddings of any size to two dimensions."""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.manifold import TSNE
from torch import Tensor

from ..checks import check_count, to_tensor
from ..distances import HyperbolicDistance, PoincareDistance
from ..hyperbolic import geodesic
from ..inference.embedding_checks import check_distance, warn_if_misread

METHODS = ("pca", "tsne")


class DiskProjection:
    """Projects hyperbolic embeddings to two dimensions and keeps their distance to the origin.

    A tangent vector u becomes ‖u‖·p/‖p‖, where p is a point of the plane. The radius is exact; the
    angle shows similarity as well as one angle can. Two-dimensional embeddings stay unchanged. With
    "pca", samples on one ray from the origin stay on one ray. PML's testers accept the projection
    as ``visualizer``, as they do UMAP.

    Args:
        distance: the PoincareDistance of training; a default one if left out.
        method: how to find p. "pca": the two principal axes of the directions û, around their mean;
            fast, for up to about ten classes. "tsne": scikit-learn's t-SNE on the geodesic
            distances. It keeps neighbours together even among many classes, but needs O(N²) memory
            and time; use it for a few thousand samples.
        seed: seed of t-SNE, ≥ 0.

    Attributes:
        explained: share of the variance of the directions in the plane of the last
            ``fit_transform``, in [0, 1]; 1 for two dimensions, nan for t-SNE.
        caption: one line that says what the projection keeps; empty for two dimensions.

    Raises:
        TypeError: if ``distance`` is not a PoincareDistance.
        ValueError: if ``method`` is unknown; in ``fit_transform`` if the shape is wrong or a value
            is nan or inf.

    Source:
        Keeping the norm in a picture of hyperbolic embeddings: CO-SNE, Guo et al., CVPR 2022.

    Example:
        >>> projection = DiskProjection()
        >>> flat = projection.fit_transform(torch.tensor([[0.0, 0.3, 0.4], [2.0, 0.0, 0.0]]))
        >>> np.linalg.norm(flat, axis=1).round(4).tolist()
        [0.5, 2.0]
    """

    def __init__(
        self, distance: HyperbolicDistance | None = None, *, method: str = "pca", seed: int = 0
    ) -> None:
        distance = PoincareDistance() if distance is None else distance
        check_distance(distance)
        if method not in METHODS:
            raise ValueError(f"method must be one of {METHODS}, got {method!r}")
        seed = check_count("seed", seed, minimum=0)
        self.distance = distance
        self.method = method
        self.seed = seed
        self.explained = float("nan")
        self.caption = ""

    @torch.no_grad()
    def fit_transform(self, embeddings: Any) -> NDArray[np.float64]:
        """Project embeddings.

        Args:
            embeddings: (N, D) array or tensor in the distance's ``embedding_space``, N ≥ 1, D ≥ 2.

        Returns:
            (N, 2) tangent vectors at the origin, with the norms of ``distance.to_tangent``.
        """
        rows = check_rows("embeddings", embeddings)
        if rows.shape[1] > 2:
            warn_if_misread(self.distance, rows)
        tangent = self.distance.to_tangent(self.distance.maybe_normalize(rows)).double()
        return self.project(tangent)

    def project(self, tangent: Tensor, others: Tensor | None = None) -> NDArray[np.float64]:
        """Project tangent vectors that are already clipped.

        Args:
            tangent: (N, D), float64.
            others: (M, D), float64, further vectors such as class centroids, which do not influence
                the plane of "pca".

        Returns:
            (N + M, 2), with unchanged norms.
        """
        count = len(tangent)
        if others is not None:
            tangent = torch.cat([tangent, others])
        if tangent.shape[1] == 2:
            self.explained, self.caption = 1.0, ""
            return np.asarray(tangent.numpy())
        if self.method == "tsne" and len(tangent) > 1:
            plane, self.explained = self._neighbours(tangent), float("nan")
            angle = "by t-SNE"
        else:
            plane, self.explained = _principal_plane(tangent, count)
            angle = f"of a plane with {self.explained:.0%} of the variance"
        self.caption = f"{tangent.shape[1]}-D: distance to the origin exact, angle {angle}"
        norm = torch.linalg.vector_norm(plane, dim=1, keepdim=True)
        # a point at the centre of the plane has no angle; put it on the first axis
        direction = torch.where(norm > 0, plane / norm, plane.new_tensor([1.0, 0.0]))
        return np.asarray((direction * torch.linalg.vector_norm(tangent, dim=1)[:, None]).numpy())

    def _neighbours(self, tangent: Tensor) -> Tensor:
        curvature = float(self.distance.curvature)
        lengths = geodesic.distance_matrix(tangent, tangent, curvature)
        lengths = (lengths + lengths.T) / 2  # t-SNE checks for exact symmetry
        # t-SNE needs a perplexity below the number of samples; 30 is its default
        perplexity = min(30.0, max(1.0, (len(tangent) - 1) / 3))
        plane = TSNE(
            metric="precomputed", init="random", perplexity=perplexity, random_state=self.seed
        ).fit_transform(lengths.numpy())
        plane = tangent.new_tensor(plane)
        return plane - plane.mean(0)


def check_rows(name: str, embeddings: Any) -> Tensor:
    """Return embeddings as a finite float64 (N, D) tensor on the CPU; raise if not valid."""
    rows = to_tensor(name, embeddings)
    if rows.ndim != 2 or len(rows) == 0 or rows.shape[1] < 2:
        raise ValueError(
            f"{name} must be of shape (N, D) with N ≥ 1 and D ≥ 2, got {tuple(rows.shape)}"
        )
    if not rows.is_floating_point():
        raise TypeError(f"{name} must be of a floating point dtype, got {rows.dtype}")
    if not torch.isfinite(rows).all():
        raise ValueError(f"{name} must be finite, got nan or inf")
    return rows.double()


def _principal_plane(tangent: Tensor, count: int) -> tuple[Tensor, float]:
    """Compute coordinates on the two principal axes of the first ``count`` rows.

    Returns:
        (N, 2) coordinates, and the share of the variance in this plane.
    """
    directions = torch.nn.functional.normalize(tangent, dim=1)
    directions = directions - directions[:count].mean(0)
    variance, axes = torch.linalg.eigh(directions[:count].T @ directions[:count])
    axes = axes[:, [-1, -2]]
    # the sign of an axis is arbitrary; fix it, so that the picture is always the same
    axes = axes * axes.gather(0, axes.abs().argmax(0, keepdim=True)).sign()
    total = float(variance.sum())
    return directions @ axes, float(variance[-2:].sum()) / total if total > 0 else 1.0
