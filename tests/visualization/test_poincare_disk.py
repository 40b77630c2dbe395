import numpy as np
import pytest
import torch
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.collections import PathCollection

from pml_ahsml import ClassStatistics, PoincareDistance
from pml_ahsml.hyperbolic import maps
from pml_ahsml.visualization import plot_poincare_disk
from pml_ahsml.visualization.colours import class_colours


def scatters(ax: Axes) -> list[PathCollection]:
    return [c for c in ax.collections if isinstance(c, PathCollection) and len(c.get_offsets())]


def places(ax: Axes, number: int = 0) -> np.ndarray:
    return np.asarray(scatters(ax)[number].get_offsets())


def by_place(points: np.ndarray) -> np.ndarray:
    return points[np.lexsort(points.T)]


def test_two_dimensions_lie_where_the_exponential_map_puts_them():
    e = torch.randn(40, 2, dtype=torch.float64).clamp(-1.5, 1.5)
    ax = plot_poincare_disk(e, distance=PoincareDistance(0.5))
    on_ball = maps.expmap0(e, 0.5) * 0.5**0.5
    np.testing.assert_allclose(by_place(places(ax)), by_place(on_ball.numpy()), atol=1e-9)


def test_higher_dimensions_keep_their_distance_to_the_origin():
    e = 0.2 * torch.randn(60, 16)
    ax = plot_poincare_disk(e)
    radius = np.linalg.norm(places(ax), axis=1)
    expected = np.tanh(0.1**0.5 * e.double().norm(dim=1).numpy())
    np.testing.assert_allclose(np.sort(radius), np.sort(expected), rtol=1e-6)
    assert "16-D: distance to the origin exact" in ax.get_title()


def test_clipped_samples_lie_in_a_band_outside_and_are_counted():
    e = torch.tensor([[0.5, 0.0], [0.0, 5.0], [0.0, -9.0], [-0.5, 0.0]])
    ax = plot_poincare_disk(e)
    limit = np.tanh(0.1**0.5 * 2.3)
    radius = np.sort(np.linalg.norm(places(ax), axis=1)) / limit
    assert (radius[:2] < 0.3).all()
    assert ((radius[2:] >= 1.02) & (radius[2:] <= 1.1)).all()
    assert ax.get_xlim()[1] > 1.1 * limit
    assert "50% at the clip radius" in ax.get_title()


def colours_by_place(ax: Axes, number: int = 0) -> dict[tuple[float, float], tuple[float, ...]]:
    drawn = scatters(ax)[number]
    return {
        tuple(np.round(point, 6)): tuple(np.round(colour[:3], 6))
        for point, colour in zip(places(ax, number), drawn.get_facecolors(), strict=True)
    }


def test_samples_have_the_colour_of_their_class_or_group():
    e, labels = 0.5 * torch.randn(30, 2), torch.arange(30) % 6
    groups = torch.tensor([1, 1, 0, 0, 2, 2])
    at = [tuple(np.round(p, 6)) for p in maps.expmap0(e.double(), 0.1).numpy() * 0.1**0.5]
    for given, kinds in ((None, labels), (groups, groups[labels])):
        ax = plot_poincare_disk(e, labels, groups=given)
        colours, palette = colours_by_place(ax), class_colours(int(kinds.max()) + 1)
        for point, kind in zip(at, kinds.tolist(), strict=True):
            assert colours[point] == tuple(np.round(palette[kind], 6))
    assert ax.get_title() == "30 samples of 6 classes in 3 groups"


def test_trust_colours_samples():
    e, trust = 0.5 * torch.randn(20, 2), torch.linspace(0, 1, 20)
    ax = plot_poincare_disk(e, torch.arange(20) % 3, trust=trust)
    drawn = scatters(ax)[0]
    np.testing.assert_allclose(np.sort(drawn.get_array()), trust.numpy(), rtol=1e-6)
    assert drawn.get_clim() == (0, 1)
    assert ax.get_legend() is None
    assert len(ax.figure.axes) == 2  # the colour bar
    most_trusted = drawn.get_array().argmax()
    expected = maps.expmap0(e[-1:].double(), 0.1).numpy() * 0.1**0.5
    np.testing.assert_allclose(places(ax)[most_trusted], expected[0], atol=1e-6)


@pytest.mark.parametrize("distance", [PoincareDistance(0.3), None])
def test_centroids_lie_among_their_samples(distance):
    """Those of a PoincareDistance at their norm, those of others at the clip radius."""
    labels = torch.arange(3).repeat_interleave(40)
    e = torch.eye(3)[labels] * 1.5 + 0.05 * torch.randn(120, 3)
    statistics = ClassStatistics(4, 3, distance)
    statistics.update(e, labels)
    ax = plot_poincare_disk(e, labels, class_statistics=statistics)
    centroids = places(ax, 1)
    assert len(centroids) == 3  # class 3 has not been seen
    colours = colours_by_place(ax, 1)
    expected = np.linalg.norm(statistics.centroids()[:3].double(), axis=1)
    c = float(statistics.distance.curvature)
    np.testing.assert_allclose(
        np.sort(np.linalg.norm(centroids, axis=1)), np.sort(np.tanh(c**0.5 * expected)), rtol=1e-5
    )
    samples = colours_by_place(ax)
    for point, colour in colours.items():
        own = np.array([p for p, other in samples.items() if other == colour])
        gap = np.angle(np.exp(1j * (np.arctan2(*own.T[::-1]) - np.arctan2(*point[::-1]))))
        assert np.abs(gap).max() < 0.5
    assert f"{len(centroids)} centroids" in ax.get_title()
    assert ("at the clip radius" in ax.get_title()) == (distance is None)


