import itertools
import sys

import numpy as np
import pytest
import torch
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.colors import to_rgb
from scipy.cluster.hierarchy import cophenet, linkage
from scipy.spatial.distance import squareform

from pml_ahsml import ClassStatistics, PoincareDistance
from pml_ahsml.visualization import class_tree, plot_class_tree
from pml_ahsml.visualization.colours import class_colours


def divergence(points: torch.Tensor) -> torch.Tensor:
    statistics = ClassStatistics(len(points), points.shape[1], PoincareDistance())
    statistics.update(points, torch.arange(len(points)))
    return statistics.divergence()


def families(count: int, size: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Divergence of classes in families that lie far from each other, and the families."""
    groups = torch.arange(count).repeat_interleave(size)
    centres = 1.5 * torch.nn.functional.normalize(torch.randn(count, 16))
    return divergence(centres[groups] + 0.02 * torch.randn(len(groups), 16)), groups


def branches(ax: Axes) -> list[LineCollection]:
    """The lines of each colour."""
    return [c for c in ax.collections if c.get_transform() is ax.transData]


def corners(ax: Axes) -> np.ndarray:
    """(K − 1, 4, 2) of the lines that join two branches: height and place of their corners."""
    return np.concatenate([[path.vertices for path in c.get_paths()] for c in branches(ax)])


def names_drawn(ax: Axes) -> list[str]:
    return [label.get_text() for label in ax.get_yticklabels()]


def test_the_tree_is_scipys():
    d = divergence(torch.randn(12, 4))
    condensed = squareform((d + d.T).double().numpy() / 2, checks=False)
    for method in ("average", "complete", "single", "weighted"):
        np.testing.assert_allclose(class_tree(d, method), linkage(condensed, method))
    ax = plot_class_tree(d)
    assert f"correlation {cophenet(class_tree(d), condensed)[0]:.2f}" in ax.get_title()


def test_names_stand_beside_their_leaves():
    d = divergence(torch.randn(9, 4)).double()
    ax = plot_class_tree(d, names=[str(k) for k in range(9)], method="single")
    classes = [int(name) for name in names_drawn(ax)]
    places = list(ax.get_yticks())
    assert sorted(classes) == list(range(9))
    assert ax.yaxis_inverted()  # the first leaf is at the top
    # single linkage: two sets join at the least divergence between them
    joined = {place: {k} for place, k in zip(places, classes, strict=True)}
    lines = sorted(corners(ax).tolist(), key=lambda line: line[1][0])
    for (_, upper), (height, _), _, (_, lower) in lines:
        one, other = joined.pop(upper), joined.pop(lower)
        assert height == pytest.approx(min(float(d[a, b]) for a in one for b in other), rel=1e-6)
        joined[(upper + lower) / 2] = one | other
    assert list(joined.values()) == [set(range(9))]


def test_families_are_found_and_coloured():
    d, groups = families(4, 5)
    order = torch.randperm(20)
    ax = plot_class_tree(
        d[order][:, order],
        groups=groups[order],
        names=[str(k) for k in range(20)],
        group_names=["a", "b", "c", "d"],
    )
    assert "purity of the 4 groups 1.00 (by chance 0." in ax.get_title()
    assert [t.get_text() for t in ax.get_legend().get_texts()] == ["a", "b", "c", "d"]
    palette = class_colours(4)
    for label in ax.get_yticklabels():
        family = int(groups[order][int(label.get_text())])
        assert to_rgb(label.get_color()) == tuple(palette[family])
    # 4 pure subtrees of 5 leaves join them by 4 lines each, and 3 lines join the subtrees
    drawn = {to_rgb(c.get_colors()[0]): len(c.get_paths()) for c in branches(ax)}
    assert drawn == {tuple(colour): 4 for colour in palette} | {to_rgb("#595959"): 3}


def test_names_are_shown_as_they_are():
    names = ["$x_{ $y", "$5 or $6", r"a\$b", "_hidden", r"\frac", "plain"]
    d = divergence(torch.randn(6, 4))
    ax = plot_class_tree(d, names=names, groups=torch.arange(6), group_names=names)
    ax.figure.canvas.draw()  # mathematics that is none ends the drawing
    assert sorted(names_drawn(ax)) == sorted(names)
    assert [t.get_text() for t in ax.get_legend().get_texts()] == names
    texts = [*ax.get_yticklabels(), *ax.get_legend().get_texts()]
    assert not any(text.get_parse_math() or text.get_usetex() for text in texts)


def test_classes_never_seen_are_left_out():
    d = divergence(torch.randn(6, 4))
    d[2], d[:, 2] = torch.nan, torch.nan
    ax = plot_class_tree(d, names=list("abcdef"), groups=[0, 0, 9, 1, 1, 1])
    assert sorted(names_drawn(ax)) == list("abdef")
    assert ax.get_title().startswith("5 classes of 6, the others not seen;")
    assert "purity of the 2 groups" in ax.get_title()


@pytest.mark.parametrize(("count", "are_drawn"), [(10, True), (150, True), (2000, False)])
def test_names_are_drawn_where_they_can_be_read(count, are_drawn):
    x = torch.rand(count, 3)
    d = torch.cdist(x, x, compute_mode="donot_use_mm_for_euclid_dist")
    names = [f"a rather long name of class {k}" for k in range(count)]
    ax = plot_class_tree(d, names=names, groups=torch.arange(count) % 30)
    assert len(names_drawn(ax)) == (count if are_drawn else 0)
    # 30 groups cannot be told apart; 10 of one class each can, but have no purity
    assert (ax.get_legend() is None) == (count > 10)
    assert ("purity" in ax.get_title()) == (count > 10)
    if are_drawn:
        assert names_drawn(ax)[0] == names_drawn(ax)[0][:23] + "…"
        ax.figure.canvas.draw()
        boxes = sorted((t.get_window_extent() for t in ax.get_yticklabels()), key=lambda b: b.y0)
        overlap = [a.y1 - b.y0 for a, b in itertools.pairwise(boxes)]
        assert max(overlap) < 0.25 * boxes[0].height
        assert min(t.get_fontsize() for t in ax.get_yticklabels()) >= 4.5
    small = plt.figure(figsize=(3, 2)).add_subplot()
    assert len(names_drawn(plot_class_tree(d, names=names, ax=small))) == (count == 10) * count


def test_a_chain_of_classes_is_not_too_deep():
    x = 1.001 ** torch.arange(3000, dtype=torch.float64)
    d = (x.cumsum(0)[:, None] - x.cumsum(0)).abs()
    before = sys.getrecursionlimit()
    assert len(corners(plot_class_tree(d, method="single"))) == 2999
    assert sys.getrecursionlimit() == before


def test_two_classes_and_equal_ones_have_a_tree():
    assert plot_class_tree([[0.0, 1.0], [1.0, 0.0]]).get_title() == "2 classes"
    equal = plot_class_tree(torch.ones(4, 4) - torch.eye(4))
    assert equal.get_title() == "4 classes"
    collapsed = plot_class_tree(torch.zeros(3, 3), names=list("abc"))
    assert collapsed.get_xlim() == (1, 0)
    assert sorted(names_drawn(collapsed)) == list("abc")


def test_bad_arguments_are_refused():
    d = divergence(torch.randn(4, 4))
    before = plt.get_fignums()
    with pytest.raises(ValueError, match=r"divergence must be of shape \(K, K\), got \(4, 3\)"):
        plot_class_tree(d[:, :3])
    with pytest.raises(
        ValueError, match="divergence must hold at least 2 classes that have been seen, got 0"
    ):
        plot_class_tree(torch.full((3, 3), torch.nan))
    with pytest.raises(ValueError, match="divergence must hold at least 2 classes, got 1"):
        class_tree(d[:1, :1])
    with pytest.raises(ValueError, match="divergence must be finite, non-negative and 0"):
        class_tree(-d)
    with pytest.raises(ValueError, match="divergence must be symmetric"):
        class_tree(d.triu())
    with pytest.raises(ValueError, match="method must be one of .* got 'ward'"):
        plot_class_tree(d, method="ward")
    with pytest.raises(ValueError, match="names must have at least 4 entries, got 1"):
        plot_class_tree(d, names=["a"])
    with pytest.raises(ValueError, match=r"groups must be of shape \(K,\), K > 3"):
        plot_class_tree(d, groups=[0, 1])
    with pytest.raises(ValueError, match="group_names must be None without groups"):
        plot_class_tree(d, group_names=["a"])
    with pytest.raises(ValueError, match="group_names must have at least 3 entries, got 1"):
        plot_class_tree(d, groups=[0, 1, 2, 2], group_names=["a"])
    assert plt.get_fignums() == before
