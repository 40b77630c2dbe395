"""Embeddings in the Poincaré disk."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.patches import Circle
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray
from torch import Tensor

from ..distances import PoincareDistance
from ..statistics import ClassStatistics
from .colours import LEGEND_LIMIT, class_colours
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
    distance: PoincareDistance | None = None,
    method: str = "pca",
    ax: Axes | None = None,
) -> Axes:
    """Embeddings in the Poincaré disk, at h = tanh(√c‖u‖)·û in units of its radius.

    Two-dimensional embeddings are shown as they are, larger ones through a :class:`DiskProjection`,
    which keeps their distance to the origin. Grey rings stand at that geodesic distance. The dashed
    one is as far as the clip radius lets a sample be; samples that lie on it, often most of them,
    are spread over a band outside, where nothing else can lie. A legend is drawn for up to 20
    colours.

    Args:
        embeddings: (N, D), in the distance's ``embedding_space``, D ≥ 2.
        labels: (N,) integers; they colour the samples.
        trust: (N,) in [0, 1]; colours the samples instead.
        groups: (K,) integers, the coarse group of each class; the groups then give the colours.
        names: of the groups, or of the classes where there are no groups, for the legend.
        class_statistics: adds the centroids of the classes in ``labels``, of all that it has seen
            without labels. Its geometry places the samples too: that of its own distance.
        distance: the PoincareDistance of training; a default one if left out.
        method: "pca" or "tsne", of :class:`DiskProjection`.
        ax: where to draw; a new figure if left out.

    Returns:
        The Axes.

    Raises:
        ValueError: for bad shapes or values; for groups or names without labels, groups or names
            beside trust, or a distance beside class_statistics.
        TypeError: for tensors of another kind.

    Source:
        This project.

    Example:
        >>> embeddings, labels = torch.rand(30, 2), torch.arange(30) % 3
        >>> ax = plot_poincare_disk(embeddings, labels, names=["ant", "bee", "cat"])
        >>> ax.get_title()
        '30 samples of 3 classes'
        >>> plt.close(ax.figure)
    """
    rows = check_rows("embeddings", embeddings)
    if distance is not None and class_statistics is not None:
        raise ValueError("distance must be None beside class_statistics, which has its own")
    for name, value in (("groups", groups), ("names", names)):
        if value is not None and (labels is None or trust is not None):
            raise ValueError(f"{name} must be None without labels or with trust, got some")
    classes = None if labels is None else check_labels("labels", labels, len(rows))
    trusts = None if trust is None else check_trust("trust", trust, len(rows))
    kinds = None
    if classes is not None and trusts is None:
        kinds = _Kinds.of(classes, groups, names)
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
    num_clipped = _draw_samples(ax, flat[: len(rows)], projection.distance, kinds, trusts)
    _draw_disk(ax, projection.distance, has_band=num_clipped > 0)
    title = f"{len(rows):,} samples"
    if kinds is not None:
        title += kinds.description
        if len(kinds.colours) <= LEGEND_LIMIT:
            _draw_legend(ax, kinds)
    if len(shown):
        fill: Any = "white" if kinds is None else kinds.colours_of(shown)
        _draw_centroids(ax, _on_disk(flat[len(rows) :], projection.distance), fill)
        title += f", {len(shown):,} centroids"
    if num_clipped:
        title += f", {num_clipped / len(rows):.0%} at the clip radius"
    ax.set_title("\n".join(filter(None, [title, projection.caption])), fontsize=9)
    return ax


@dataclass(frozen=True)
class _Kinds:
    """The classes, or the groups of the classes, that give samples their colours."""

    present: NDArray[np.int64]
    of_sample: NDArray[np.int64]
    of_class: NDArray[np.int64] | None
    colours: NDArray[np.float64]
    names: list[str]
    description: str

    @classmethod
    def of(cls, classes: NDArray[np.int64], groups: Any, names: Sequence[str] | None) -> "_Kinds":
        of_class = None if groups is None else check_groups("groups", groups, classes)
        kinds = classes if of_class is None else of_class[classes]
        present, of_sample = np.unique(kinds, return_inverse=True)
        if names is not None:
            check_names("names", names, int(present[-1]) + 1)
        description = f" of {len(np.unique(classes)):,} classes"
        if of_class is not None:
            description += f" in {len(present):,} groups"
        return cls(
            present,
            of_sample,
            of_class,
            class_colours(len(present)),
            [str(k) if names is None else shortened(names[k]) for k in present],
            description,
        )

    def colours_of(self, classes: NDArray[np.int64]) -> NDArray[np.float64]:
        """Colours of classes that are among those of the samples."""
        kinds = classes if self.of_class is None else self.of_class[classes]
        return np.asarray(self.colours[np.searchsorted(self.present, kinds)])


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
    """Samples, then centroids, on one disk."""
    if statistics is None:
        return projection.fit_transform(rows)
    device = statistics.means.device
    tangent = statistics.tangent(rows.to(device))
    centroids = statistics.centroids(torch.as_tensor(shown, device=device))
    return projection.project(tangent.cpu().double(), centroids.cpu().double())


def _on_disk(tangent: NDArray[np.float64], distance: PoincareDistance) -> NDArray[np.float64]:
    """Tangent vectors as points of the unit disk."""
    norm = np.linalg.norm(tangent, axis=1, keepdims=True)
    radius = np.tanh(float(distance.curvature) ** 0.5 * norm)
    return np.asarray(tangent * (radius / np.where(norm > 0, norm, 1)))


def _draw_samples(
    ax: Axes,
    samples: NDArray[np.float64],
    distance: PoincareDistance,
    kinds: _Kinds | None,
    trusts: NDArray[np.float64] | None,
) -> int:
    """Scatter the samples; returns how many of them lie on the clip radius."""
    random = np.random.default_rng(0)
    clipped = np.linalg.norm(samples, axis=1) > 0.999 * distance.clip_radius
    points = _on_disk(samples, distance)
    points[clipped] *= 1.02 + 0.08 * random.random((int(clipped.sum()), 1))
    # in random order, so that no class lies on top of all others
    order = random.permutation(len(points))
    x, y = points[order].T
    size = _marker_size(len(points), 3, 30)
    if trusts is not None:
        drawn = ax.scatter(
            x, y, c=trusts[order], s=size, cmap="coolwarm_r", vmin=0, vmax=1, linewidths=0
        )
        ax.figure.colorbar(drawn, ax=ax, label="trust", shrink=0.7)
    else:
        colours: Any = "tab:blue" if kinds is None else kinds.colours[kinds.of_sample[order]]
        ax.scatter(x, y, c=colours, s=size, alpha=0.7, linewidths=0)
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
    """Smaller for more of them, between what can be seen and what hides no other."""
    return float(np.clip(1e4 / count, smallest, largest))


def _draw_disk(ax: Axes, distance: PoincareDistance, has_band: bool) -> None:
    """The clip radius and rings of equal distance to the origin."""
    root, furthest = float(distance.curvature) ** 0.5, 2 * distance.clip_radius
    limit = float(np.tanh(root * furthest / 2))
    for length in MaxNLocator(5).tick_values(0, furthest):
        if 0 < length < furthest:
            radius = float(np.tanh(root * length / 2))
            ax.add_patch(Circle((0, 0), radius, fill=False, color="0.85", lw=0.8, zorder=0))
            ax.text(
                *(0, radius, f"{length:g}"),
                fontsize=8,
                color="0.3",
                ha="center",
                va="center",
                zorder=5,
                bbox={"facecolor": "white", "edgecolor": "none", "alpha": 0.7, "pad": 1},
            )
    ax.add_patch(Circle((0, 0), limit, fill=False, color="0.5", lw=0.8, ls="--", zorder=0))
    edge = (1.12 if has_band else 1.03) * limit
    ax.set(xlim=(-edge, edge), ylim=(-edge, edge), aspect="equal")
    ax.axis("off")


def _draw_legend(ax: Axes, kinds: _Kinds) -> None:
    for kind, colour in enumerate(kinds.colours):
        ax.scatter([], [], color=colour, s=30, label=str(kind))
    legend = ax.legend(
        loc="upper left", bbox_to_anchor=(1, 1), frameon=False, fontsize=8, handletextpad=0
    )
    fill_legend(legend, kinds.names)
    ax.set_anchor("W")  # what a square leaves of the width is room for the legend
