"""Plots the trust in labels."""

from typing import Any

import numpy as np
import torch
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from sklearn.metrics import roc_auc_score

from ..checks import check_count, check_in_interval, to_tensor
from .labels import check_trust


def plot_trust_histogram(
    trust: Any,
    is_noisy: Any = None,
    *,
    threshold: float = 0.5,
    bins: int = 20,
    ax: Axes | None = None,
) -> Axes:
    """Plot a histogram of trust, split into right and wrong labels if these are known.

    Most labels have a trust near 0 or 1, and the few in between are of interest. So counts are on a
    logarithmic scale.

    Args:
        trust: (N,) in [0, 1], ``loss.trust(embeddings, labels)``.
        is_noisy: (N,) bool, which labels are wrong, as ``inject_label_noise`` returns it. The title
            then gives the AUROC of trust for right against wrong labels.
        threshold: in [0, 1], position of the dashed line. At ½, the default, a label is as likely
            wrong as right; the wrapper leaves samples out only below it.
        bins: number of bins, ≥ 1.
        ax: where to draw; a new figure by default.

    Returns:
        The Axes.

    Raises:
        ValueError: if a shape or value is wrong.
        TypeError: if ``is_noisy`` is not of dtype bool.

    Example:
        >>> trust = torch.tensor([0.1, 0.2, 0.9, 1.0])
        >>> ax = plot_trust_histogram(trust, torch.tensor([True, True, False, False]))
        >>> ax.get_title()
        '50% of 4 labels trusted; AUROC 1.000'
        >>> plt.close(ax.figure)
    """
    values = check_trust("trust", trust)
    threshold = check_in_interval("threshold", threshold, 0.0, 1.0)
    bins = check_count("bins", bins, minimum=1)
    wrong = None
    if is_noisy is not None:
        mask = to_tensor("is_noisy", is_noisy)
        if mask.dtype != torch.bool:
            raise TypeError(f"is_noisy must be of dtype bool, got {mask.dtype}")
        if mask.shape != values.shape:
            raise ValueError(f"is_noisy must be of shape {values.shape}, got {tuple(mask.shape)}")
        wrong = mask.numpy()
    if ax is None:
        _, ax = plt.subplots(figsize=(6, 4), layout="constrained")
    title = f"{np.mean(values > threshold):.0%} of {len(values):,} labels trusted"
    edges = np.linspace(0, 1, bins + 1).tolist()
    if wrong is None:
        ax.hist(values, edges, color="tab:blue")
    else:
        ax.hist(
            [values[~wrong], values[wrong]],
            edges,
            color=["tab:blue", "tab:red"],
            label=[f"right labels ({(~wrong).sum():,})", f"wrong labels ({wrong.sum():,})"],
        )
        ax.legend(loc="upper center")
        if wrong.any() and not wrong.all():
            title += f"; AUROC {roc_auc_score(~wrong, values):.3f}"
    ax.axvline(threshold, color="gray", linestyle="--")
    ax.set(xlabel="trust", ylabel="labels", yscale="log", xlim=(0, 1), title=title)
    return ax