def test_only_centroids_of_the_classes_shown_are_drawn():
    statistics = ClassStatistics(5, 2, PoincareDistance())
    statistics.update(torch.randn(50, 2), torch.arange(50) % 5)
    e = 0.5 * torch.randn(8, 2)
    labels = torch.tensor([1, 3]).repeat(4)
    assert len(places(plot_poincare_disk(e, labels, class_statistics=statistics), 1)) == 2
    assert len(places(plot_poincare_disk(e, class_statistics=statistics), 1)) == 5


@pytest.mark.parametrize(("count", "has_legend"), [(10, True), (20, True), (150, False)])
def test_a_legend_is_for_few_classes(count, has_legend):
    labels = torch.arange(2 * count) % count
    ax = plot_poincare_disk(torch.randn(2 * count, 2), labels, names=[f"n{k}" for k in range(999)])
    texts = [] if ax.get_legend() is None else [t.get_text() for t in ax.get_legend().get_texts()]
    assert texts == ([f"n{k}" for k in range(count)] if has_legend else [])


def test_names_are_shown_as_they_are():
    names = ["$x_{ $y", "$5 or $6", r"a\$b", "_hidden", r"\frac"]
    ax = plot_poincare_disk(torch.rand(50, 2), torch.arange(50) % 5, names=names)
    ax.figure.canvas.draw()  # mathematics that is none ends the drawing
    texts = ax.get_legend().get_texts()
    assert [text.get_text() for text in texts] == names
    assert not any(text.get_parse_math() or text.get_usetex() for text in texts)


def test_every_label_dtype_gives_the_same_colours():
    embeddings, labels = torch.rand(50, 2), torch.arange(50) % 5
    expected = plot_poincare_disk(embeddings, labels).collections[0].get_facecolor()
    unsigned = [torch.uint8] + ([torch.uint16] if hasattr(torch, "uint16") else [])
    for given in (labels.tolist(), labels.numpy(), *(labels.to(dtype) for dtype in unsigned)):
        with torch.device("meta"):  # lists are turned into tensors on the CPU
            ax = plot_poincare_disk(embeddings, given)
        assert (ax.collections[0].get_facecolor() == expected).all()
    with pytest.raises(TypeError, match="labels must be a tensor, or numbers .*, got str"):
        plot_poincare_disk(embeddings, "abc")
    with pytest.raises(ValueError, match="embeddings must be a tensor with values"):
        plot_poincare_disk(embeddings.to("meta"), labels)
    with pytest.raises(TypeError, match="names must be a sequence of names, got 'abcde'"):
        plot_poincare_disk(embeddings, labels, names="abcde")


def test_a_long_name_is_not_cut_off():
    ax = plot_poincare_disk(torch.randn(4, 2), [0, 1, 0, 1], names=["a" * 50, "b"])
    ax.figure.canvas.draw()
    edge = ax.get_legend().get_window_extent().x1
    assert edge <= ax.figure.bbox.x1
    assert ax.title.get_window_extent().x0 >= 0


def test_it_draws_into_the_given_axes():
    figure, axes = plt.subplots(1, 2)
    assert plot_poincare_disk(torch.randn(5, 2), ax=axes[1]) is axes[1]
    assert not scatters(axes[0])
    assert plot_poincare_disk(torch.randn(5, 2)).figure is not figure


def test_bad_arguments_are_refused():
    e, labels = torch.randn(4, 3), torch.arange(4)
    statistics = ClassStatistics(3, 3)
    before = plt.get_fignums()
    with pytest.raises(ValueError, match=r"embeddings must be of shape \(N, D\)"):
        plot_poincare_disk(torch.randn(4))
    with pytest.raises(ValueError, match=r"labels must be of shape \(4,\), got \(3,\)"):
        plot_poincare_disk(e, labels[:3])
    with pytest.raises(TypeError, match="labels must be of an integer dtype, got torch.float32"):
        plot_poincare_disk(e, labels.float())
    with pytest.raises(ValueError, match="labels must be at least 0, got -1"):
        plot_poincare_disk(e, labels - 1)
    with pytest.raises(ValueError, match=r"trust must lie in \[0, 1\], got values from .* to 2.0"):
        plot_poincare_disk(e, trust=[0, 1, 2, 0.5])
    with pytest.raises(ValueError, match=r"trust must be of shape \(4,\), got \(3,\)"):
        plot_poincare_disk(e, trust=[0, 1, 0.5])
    with pytest.raises(ValueError, match=r"groups must be of shape \(K,\), K > 3, .* got \(2,\)"):
        plot_poincare_disk(e, labels, groups=[0, 1])
    for option in ({"groups": [0, 1, 2, 3]}, {"names": ["a"] * 4}):
        with pytest.raises(ValueError, match="must be None without labels or with trust"):
            plot_poincare_disk(e, **option)
        with pytest.raises(ValueError, match="must be None without labels or with trust"):
            plot_poincare_disk(e, labels, trust=[0, 1, 0, 1], **option)
    with pytest.raises(ValueError, match="names must have at least 4 entries, got 2"):
        plot_poincare_disk(e, labels, names=["a", "b"])
    with pytest.raises(ValueError, match="distance must be None with class_statistics"):
        plot_poincare_disk(e, class_statistics=statistics, distance=PoincareDistance())
    with pytest.raises(ValueError, match=r"embeddings must be of shape \(N, 3\), as class_stat"):
        plot_poincare_disk(e[:, :2], class_statistics=statistics)
    with pytest.raises(ValueError, match=r"labels must lie in \[0, 3\), as class_statistics"):
        plot_poincare_disk(e, labels, class_statistics=statistics)
    with pytest.raises(ValueError, match="method must be one of"):
        plot_poincare_disk(e, method="umap")
    assert plt.get_fignums() == before  # no empty figure is left behind
