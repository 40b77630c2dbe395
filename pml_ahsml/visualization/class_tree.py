"""Draws the class hierarchy that class-wise divergence implies as a tree."""

import sys
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.colors import to_hex
from matplotlib.lines import Line2D
from numpy.typing import NDArray
from scipy.cluster.hierarchy import cophenet, dendrogram, leaves_list, linkage
from scipy.spatial.distance import squareform

from ..checks import to_tensor
from .colours import LEGEND_LIMIT, class_colours
from .dendrogram_purity import chance_purity, dendrogram_purity
from .labels import check_groups, check_names, fill_legend, shortened, show_literally

METHODS = ("average", "complete", "single", "weighted")

# Font sizes in points: smaller letters are unreadable in print, larger ones compete with the title.
_SMALLEST_FONT, _LARGEST_FONT = 4.5, 9.0

# Most classes whose names fit into a new figure: 8 points for each in its 18.5 inches.
_NAMES_LIMIT = 150

# Grey, for branches that hold several groups.
_MIXED = "#595959"

# scipy draws the i-th leaf at 10·i + 5.
_LEAF_WIDTH = 10


def class_tree(divergence: Any, method: str = "average") -> NDArray[np.float64]:
    """Cluster classes by their divergence, agglomeratively.

    Args:
        divergence: (K, K) distances between classes, ``loss.class_divergence()``, K ≥ 2. They must
            be finite: pass only classes that have been seen.
        method: "average" (the mean divergence between two sets of classes), "complete", "single" or
            "weighted". Ward's and the centroid method assume Euclidean distances.

    Returns:
        (K − 1, 4), scipy's linkage matrix; heights are geodesic lengths.

    Raises:
        ValueError: if ``method`` is unknown, or ``divergence`` is not a matrix of distances.

    Source:
        Class-wise divergence in hyperbolic space reflects the hierarchy: AHSML.

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
    """Draw the class tree and compare it with a known hierarchy.

    Two branches meet at the divergence of their classes. With ``groups``, leaves and branches of a
    single group get its colour, and the title gives the :func:`dendrogram_purity` and its value by
    chance. The title always gives the cophenetic correlation, which measures how well the tree
    preserves the divergences. Names are drawn only where they are readable: up to 150 in a new
    figure, fewer in a small one.

    Args:
        divergence: (K, K), ``loss.class_divergence()``. Classes never seen (nan) are left out.
        names: one for each class.
        groups: (K,) integers, the coarse group of each class.
        group_names: one for each group, for the legend. It is drawn for up to 20 groups.
        method: see :func:`class_tree`.
        ax: where to draw; by default a new figure, taller for more classes.

    Returns:
        The Axes.

    Raises:
        ValueError: if a shape is wrong, fewer than 2 classes have been seen, ``method`` is
            unknown, or ``group_names`` is given without ``groups``.

    Source:
        Cophenetic correlation: Sokal & Rohlf, 1962.

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
        raise ValueError(
            f"divergence must hold at least 2 classes that have been seen, got {int(seen.sum())}"
        )
    if names is not None:
        check_names("names", names, num_classes)
    if group_names is not None and groups is None:
        raise ValueError(f"group_names must be None without groups, got {len(group_names)} names")
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
    leaf_colours = [_MIXED] * count
    if group is not None:
        present, index = np.unique(group, return_inverse=True)
        palette = [to_hex(colour) for colour in class_colours(len(present))]
        leaf_colours = [palette[i] for i in index]
    shown = None if names is None else [shortened(names[k]) for k in np.flatnonzero(seen).tolist()]
    _draw_tree(ax, tree, leaf_colours, shown, has_strip=group is not None)
    title = f"{count:,} classes"
    if not seen.all():
        title += f" of {num_classes:,}, the others not seen"
    # no correlation for two classes or equal divergences
    if count > 2 and np.ptp(distances) > 0:
        title += f"; cophenetic correlation {cophenet(tree, distances)[0]:.2f}"
    if group is not None:
        _draw_strip(ax, [leaf_colours[k] for k in leaves_list(tree)])
        if len(present) <= LEGEND_LIMIT:
            _draw_legend(ax, palette, present, group_names)
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
    """Check the divergence and return its upper triangle, in scipy's condensed form."""
    matrix = _square(divergence)
    if len(matrix) < 2:
        raise ValueError(f"divergence must hold at least 2 classes, got {len(matrix)}")
    if not np.isfinite(matrix).all() or (matrix < 0).any() or matrix.diagonal().any():
        raise ValueError(
            "divergence must be finite, non-negative and 0 on the diagonal, got other values"
        )
    # the two triangles may differ by rounding
    if not np.allclose(matrix, matrix.T, rtol=1e-3, atol=1e-6):
        raise ValueError("divergence must be symmetric, got an asymmetric matrix")
    return np.asarray(squareform((matrix + matrix.T) / 2, checks=False))


