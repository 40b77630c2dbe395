"""Draws the Poincaré disk: its points, rings and rim."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import Circle
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from ..distances import HyperbolicDistance


def on_disk(tangent: NDArray[np.float64], distance: HyperbolicDistance) -> NDArray[np.float64]:
    """Map tangent vectors u to points h = tanh(√c‖u‖)·û of the unit disk, (N, 2)."""
    norm = np.linalg.norm(tangent, axis=1, keepdims=True)
    radius = np.tanh(float(distance.curvature) ** 0.5 * norm)
    return np.asarray(tangent * (radius / np.where(norm > 0, norm, 1)))


def draw_disk(ax: Axes, distance: HyperbolicDistance, has_band: bool) -> None:
    """Draw the clip radius, and rings at round geodesic distances from the origin.

    Args:
        ax: where to draw; sets its limits and removes its frame.
        distance: gives curvature and clip radius.
        has_band: whether to leave room outside the clip radius.
    """
    root, furthest = float(distance.curvature) ** 0.5, 2 * distance.clip_radius
    limit = float(np.tanh(root * furthest / 2))
    for length in MaxNLocator(5).tick_values(0, furthest):
        if 0 < length < furthest:
            radius = float(np.tanh(root * length / 2))
            ax.add_patch(Circle((0, 0), radius, fill=False, color="0.85", lw=0.8, zorder=0))
            ax.text(
                *(0, radius, f"{length:g}"),
                fontsize=8,
                color="0.3",
                ha="center",
                va="center",
                zorder=5,
                bbox={"facecolor": "white", "edgecolor": "none", "alpha": 0.7, "pad": 1},
            )
    ax.add_patch(Circle((0, 0), limit, fill=False, color="0.5", lw=0.8, ls="--", zorder=0))
    edge = (1.12 if has_band else 1.03) * limit
    ax.set(xlim=(-edge, edge), ylim=(-edge, edge), aspect="equal")
    ax.axis("off")
