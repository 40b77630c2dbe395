"""The rows that stand for all: the table of README, and table and picture of the first page."""

from dataclasses import dataclass
from pathlib import Path

from matplotlib.figure import Figure

from benchmarks import measuring
from benchmarks.noise.pages.forms import scores
from benchmarks.noise.pages.selection import Selection
from benchmarks.noise.pages.wording import DATA, RUNS, noise_name
from benchmarks.noise.rows import Row

RUNS_SHOWN = ("plain", "prism", "ours", "ours_ids", "clean_only")
_LOSS = "MultiSimilarity"
_COLOURS = {
    "plain": "tab:gray",
    "prism": "tab:blue",
    "ours": "tab:orange",
    "ours_ids": "tab:red",
    "clean_only": "black",
}
# (or dots hide each other)
_OFFSETS = {"prism": -0.22, "ours_ids": 0.22}


@dataclass(frozen=True)
class _Cell:
    """A row of a file, and whether README shows it, too."""

    file: str
    data: str
    noise: str
    in_readme: bool = False

    def row(self) -> Row:
        return Selection(self.file, [(self.data, self.noise)], [_LOSS]).rows()[0]


CELLS = (
    _Cell("end_to_end", "cifar10n_images", "given:worst", in_readme=True),
    _Cell("noise_real", "clinc", "given:annotator", in_readme=True),
    _Cell("noise_real", "hwu", "given:annotator"),
    _Cell("noise_real", "trec", "given:majority", in_readme=True),
    _Cell("noise_real", "hausa", "given:distant", in_readme=True),
    _Cell("noise_real", "cifar10n", "given:worst"),
    _Cell("noise_real", "cifar10n", "given:random1"),
    _Cell("noise_chance", "clinc", "symmetric:0.5"),
    _Cell("noise_chance", "hwu", "near:0.4", in_readme=True),
    _Cell("noise_chance", "hwu", "pair:0.2"),
    _Cell("noise_chance", "omniglot", "symmetric:0.5", in_readme=True),
)


def summary_table(*, readme: bool = False) -> str:
    """MAP@R of one row for each kind of data and labels."""
    head = ["data", "network", "samples", "labels", "wrong", *(RUNS[run] for run in RUNS_SHOWN)]
    lines = []
    for cell in CELLS:
        if readme and not cell.in_readme:
            continue
        row, data = cell.row(), DATA[cell.data]
        wrong = f"{100 * row.mean('plain', 'noise_rate_seen'):.0f} %"
        lines.append(
            [
                data.name,
                data.network,
                f"{data.samples:,}",
                noise_name(cell.noise),
                wrong,
                *scores(row, RUNS_SHOWN),
            ]
        )
    return measuring.table(head, lines)


def plot_summary(path: Path) -> None:
    """The same rows as a picture."""
    figure_ = Figure(figsize=(8.5, 4.6), layout="constrained")
    axis = figure_.subplots()
    rows = [cell.row() for cell in CELLS]
    for y, row in enumerate(rows):
        ends = [row.mean("plain"), row.mean("clean_only")]
        axis.plot(ends, [y, y], color="lightgray", linewidth=6, zorder=0, solid_capstyle="round")
    for run in RUNS_SHOWN:
        is_end = run in ("plain", "clean_only")
        axis.scatter(
            [row.mean(run) for row in rows],
            [y + _OFFSETS.get(run, 0) for y in range(len(rows))],
            s=110 if is_end else 40,
            color=_COLOURS[run],
            label=RUNS[run],
            marker="|" if is_end else "o",
            linewidths=2.5 if is_end else 0,
            alpha=0.9,
        )
    axis.set_yticks(
        range(len(rows)), [f"{DATA[c.data].name}: {noise_name(c.noise)}" for c in CELLS]
    )
    axis.invert_yaxis()
    axis.set_xlim(0.1, 0.9)
    axis.grid(axis="x", alpha=0.3)
    axis.set_xlabel("MAP@R on right test labels")
    figure_.legend(loc="outside upper center", ncols=len(RUNS_SHOWN), frameon=False)
    figure_.savefig(path, dpi=120)
