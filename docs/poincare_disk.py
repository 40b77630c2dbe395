"""The picture of the method page: what a hyperbolic plane is good for.

Run: python docs/poincare_disk.py [--output FILE]
"""

import argparse
import math
from pathlib import Path

import matplotlib
import numpy as np
import torch
from torch import Tensor

from pml_ahsml import PoincareDistance
from pml_ahsml.hyperbolic.hyperboloid import hyperboloid_lift, hyperboloid_unlift
from pml_ahsml.hyperbolic.maps import expmap0

matplotlib.use("Agg")
import matplotlib.pyplot as plt

# Strongly curved, so that one sees it; the default of the package is 0.1.
CURVATURE, RADIUS = 1.0, 2.3
BLUE, ORANGE, GREEN, GRAY = "#2166ac", "#d6604d", "#1b7837", "0.55"


def polar(radius: float, degrees: float) -> Tensor:
    """A tangent vector at the origin, (2,), in float64."""
    angle = math.radians(degrees)
    return torch.tensor([radius * math.cos(angle), radius * math.sin(angle)], dtype=torch.float64)


def geodesic(start: Tensor, end: Tensor) -> Tensor:
    """Points of the shortest path between two tangent vectors, in the disk, (100, 2)."""
    x, y = hyperboloid_lift(torch.stack([start, end]), CURVATURE)
    length = torch.acosh((x[0] * y[0] - x[1:] @ y[1:]).clamp_min(1))
    t = torch.linspace(0, 1, 100, dtype=torch.float64)[:, None]
    path = (torch.sinh((1 - t) * length) * x + torch.sinh(t * length) * y) / torch.sinh(length)
    return expmap0(hyperboloid_unlift(path, CURVATURE), CURVATURE)


def draw_disk(axis: plt.Axes) -> None:
    """A tree of classes in the disk, and the shortest path between two of its leaves."""
    angles = np.linspace(0, 2 * np.pi, 400)
    axis.fill(np.cos(angles), np.sin(angles), color="0.97")
    axis.plot(np.cos(angles), np.sin(angles), color="black", linewidth=1.2)
    for distance in (1, 2, 3):
        rim = math.tanh(math.sqrt(CURVATURE) * distance / 2)
        axis.plot(rim * np.cos(angles), rim * np.sin(angles), ":", color="0.75", linewidth=0.9)
        axis.annotate(
            f"{distance}",
            (0, rim),
            fontsize=8,
            ha="center",
            va="center",
            color="0.4",
            bbox={"facecolor": "0.97", "edgecolor": "none", "pad": 0.6},
        )
    root, leaves, along_the_tree = polar(0, 0), [], 0.0
    length = PoincareDistance(CURVATURE).pairwise_distance
    for branch in (30, 150, 270):
        inner = polar(1.0, branch)
        axis.plot(*geodesic(root, inner).T, color=BLUE, linewidth=1.6)
        for leaf in (branch - 16, branch, branch + 16):
            leaves.append(polar(RADIUS, leaf))
            axis.plot(*geodesic(inner, leaves[-1]).T, color=BLUE, linewidth=1.2)
        axis.plot(*expmap0(inner, CURVATURE), "o", color=BLUE, markersize=7)
        if branch != 270:  # two branches are on the way; their outer leaves are marked below
            way = torch.stack([root, inner, leaves[-1]])
            along_the_tree += length(way[:-1], way[1:]).sum().item()
    for leaf in leaves:
        axis.plot(*expmap0(leaf, CURVATURE), "o", color=BLUE, markersize=4)
    axis.plot(0, 0, "o", color=BLUE, markersize=9)
    start, end = leaves[2], leaves[5]
    axis.plot(*geodesic(start, end).T, color=ORANGE, linewidth=2)
    straight = length(start[None], end[None]).item()
    axis.set_title(
        f"From leaf to leaf: straight (red) {straight:.1f},\nalong the tree {along_the_tree:.1f}",
        fontsize=10,
    )
    axis.set_aspect("equal")
    axis.axis("off")


def draw_shortcut(axis: plt.Axes) -> None:
    """How much shorter the straight path is than the one by the origin."""
    degrees = np.linspace(0, 180, 181)
    turned = torch.stack([polar(RADIUS, angle) for angle in degrees])
    axis.plot(degrees, np.sin(np.radians(degrees) / 2), "--", color=GRAY, label="Euclidean plane")
    for curvature, colour, note in (
        (0.1, GREEN, ", the default"),
        (1.0, BLUE, ""),
        (5.0, ORANGE, ""),
    ):
        lengths = PoincareDistance(curvature)(turned[:1], turned)[0] / (4 * RADIUS)
        axis.plot(degrees, lengths, color=colour, label=f"c = {curvature:g}{note}")
    axis.axhline(1, color="black", linewidth=0.8)
    axis.set(
        xlabel="angle between two points at the clip radius, degrees",
        ylabel="distance / way by the origin",
        xlim=(0, 180),
        ylim=(0, 1.05),
        xticks=range(0, 181, 30),
    )
    axis.set_title("The more curvature, the more it is\nlike a tree", fontsize=10)
    axis.legend(fontsize=8, loc="lower right")
    axis.grid(color="0.9")


def main(output: Path) -> None:
    """Draw both halves."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(9.6, 4.7), layout="constrained")
    draw_disk(left)
    draw_shortcut(right)
    figure.savefig(output, dpi=120, metadata={"Software": None})
    print(f"wrote {output}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--output", type=Path, default=Path(__file__).with_name("poincare_disk.png")
    )
    main(parser.parse_args().output)
