"""The noise rate that is found, and the trust in right and in wrong labels, over the steps."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from matplotlib.figure import Figure
from torch import Tensor

from benchmarks.csv_rows import read_rows, write_rows
from benchmarks.noise.pages.wording import noise_name
from pml_ahsml import AdaptiveNoiseAwareLoss

_LINES = {
    "noise rate found": "tab:red",
    "trust, right labels": "tab:blue",
    "trust, wrong labels": "tab:orange",
}
_TRUTH = "share of wrong labels"


@dataclass(frozen=True)
class Point:
    """What the wrapper thinks of one batch, before it learns from it.

    Args:
        noise: given:NAME, as in ``Job``.
        step: number of the batch, from 1.
        wrong: share of wrong labels in the batch.
        noise_rate: as found; nan in the warm-up.
        right_trust: mean trust of the batch's right labels.
        wrong_trust: mean trust of its wrong labels; nan without any.
    """

    noise: str
    step: int
    wrong: float
    noise_rate: float
    right_trust: float
    wrong_trust: float


@torch.no_grad()
def point(
    loss: AdaptiveNoiseAwareLoss,
    embeddings: Tensor,
    labels: Tensor,
    ids: Tensor,
    is_noisy: Tensor,
    name: tuple[str, int],
) -> Point:
    """Ask the wrapper about a batch; it learns nothing from that."""
    trust = loss.trust(embeddings, labels, sample_ids=ids)
    figures = [
        float(is_noisy.float().mean()),
        loss.noise_rate,
        float(trust[~is_noisy].mean()),
        float(trust[is_noisy].mean()),
    ]
    # (four digits, as the points are stored in a file of text)
    return Point(*name, *(round(figure, 4) for figure in figures))


def read_curve(path: Path) -> list[Point]:
    """Read the points in a file; none if it does not exist."""
    return read_rows(path, Point)


def write_curve(path: Path, points: Sequence[Point]) -> None:
    """Add the points of a run to the file, in the place of those it has with the same labels."""
    new = {point.noise for point in points}
    kept = [point for point in read_curve(path) if point.noise not in new]
    write_rows(path, [*kept, *points])


def plot_curve(points: Iterable[Point], path: Path) -> None:
    """Draw a panel for each kind of labels; every dot is the mean of ten steps."""
    panels: dict[str, list[Point]] = {}
    for one in points:
        panels.setdefault(one.noise, []).append(one)
    figure = Figure(figsize=(9, 3.4), layout="constrained")
    axes = figure.subplots(1, len(panels), sharey=True, squeeze=False)[0]
    for axis, (noise, of) in zip(axes, panels.items(), strict=True):
        table = torch.tensor(
            [[p.step, p.noise_rate, p.right_trust, p.wrong_trust, p.wrong] for p in of]
        )
        means = torch.stack([some.nanmean(0) for some in table.split(10)])
        for column, (name, colour) in enumerate(_LINES.items(), 1):
            axis.plot(means[:, 0], means[:, column], ".-", color=colour, label=name)
        axis.axhline(float(table[:, -1].mean()), color="black", linestyle=":", label=_TRUTH)
        axis.set_title(noise_name(noise))
        axis.set_xlabel("step")
        axis.set_ylim(0, 1)
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=4)
    figure.savefig(path, dpi=110)
