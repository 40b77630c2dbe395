import numpy as np
import pytest
import torch
from matplotlib import pyplot as plt
from pytorch_metric_learning.losses import ContrastiveLoss

from pml_ahsml import AdaptiveNoiseAwareLoss
from pml_ahsml.visualization import plot_noise_history

NAMES = ("stat_noise_rate", "stat_share_trusted", "stat_share_relabelled")


def test_it_draws_what_a_wrapper_records():
    loss = AdaptiveNoiseAwareLoss(ContrastiveLoss(), 3, 4, warmup=2, collect_stats=True)
    history = {name: [] for name in loss._record_these_stats}
    assert set(NAMES) <= set(history)
    for _ in range(6):
        loss(torch.randn(12, 4), torch.arange(12) % 3)
        for name, values in history.items():
            values.append(getattr(loss, name))
    ax = plot_noise_history(history, true_rate=0.25)
    lines = {line.get_label(): line for line in ax.lines}
    drawn = lines["noise rate, estimated"]
    assert list(drawn.get_xdata()) == [1, 2, 3, 4, 5, 6]
    np.testing.assert_array_equal(drawn.get_ydata(), history["stat_noise_rate"])
    assert np.isnan(drawn.get_ydata()[0])
    assert set(lines["noise rate, true"].get_ydata()) == {0.25}
    assert ax.get_title() == (
        f"noise rate {history['stat_noise_rate'][-1]:.3f} after 6 batches (true: 0.250)"
    )


def test_shares_are_averaged_over_a_fiftieth():
    shares = np.random.default_rng(0).random(150)
    history = dict.fromkeys(NAMES, shares)
    ax = plot_noise_history(history)
    smooth = next(line for line in ax.lines if line.get_label() == "share trusted").get_ydata()
    expected = [shares[max(0, i - 2) : i + 1].mean() for i in range(150)]
    np.testing.assert_allclose(smooth, expected)
    raw = [line for line in ax.lines if np.array_equal(line.get_ydata(), shares)]
    assert len(raw) == 3  # the noise rate, which is smooth already, and both shares


def test_it_draws_into_the_given_axes():
    ax = plt.figure().add_subplot()
    assert plot_noise_history({name: [0.5] for name in NAMES}, ax=ax) is ax


def test_bad_arguments_are_refused():
    history = {name: [0.5, 0.5] for name in NAMES}
    with pytest.raises(ValueError, match="history must have stat_share_trusted, which collect_st"):
        plot_noise_history({"stat_noise_rate": [0.5], "loss": [1.0]})
    with pytest.raises(ValueError, match="history must have sequences of the same length"):
        plot_noise_history({**history, "stat_noise_rate": [0.5]})
    with pytest.raises(
        ValueError, match="history must have sequences of the same length, at least 1"
    ):
        plot_noise_history({name: [] for name in NAMES})
    with pytest.raises(ValueError, match="true_rate must be in"):
        plot_noise_history(history, true_rate=40)
