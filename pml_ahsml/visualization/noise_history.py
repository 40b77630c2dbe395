"""Plots the noise rate and the share of trusted labels during training."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from numpy.typing import NDArray

from ..checks import check_in_interval

_LINES = {
    "stat_noise_rate": ("noise rate, estimated", "tab:red"),
    "stat_share_trusted": ("share trusted", "tab:blue"),
    "stat_share_relabelled": ("share relabelled", "tab:green"),
}


def plot_noise_history(
    history: Mapping[str, Sequence[float]],
    *,
    true_rate: float | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Plot the statistics that AdaptiveNoiseAwareLoss records with ``collect_stats=True``.

    The shares vary from batch to batch, so the plot adds their running mean over 1/50 of the
    training. If training succeeds, the trusted share ends near 1 − noise rate.

    Args:
        history: "stat_noise_rate", "stat_share_trusted" and "stat_share_relabelled", each with one
            value per batch (nan during warm-up); other entries are ignored. The result of
            ``record_keeper.query("SELECT * FROM metric_loss_AdaptiveNoiseAwareLoss",
            return_dict=True)`` has this form.
        true_rate: the true share of wrong labels, in [0, 1], if known.
        ax: where to draw; a new figure by default.

    Returns:
        The Axes.

    Raises:
        ValueError: if a series is missing, their lengths differ, or ``true_rate`` is out of range.

    Example:
        >>> history = {
        ...     "stat_noise_rate": [float("nan"), 0.3, 0.4],
        ...     "stat_share_trusted": [1.0, 0.7, 0.6],
        ...     "stat_share_relabelled": [0.0, 0.0, 0.3],
        ... }
        >>> ax = plot_noise_history(history, true_rate=0.4)
        >>> ax.get_title()
        'noise rate 0.400 after 3 batches (true: 0.400)'
        >>> plt.close(ax.figure)
    """
    for name in _LINES:
        if name not in history:
            raise ValueError(
                f"history must have {name}, which collect_stats=True records, got {sorted(history)}"
            )
    series = {name: np.asarray(history[name], dtype=np.float64) for name in _LINES}
    shapes = {values.shape for values in series.values()}
    if len(shapes) > 1 or len(next(iter(shapes))) != 1 or next(iter(shapes)) == (0,):
        raise ValueError(
            "history must have sequences of the same length, at least 1, got shapes "
            + ", ".join(str(values.shape) for values in series.values())
        )
    if true_rate is not None:
        true_rate = check_in_interval("true_rate", true_rate, 0.0, 1.0)
    if ax is None:
        _, ax = plt.subplots(figsize=(7, 4), layout="constrained")
    batches = len(series["stat_noise_rate"])
    steps = np.arange(1, batches + 1)
    for name, (label, colour) in _LINES.items():
        values = series[name]
        if name == "stat_noise_rate":  # already a running estimate
            ax.plot(steps, values, color=colour, label=label, zorder=3)
            continue
        ax.plot(steps, values, color=colour, lw=0.6, alpha=0.35)
        ax.plot(steps, _running_mean(values, max(1, batches // 50)), color=colour, label=label)
    title = f"noise rate {series['stat_noise_rate'][-1]:.3f} after {batches:,} batches"
    if true_rate is not None:
        ax.axhline(true_rate, color="tab:red", ls=":", label="noise rate, true")
        title += f" (true: {true_rate:.3f})"
    ax.set(xlabel="batch", ylabel="share", ylim=(-0.02, 1.02), title=title)
    ax.legend(loc="upper center", bbox_to_anchor=(0.5, -0.15), ncols=2, frameon=False)
    return ax


def _running_mean(values: NDArray[np.float64], window: int) -> NDArray[np.float64]:
    """Compute the mean of each value and up to ``window`` − 1 values before it."""
    sums = np.concatenate([[0.0], np.cumsum(values)])
    ends = np.arange(1, len(values) + 1)
    starts = np.maximum(0, ends - window)
    return np.asarray((sums[ends] - sums[starts]) / (ends - starts))
