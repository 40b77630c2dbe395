"""Measures how well a tree of classes agrees with a known hierarchy."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..checks import check_count
from .labels import check_labels


def dendrogram_purity(linkage: NDArray[np.float64], groups: Any) -> float:
    """Compute the mean purity of the smallest subtrees that join two classes of one group.

    For each pair of classes of one group, take the smallest subtree that holds both; its purity is
    the share of its leaves that belong to the group. The mean over all pairs is 1 if every group is
    a subtree of its own.

    Args:
        linkage: (K − 1, 4), the result of scipy's ``linkage``.
        groups: (K,) integers ≥ 0, the group of each leaf.

    Returns:
        In (0, 1]; nan if no group has two classes. Compare with :func:`chance_purity`, because the
        value for random groups depends on their sizes.

    Raises:
        ValueError: if ``groups`` has the wrong shape.

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
    """Compute the mean :func:`dendrogram_purity` after shuffling the groups at random.

    Args:
        linkage: (K − 1, 4), the result of scipy's ``linkage``.
        groups: (K,) integers ≥ 0.
        shuffles: number of shuffles, ≥ 1. With 150 classes the standard deviation of one shuffle is
            about 0.01, so 20 shuffles give two digits.

    Returns:
        In (0, 1], the same at each call.

    Raises:
        ValueError: if ``groups`` has the wrong shape, or ``shuffles`` is less than 1.

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
