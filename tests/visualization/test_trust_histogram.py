import numpy as np
import pytest
import torch
from matplotlib import pyplot as plt
from matplotlib.axes import Axes

from pml_ahsml.visualization import plot_trust_histogram


def counts(ax: Axes) -> list[list[float]]:
    return [[bar.get_height() for bar in bars] for bars in ax.containers]


def test_right_and_wrong_labels_are_counted_apart():
    trust = torch.tensor([0.05, 0.1, 0.2, 0.6, 0.9, 1.0, 1.0])
    is_noisy = torch.tensor([True, True, False, True, False, False, False])
    ax = plot_trust_histogram(trust, is_noisy, bins=4, threshold=0.55)
    assert counts(ax) == [[1, 0, 0, 3], [2, 0, 1, 0]]
    texts = [text.get_text() for text in ax.get_legend().get_texts()]
    assert texts == ["right labels (4)", "wrong labels (3)"]
    # 11 of the 12 pairs of a right and a wrong label are in order
    assert ax.get_title() == f"57% of 7 labels trusted; AUROC {11 / 12:.3f}"
    assert list(ax.lines[0].get_xdata()) == [0.55, 0.55]


def test_without_the_truth_there_is_one_histogram():
    ax = plot_trust_histogram(np.array([0.0, 0.3, 1.0]), bins=2)
    assert counts(ax) == [[2, 1]]
    assert ax.get_legend() is None
    assert ax.get_title() == "33% of 3 labels trusted"
    right = plot_trust_histogram([0.3, 1.0], torch.zeros(2, dtype=torch.bool))
    assert right.get_title() == "50% of 2 labels trusted"


def test_it_draws_into_the_given_axes():
    ax = plt.figure().add_subplot()
    assert plot_trust_histogram([0.5], ax=ax) is ax


def test_bad_arguments_are_refused():
    trust = torch.tensor([0.1, 0.9])
    with pytest.raises(ValueError, match=r"trust must be of shape \(N,\), got \(1, 2\)"):
        plot_trust_histogram(trust[None])
    with pytest.raises(ValueError, match=r"trust must lie in \[0, 1\], got values from nan"):
        plot_trust_histogram([float("nan")])
    with pytest.raises(TypeError, match="is_noisy must be of dtype bool, got torch.int64"):
        plot_trust_histogram(trust, torch.tensor([0, 1]))
    with pytest.raises(ValueError, match=r"is_noisy must be of shape \(2,\), got \(1,\)"):
        plot_trust_histogram(trust, torch.tensor([True]))
    with pytest.raises(ValueError, match="threshold must be in"):
        plot_trust_histogram(trust, threshold=2)
    with pytest.raises(ValueError, match="bins must be at least 1, got 0"):
        plot_trust_histogram(trust, bins=0)
