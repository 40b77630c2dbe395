"""How well a tree of classes agrees with a hierarchy that is known."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..checks import check_count
from .labels import check_labels


def dendrogram_purity(linkage: NDArray[np.float64], groups: Any) -> float:
    """Purity of the smallest subtree that two classes of one group have in common.

    The mean, over all pairs of classes of one group, of the share that this group has among the
    leaves of the subtree where the two meet. 1 if every group is a subtree of its own.

    Args:
        linkage: (K − 1, 4), of scipy's ``linkage``.
        groups: (K,) integers ≥ 0, the group of each leaf.

    Returns:
        In (0, 1]; nan where no group has two classes. Compare with :func:`chance_purity`: what
        groups that have nothing to do with the tree would reach depends on their sizes.

    Raises:
        ValueError: for groups of another shape.

    Source:
        Heller & Ghahramani, ICML 2005.

    Example:
        >>> from scipy.cluster.hierarchy import linkage
        >>> tree = linkage([[0.0], [1.0], [10.0], [12.0]], "average")
        >>> dendrogram_purity(tree, [0, 0, 1, 1])
        1.0
        >>> round(dendrogram_purity(tree, [0, 1, 0, 1]), 4)
        0.5
    """
    leaves = len(linkage) + 1
    _, group = np.unique(check_labels("groups", groups, leaves), return_inverse=True)
    counts = np.zeros((leaves + len(linkage), int(group.max()) + 1))
    counts[np.arange(leaves), group] = 1
    pairs = total = 0.0
    for node, (left, right) in enumerate(linkage[:, :2].astype(int), leaves):
        counts[node] = counts[left] + counts[right]
        meeting = counts[left] * counts[right]
        pairs += meeting.sum()
        total += (meeting * counts[node]).sum() / counts[node].sum()
    return float(total / pairs) if pairs else float("nan")


def chance_purity(linkage: NDArray[np.float64], groups: Any, *, shuffles: int = 20) -> float:
    """The mean :func:`dendrogram_purity` of the same groups dealt out at random.

    Args:
        linkage: (K − 1, 4), of scipy's ``linkage``.
        groups: (K,) integers ≥ 0.
        shuffles: ≥ 1, how often they are dealt out. The purity of one shuffle scatters by some .01
            with 150 classes, so 20 give two digits.

    Returns:
        In (0, 1], the same at each call.

    Raises:
        ValueError: for groups of another shape, or no shuffles.

    Source:
        This project.

    Example:
        >>> from scipy.cluster.hierarchy import linkage
        >>> tree = linkage([[0.0], [1.0], [10.0], [12.0]], "average")
        >>> 0.5 <= chance_purity(tree, [0, 0, 1, 1]) < 1
        True
    """
    shuffles = check_count("shuffles", shuffles, minimum=1)
    group = check_labels("groups", groups, len(linkage) + 1)
    random = np.random.default_rng(0)
    return float(
        np.mean([dendrogram_purity(linkage, random.permutation(group)) for _ in range(shuffles)])
    )
