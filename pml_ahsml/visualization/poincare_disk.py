"""Plots embeddings in the Poincaré disk."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from numpy.typing import NDArray
from torch import Tensor

from ..classes.class_statistics import ClassStatistics
from ..distances import HyperbolicDistance
from .colours import LEGEND_LIMIT, class_colours
from .disk_axes import draw_disk, on_disk
from .disk_projection import DiskProjection, check_rows
from .labels import check_groups, check_labels, check_names, check_trust, fill_legend, shortened


def plot_poincare_disk(
    embeddings: Any,
    labels: Any = None,
    *,
    trust: Any = None,
    groups: Any = None,
    names: Sequence[str] | None = None,
    class_statistics: ClassStatistics | None = None,
    distance: HyperbolicDistance | None = None,
    method: str = "pca",
    ax: Axes | None = None,
) -> Axes:
    """Draw embeddings in the Poincaré disk, at h = tanh(√c‖u‖)·û for a tangent vector u.

    Two-dimensional embeddings are drawn as they are. Larger ones go through a
    :class:`DiskProjection`, which keeps their distance to the origin. Grey rings mark geodesic
    distances from the origin; the dashed one is the clip radius. Often most samples lie at the clip
    radius. They are spread over a band outside it, which holds nothing else. Up to 20 colours get a
    legend.

    Args:
        embeddings: (N, D), in the distance's ``embedding_space``, D ≥ 2.
        labels: (N,) integers, to colour the samples by class.
        trust: (N,) in [0, 1], to colour the samples by trust instead.
        groups: (K,) integers, the coarse group of each class, to colour the samples by group.
        names: names for the legend, one for each group, or for each class if there are no groups.
        class_statistics: adds the centroids of the classes in ``labels``, or of all classes seen if
            there are no labels. The plot then uses the distance of ``class_statistics``.
        distance: the PoincareDistance of training; a default one if left out.
        method: "pca" or "tsne", see :class:`DiskProjection`.
        ax: where to draw; a new figure by default.

    Returns:
        The Axes.

    Raises:
        ValueError: if a shape or value is wrong, ``groups`` or ``names`` are given without
            ``labels`` or with ``trust``, or both ``distance`` and ``class_statistics`` are given.
        TypeError: if an argument has the wrong type or dtype.

    Example:
        >>> embeddings, labels = torch.rand(30, 2), torch.arange(30) % 3
        >>> ax = plot_poincare_disk(embeddings, labels, names=["ant", "bee", "cat"])
        >>> ax.get_title()
        '30 samples of 3 classes'
        >>> plt.close(ax.figure)
    """
    rows = check_rows("embeddings", embeddings)
    if distance is not None and class_statistics is not None:
        raise ValueError(
            "distance must be None with class_statistics, which has its own, got a "
            f"{type(distance).__name__}"
        )
    for name, value in (("groups", groups), ("names", names)):
        if value is not None and (labels is None or trust is not None):
            raise ValueError(
                f"{name} must be None without labels or with trust, got {type(value).__name__}"
            )
    classes = None if labels is None else check_labels("labels", labels, len(rows))
    trusts = None if trust is None else check_trust("trust", trust, len(rows))
    kinds = None
    if classes is not None and trusts is None:
        of_class = None if groups is None else check_groups("groups", groups, classes)
        kinds = _Kinds(classes, of_class)
        if names is not None:
            check_names("names", names, int(kinds.present[-1]) + 1)
    if class_statistics is not None and rows.shape[1] != class_statistics.embedding_size:
        raise ValueError(
            f"embeddings must be of shape (N, {class_statistics.embedding_size}), as "
            f"class_statistics, got {tuple(rows.shape)}"
        )
    geometry = distance if class_statistics is None else class_statistics.distance
    projection = DiskProjection(geometry, method=method)
    shown = _classes_with_centroid(class_statistics, classes)
    flat = _project(projection, rows, class_statistics, shown)

    if ax is None:
        _, ax = plt.subplots(figsize=(8.5, 6.5), layout="constrained")
    colours: Any = "tab:blue" if kinds is None else kinds.colours(kinds.classes)
    num_clipped = _draw_samples(ax, flat[: len(rows)], projection.distance, colours, trusts)
    draw_disk(ax, projection.distance, has_band=num_clipped > 0)
    title = f"{len(rows):,} samples"
    if kinds is not None:
        title += f" of {len(np.unique(kinds.classes)):,} classes"
        if groups is not None:
            title += f" in {len(kinds.present):,} groups"
        if len(kinds.present) <= LEGEND_LIMIT:
            _draw_legend(ax, kinds.present, names)
    if len(shown):
        fill: Any = "white" if kinds is None else kinds.colours(shown)
        _draw_centroids(ax, on_disk(flat[len(rows) :], projection.distance), fill)
        title += f", {len(shown):,} centroids"
    if num_clipped:
        title += f", {num_clipped / len(rows):.0%} at the clip radius"
    ax.set_title("\n".join(filter(None, [title, projection.caption])), fontsize=9)
    return ax


class _Kinds:
    """The kinds of samples that get a colour each: classes, or groups of classes."""

    def __init__(self, classes: NDArray[np.int64], groups: NDArray[np.int64] | None) -> None:
        self.classes = classes
        self._groups = groups
        self.present = np.unique(self._of(classes))

    def _of(self, classes: NDArray[np.int64]) -> NDArray[np.int64]:
        return classes if self._groups is None else np.asarray(self._groups[classes])

    def colours(self, classes: NDArray[np.int64]) -> NDArray[np.float64]:
        """Return the (N, 3) colours of classes, which must occur among the samples."""
        index = np.searchsorted(self.present, self._of(classes))
        return np.asarray(class_colours(len(self.present))[index])


def _classes_with_centroid(
    statistics: ClassStatistics | None, classes: NDArray[np.int64] | None
) -> NDArray[np.int64]:
    if statistics is None:
        return np.zeros(0, dtype=np.int64)
    seen = statistics.seen.cpu().numpy()
    if classes is None:
        return np.flatnonzero(seen)
    if classes.max() >= statistics.num_classes:
        raise ValueError(
            f"labels must lie in [0, {statistics.num_classes}), as class_statistics, got "
            f"{classes.max()}"
        )
    present = np.unique(classes)
    return np.asarray(present[seen[present]])


def _project(
    projection: DiskProjection,
    rows: Tensor,
    statistics: ClassStatistics | None,
    shown: NDArray[np.int64],
) -> NDArray[np.float64]:
    """Project the samples, then the centroids, onto one disk."""
    if statistics is None:
        return projection.fit_transform(rows)
    device = statistics.means.device
    tangent = statistics.tangent(rows.to(device))
    centroids = statistics.centroids(torch.as_tensor(shown, device=device))
    return projection.project(tangent.cpu().double(), centroids.cpu().double())


def _draw_samples(
    ax: Axes,
    samples: NDArray[np.float64],
    distance: HyperbolicDistance,
    colours: Any,
    trusts: NDArray[np.float64] | None,
) -> int:
    """Scatter the samples; return how many of them lie at the clip radius."""
    random = np.random.default_rng(0)
    clipped = np.linalg.norm(samples, axis=1) > 0.999 * distance.clip_radius
    points = on_disk(samples, distance)
    points[clipped] *= 1.02 + 0.08 * random.random((int(clipped.sum()), 1))
    # draw in random order, so that no class covers the others
    order = random.permutation(len(points))
    x, y = points[order].T
    size = _marker_size(len(points), 3, 30)
    if trusts is not None:
        drawn = ax.scatter(
            x, y, c=trusts[order], s=size, cmap="coolwarm_r", vmin=0, vmax=1, linewidths=0
        )
        ax.figure.colorbar(drawn, ax=ax, label="trust", shrink=0.7)
    else:
        shown = colours if isinstance(colours, str) else colours[order]
        ax.scatter(x, y, c=shown, s=size, alpha=0.7, linewidths=0)
    return int(clipped.sum())


def _draw_centroids(ax: Axes, centroids: NDArray[np.float64], fill: Any) -> None:
    size = _marker_size(len(centroids), 8, 110)
    ax.scatter(
        centroids[:, 0],
        centroids[:, 1],
        c=fill,
        s=size,
        marker="D",
        edgecolors="black",
        linewidths=0.2 + size / 100,
    )


def _marker_size(count: int, smallest: float, largest: float) -> float:
    """Compute the area of a marker in square points, 1e4 for all markers together."""
    return float(np.clip(1e4 / count, smallest, largest))


def _draw_legend(ax: Axes, present: NDArray[np.int64], names: Sequence[str] | None) -> None:
    for kind, colour in zip(present, class_colours(len(present)), strict=True):
        ax.scatter([], [], color=colour, s=30, label=str(kind))
    legend = ax.legend(
        loc="upper left", bbox_to_anchor=(1, 1), frameon=False, fontsize=8, handletextpad=0
    )
    fill_legend(legend, [str(k) if names is None else shortened(names[k]) for k in present])
    ax.set_anchor("W")  # the legend takes the width that the square disk leaves
