"""The tree of classes that class-wise divergence spans."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.lines import Line2D
from matplotlib.transforms import ScaledTranslation, blended_transform_factory
from numpy.typing import NDArray
from scipy.cluster.hierarchy import cophenet, leaves_list, linkage
from scipy.spatial.distance import squareform

from ..checks import to_tensor
from .colours import LEGEND_LIMIT, class_colours
from .dendrogram_purity import chance_purity, dendrogram_purity
from .labels import check_groups, check_names, fill_legend, shortened, show_literally

METHODS = ("average", "complete", "single", "weighted")

# Points; smaller letters cannot be read in print, larger ones are larger than the title's.
_SMALLEST_FONT, _LARGEST_FONT = 4.5, 9.0

# Classes whose names a new figure makes room for.
_NAMES_LIMIT = 150

_NEUTRAL = (0.35, 0.35, 0.35)


def class_tree(divergence: Any, method: str = "average") -> NDArray[np.float64]:
    """Agglomerative clustering of classes by their divergence.

    Args:
        divergence: (K, K) distances between classes, ``loss.class_divergence()``, K ≥ 2; finite:
            ask for the classes that have been seen.
        method: "average" (the mean divergence between two sets of classes), "complete", "single" or
            "weighted". Ward's and the centroid method are Euclidean and do not apply.

    Returns:
        (K − 1, 4), scipy's linkage matrix, heights in geodesic length.

    Raises:
        ValueError: for another method, or a matrix that holds no distances.

    Source:
        This project; that class-wise divergence in hyperbolic space shows the hierarchy: AHSML.

    Example:
        >>> import torch
        >>> class_tree(torch.tensor([[0.0, 1.0, 4.0], [1.0, 0.0, 6.0], [4.0, 6.0, 0.0]]))
        array([[0., 1., 1., 2.],
               [2., 3., 5., 3.]])
    """
    return np.asarray(linkage(_condensed(divergence), method=_checked(method)))


def plot_class_tree(
    divergence: Any,
    *,
    names: Sequence[str] | None = None,
    groups: Any = None,
    group_names: Sequence[str] | None = None,
    method: str = "average",
    ax: Axes | None = None,
) -> Axes:
    """The class tree, compared with the hierarchy that is known where there is one.

    Two branches meet at the divergence of what they hold. Where ``groups`` are given, leaves and
    the branches whose leaves are all of one group have its colour, and the title states the
    :func:`dendrogram_purity` and what chance would give. It always states the cophenetic
    correlation: how truly the tree, a simplification, renders the divergences. Names are drawn
    where they can be read: up to 150 in a new figure, fewer in a small one.

    Args:
        divergence: (K, K), ``loss.class_divergence()``. Classes never seen (nan) are left out.
        names: of the classes.
        groups: (K,) integers, the coarse group of each class.
        group_names: of the groups, for the legend, which is drawn for up to 20 groups.
        method: of :func:`class_tree`.
        ax: where to draw; a new figure if left out, higher for more classes.

    Returns:
        The Axes.

    Raises:
        ValueError: for bad shapes, fewer than 2 classes seen, another method, or group_names
            without groups.

    Source:
        This project; cophenetic correlation: Sokal & Rohlf, 1962.

    Example:
        >>> import torch
        >>> divergence = torch.tensor([[0.0, 1.0, 4.0], [1.0, 0.0, 6.0], [4.0, 6.0, 0.0]])
        >>> ax = plot_class_tree(divergence, names=["cat", "dog", "car"])
        >>> ax.get_title()
        '3 classes; cophenetic correlation 0.92'
        >>> [label.get_text() for label in ax.get_yticklabels()]
        ['car', 'cat', 'dog']
        >>> plt.close(ax.figure)
    """
    matrix = _square(divergence)
    num_classes = len(matrix)
    seen = ~np.isnan(matrix.diagonal())
    if seen.sum() < 2:
        raise ValueError(f"divergence must have 2 classes that were seen, got {int(seen.sum())}")
    if names is not None:
        check_names("names", names, num_classes)
    if group_names is not None and groups is None:
        raise ValueError("group_names must be None without groups, got some")
    group = None
    if groups is not None:
        group = check_groups("groups", groups, np.arange(num_classes))[seen]
        if group_names is not None:
            check_names("group_names", group_names, int(group.max()) + 1)
    distances = _condensed(matrix[np.ix_(seen, seen)])
    tree = np.asarray(linkage(distances, method=_checked(method)))
    count = len(tree) + 1

    if ax is None:
        readable = names is not None and count <= _NAMES_LIMIT
        height = float(np.clip(1.2 + 0.115 * count, 3, 19 if readable else 9))
        _, ax = plt.subplots(figsize=(9, height), layout="constrained")
    present, colours = np.zeros(0, dtype=np.int64), np.zeros((0, 3))
    leaf_colours = np.tile(_NEUTRAL, (count, 1))
    if group is not None:
        present, index = np.unique(group, return_inverse=True)
        colours = class_colours(len(present))
        leaf_colours = colours[index]
    order = leaves_list(tree)
    _draw_branches(ax, tree, order, leaf_colours)
    ax.set_yticks([])
    if names is not None:
        shown = [names[k] for k in np.flatnonzero(seen)[order]]
        _draw_names(ax, shown, leaf_colours[order], has_strip=group is not None)
    if group is not None:
        _draw_strip(ax, leaf_colours[order])
        if len(present) <= LEGEND_LIMIT:
            _draw_legend(ax, colours, present, group_names)
    title = f"{count:,} classes"
    if not seen.all():
        title += f" of {num_classes:,}, the others not seen"
    # two classes, or equal divergences: there is nothing to correlate
    if count > 2 and np.ptp(distances) > 0:
        title += f"; cophenetic correlation {cophenet(tree, distances)[0]:.2f}"
    if group is not None:
        purity = dendrogram_purity(tree, group)
        if not np.isnan(purity):  # nan: no group has two classes
            chance = chance_purity(tree, group)
            title += f"\npurity of the {len(present)} groups {purity:.2f} (by chance {chance:.2f})"
    ax.set_title(title)
    return ax


def _square(divergence: Any) -> NDArray[np.float64]:
    matrix = to_tensor("divergence", divergence).double()
    if matrix.ndim != 2 or matrix.shape[0] != matrix.shape[1]:
        raise ValueError(f"divergence must be of shape (K, K), got {tuple(matrix.shape)}")
    return np.asarray(matrix.numpy())


def _condensed(divergence: Any) -> NDArray[np.float64]:
    """The upper triangle, as scipy wants it."""
    matrix = _square(divergence)
    if len(matrix) < 2:
        raise ValueError(f"divergence must be of at least 2 classes, got {len(matrix)}")
    if not np.isfinite(matrix).all() or (matrix < 0).any() or matrix.diagonal().any():
        raise ValueError("divergence must be finite, not negative and 0 on the diagonal, got other")
    # the last digits of the two halves may differ
    if not np.allclose(matrix, matrix.T, rtol=1e-3, atol=1e-6):
        raise ValueError("divergence must be symmetric, got a matrix that is not")
    return np.asarray(squareform((matrix + matrix.T) / 2, checks=False))


def _checked(method: str) -> str:
    if method not in METHODS:
        raise ValueError(f"method must be one of {METHODS}, got {method!r}")
    return method


def _draw_branches(
    ax: Axes,
    tree: NDArray[np.float64],
    order: NDArray[np.int32],
    leaf_colours: NDArray[np.float64],
) -> None:
    """The tree with its root at the left and leaf number i of the order at height i.

    scipy's dendrogram is drawn by a recursion, which a chain of 1,000 classes is too deep for.
    """
    count = len(tree) + 1
    position = np.empty(count + len(tree))
    position[order] = np.arange(count)
    height = np.concatenate([np.zeros(count), tree[:, 2]])
    colour = np.concatenate([leaf_colours, np.tile(_NEUTRAL, (len(tree), 1))])
    branches, branch_colours = [], []
    for node, (left, right) in enumerate(tree[:, :2].astype(int), count):
        position[node] = (position[left] + position[right]) / 2
        if (colour[left] == colour[right]).all():
            colour[node] = colour[left]
        for child in (left, right):
            branches.append(
                [
                    (height[node], position[node]),
                    (height[node], position[child]),
                    (height[child], position[child]),
                ]
            )
            branch_colours.append(colour[node])
    width = float(np.clip(150 / count, 0.3, 1.2))
    ax.add_collection(LineCollection(branches, colors=branch_colours, linewidths=width))
    ax.set(xlim=(1.02 * height[-1] or 1.0, 0), ylim=(count - 0.5, -0.5))
    ax.set_xlabel("class-wise divergence (geodesic length)")
    ax.spines[["top", "left", "right"]].set_visible(False)


def _draw_names(
    ax: Axes, names: Sequence[str], colours: NDArray[np.float64], has_strip: bool
) -> None:
    """The names of the leaves, unless the letters would be too small."""
    inches = ax.get_window_extent().height / ax.figure.dpi
    size = min(_LARGEST_FONT, 0.95 * 72 * inches / len(names))
    if size < _SMALLEST_FONT:
        return
    ax.yaxis.tick_right()
    ax.set_yticks(range(len(names)), [shortened(name) for name in names], fontsize=size)
    ax.tick_params(axis="y", length=0, pad=12 if has_strip else 3)
    show_literally(ax.get_yticklabels())
    for label, colour in zip(ax.get_yticklabels(), colours, strict=True):
        label.set_color(colour)


def _draw_strip(ax: Axes, colours: NDArray[np.float64]) -> None:
    """A bar in the colours of the groups beside the leaves."""
    beside = blended_transform_factory(ax.transAxes, ax.transData)
    ax.add_collection(
        LineCollection(
            [[(1.012, y - 0.5), (1.012, y + 0.5)] for y in range(len(colours))],
            colors=colours,
            linewidths=7,
            capstyle="butt",
            transform=beside,
            clip_on=False,
        ),
        autolim=False,
    )


def _draw_legend(
    ax: Axes,
    colours: NDArray[np.float64],
    present: NDArray[np.int64],
    group_names: Sequence[str] | None,
) -> None:
    handles = [Line2D([], [], color=colour, lw=5) for colour in colours]
    texts = [str(g) if group_names is None else shortened(group_names[g]) for g in present]
    # below the axis and its label, wherever the branches are and however high the picture is
    below = ax.transAxes + ScaledTranslation(0, -40 / 72, ax.figure.dpi_scale_trans)
    legend = ax.legend(
        *(handles, [str(g) for g in present]),
        loc="upper center",
        bbox_to_anchor=(0.5, 0),
        bbox_transform=below,
        ncols=5,
        frameon=False,
        fontsize=8,
    )
    fill_legend(legend, texts)
