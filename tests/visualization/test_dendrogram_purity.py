import itertools

import numpy as np
import pytest
from scipy.cluster.hierarchy import linkage, to_tree

from pml_ahsml.visualization import chance_purity, dendrogram_purity


def purity_by_definition(tree: np.ndarray, groups: list[int]) -> float:
    """Every pair of one group, its smallest common subtree, the share of the group in it."""
    subtrees = [node.pre_order() for node in to_tree(tree, rd=True)[1]]
    shares = []
    for a, b in itertools.combinations(range(len(groups)), 2):
        if groups[a] == groups[b]:
            common = min((s for s in subtrees if a in s and b in s), key=len)
            shares.append(np.mean([groups[leaf] == groups[a] for leaf in common]))
    return float(np.mean(shares))


@pytest.mark.parametrize("count", [2, 3, 20])
def test_it_is_the_mean_over_pairs(count):
    random = np.random.default_rng(count)
    tree = linkage(random.normal(size=(count, 3)), "average")
    groups = [0, 0, *random.integers(0, 4, count - 2).tolist()]
    assert dendrogram_purity(tree, groups) == pytest.approx(purity_by_definition(tree, groups))


def test_groups_that_are_subtrees_are_pure_whatever_their_numbers():
    tree = linkage([[0.0], [1.0], [10.0], [12.0], [100.0]], "average")
    assert dendrogram_purity(tree, [7, 7, 3, 3, 5]) == 1
    assert np.isnan(dendrogram_purity(tree, [0, 1, 2, 3, 4]))


def test_chance_is_the_mean_over_all_permutations():
    tree = linkage([[0.0], [1.0], [10.0], [12.0], [20.0]], "average")
    groups = [0, 0, 1, 1, 1]
    ways = set(itertools.permutations(groups))
    exact = np.mean([purity_by_definition(tree, list(way)) for way in ways])
    assert chance_purity(tree, groups, shuffles=2000) == pytest.approx(exact, abs=0.02)
    assert chance_purity(tree, groups) == chance_purity(tree, groups)


def test_bad_arguments_are_refused():
    tree = linkage([[0.0], [1.0], [10.0]], "average")
    with pytest.raises(ValueError, match=r"groups must be of shape \(3,\), got \(2,\)"):
        dendrogram_purity(tree, [0, 1])
    with pytest.raises(ValueError, match="shuffles must be at least 1, got 0"):
        chance_purity(tree, [0, 1, 1], shuffles=0)
