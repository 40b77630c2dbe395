"""The class tree in few levels: groups of classes, and groups of those."""

from math import isqrt
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.cluster.hierarchy import linkage
from scipy.spatial.distance import squareform
from torch import Tensor

# most children of a group: as many as one takes in at a glance
_MOST_BRANCHES = 10


class ClassGroup(NamedTuple):
    """A group of classes.

    Args:
        groups: positions of its groups in the list of all groups.
        classes: its classes that are in none of these groups.
        size: number of classes below it.
    """

    groups: tuple[int, ...]
    classes: tuple[int, ...]
    size: int


def class_groups(distances: Tensor, branches: int | None = None) -> list[ClassGroup]:
    """Clusters classes and cuts the binary tree into groups of up to ``branches`` children.

    A group takes in its two halves, and goes on to split the child of greatest height. No
    recursion: a tree may be as deep as there are classes.

    Args:
        distances: (K, K) between the classes; nan for those without samples, which are left out.
        branches: most children of a group, ≥ 2. The default is √K, so that there are two levels,
            and at most 10.

    Returns:
        The groups, each after the group that holds it: the first holds all classes. Nothing with
        fewer than two classes.

    Source:
        Linkage: Ward (JASA, 1963), by scipy. The cut: this project.

    Example:
        >>> import torch
        >>> rows = torch.tensor([[0.0, 1, 4, 4], [1, 0, 4, 4], [4, 4, 0, 2], [4, 4, 2, 0]])
        >>> for group in class_groups(rows, branches=3):
        ...     print(group)
        ClassGroup(groups=(1,), classes=(2, 3), size=4)
        ClassGroup(groups=(), classes=(0, 1), size=2)
    """
    matrix = np.asarray(distances.double().numpy())
    seen = np.flatnonzero(~np.isnan(matrix.diagonal()))
    if len(seen) < 2:
        return []
    matrix = matrix[np.ix_(seen, seen)]
    # Average linkage peels off odd classes one by one: of 150 it leaves 134 in one group. Ward's
    # groups are of like size; its formula is of Euclidean distances, and a guide with others.
    # The two triangles may differ by rounding.
    tree = linkage(squareform((matrix + matrix.T) / 2, checks=False), method="ward")
    return _cut(tree, seen, branches or min(max(isqrt(len(seen)), 2), _MOST_BRANCHES))


def _cut(tree: NDArray[np.float64], seen: NDArray[np.int64], branches: int) -> list[ClassGroup]:
    count = len(seen)
    halves = tree[:, :2].astype(int).tolist()
    sizes = [1] * count + tree[:, 3].astype(int).tolist()
    nodes = [2 * count - 2]  # the roots of the groups
    groups = []
    for root in nodes:  # grows while it is read
        children = _children(root, count, halves, branches)
        inner = sorted((node for node in children if node >= count), key=lambda node: -sizes[node])
        groups.append(
            ClassGroup(
                tuple(range(len(nodes), len(nodes) + len(inner))),
                tuple(sorted(int(seen[node]) for node in children if node < count)),
                sizes[root],
            )
        )
        nodes += inner
    return groups


def _children(root: int, count: int, halves: list[list[int]], branches: int) -> list[int]:
    """Nodes below the root; scipy numbers them by height, so that the largest number is highest."""
    children = [root]
    while len(children) < branches and max(children) >= count:
        highest = max(children)
        children.remove(highest)
        children += halves[highest - count]
    return children