def _checked(method: str) -> str:
    if method not in METHODS:
        raise ValueError(f"method must be one of {METHODS}, got {method!r}")
    return method


def _draw_tree(
    ax: Axes,
    tree: NDArray[np.float64],
    leaf_colours: Sequence[str],
    names: Sequence[str] | None,
    has_strip: bool,
) -> None:
    """Draw the tree: root at the left, first leaf at the top, names if they are readable."""
    count = len(leaf_colours)
    colours = list(leaf_colours)
    for left, right in tree[:, :2].astype(int):
        colours.append(colours[left] if colours[left] == colours[right] else _MIXED)
    inches = ax.get_window_extent().height / ax.figure.dpi
    font_size = min(_LARGEST_FONT, 0.95 * 72 * inches / count)
    has_names = names is not None and font_size >= _SMALLEST_FONT
    num_before = len(ax.collections)
    with _recursion_depth(count), warnings.catch_warnings():
        # if all classes coincide, so do scipy's axis limits; they are replaced below
        warnings.filterwarnings("ignore", "Attempting to set identical", UserWarning)
        dendrogram(
            tree,
            ax=ax,
            orientation="left",
            labels=names if has_names else None,
            no_labels=not has_names,
            leaf_font_size=font_size,
            link_color_func=lambda node: colours[node],
            above_threshold_color=_MIXED,
        )
    for links in ax.collections[num_before:]:
        links.set_linewidth(float(np.clip(150 / count, 0.3, 1.2)))
    ax.set(xlim=(1.02 * tree[-1, 2] or 1.0, 0), xlabel="class-wise divergence (geodesic length)")
    ax.invert_yaxis()
    ax.spines[["top", "left", "right"]].set_visible(False)
    ax.tick_params(axis="y", length=0, pad=12 if has_strip else 3)
    show_literally(ax.get_yticklabels())
    for label, leaf in zip(ax.get_yticklabels(), leaves_list(tree), strict=has_names):
        label.set_color(leaf_colours[leaf])


@contextmanager
def _recursion_depth(depth: int) -> Iterator[None]:
    """Raise the recursion limit: scipy recurses over the tree, K levels deep for a chain."""
    before = sys.getrecursionlimit()
    sys.setrecursionlimit(before + depth)
    try:
        yield
    finally:
        sys.setrecursionlimit(before)


def _draw_strip(ax: Axes, colours: Sequence[str]) -> None:
    """Draw a bar beside the leaves in the colours of their groups."""
    top = _LEAF_WIDTH * np.arange(len(colours))
    ax.vlines(
        *(np.full(len(colours), 1.012), top, top + _LEAF_WIDTH),
        colors=colours,
        linewidths=7,
        transform=ax.get_yaxis_transform(),
        clip_on=False,
    )


def _draw_legend(
    ax: Axes, colours: Sequence[str], present: NDArray[np.int64], group_names: Sequence[str] | None
) -> None:
    texts = [str(g) if group_names is None else shortened(group_names[g]) for g in present]
    legend = ax.legend(
        *([Line2D([], [], color=colour, lw=5) for colour in colours], [str(g) for g in present]),
        loc="upper center",
        bbox_to_anchor=(0.5, 0),
        borderaxespad=5,  # in font sizes: below the label of the axis
        ncols=5,
        frameon=False,
        fontsize=8,
    )
    fill_legend(legend, texts)
