"""Formats the figures as Markdown."""

from typing import Any

from benchmarks.gpu.cases import PROBLEM
from benchmarks.measuring import table

_SHARE = "{:.0%}"
# By section: title, text, and by key of a row the head of the column and its format.
_Column = tuple[str, str, str]
_PAGE: dict[str, tuple[str, str, tuple[_Column, ...]]] = {
    "checks": (
        "Tests",
        "`tests/test_cuda.py`, by group. The tolerances stand in the file.",
        (
            ("group", "group", "{}"),
            ("device", "on", "{}"),
            ("passed", "passed", "{}"),
            ("failed", "failed", "{}"),
            ("skipped", "skipped", "{}"),
        ),
    ),
    "kernel": (
        "Distance matrix",
        "Forward and backward of the (N, N) matrix in float32. The ratio is that of forward and "
        "backward; memory is the peak in N×N float32 matrices, the distances and their incoming "
        "gradient included.",
        (
            ("n", "N", "{:,}"),
            ("d", "D", "{}"),
            ("way", "", "{}"),
            ("forward_ms", "forward ms", "{:.2f}"),
            ("both_ms", "both ms", "{:.2f}"),
            ("ratio", "both / cdist", "{:.2f}"),
            ("matrices", "memory", "{:.1f}"),
            ("rounds", "rounds", "{}"),
        ),
    ),
    "steps": (
        "Training step",
        "Forward, backward and AdamW on batches of 128, with a MultiSimilarityLoss alone and "
        "wrapped in an AdaptiveNoiseAwareLoss with default options. The network has random weights "
        "and a small head; the head alone is trained past the warm-up before whole steps are "
        "measured. bfloat16 is autocast of the network; the loss stays in float32. *Rows* are what "
        "the wrapped loss is called with, ε is the learnt share of wrong labels.",
        (
            ("network", "network", "{}"),
            ("precision", "precision", "{}"),
            ("wrong", "wrong labels", _SHARE),
            ("alone_ms", "alone ms", "{:.2f}"),
            ("wrapped_ms", "wrapped ms", "{:.2f}"),
            ("ratio", "wrapped / alone", "{:.2f}"),
            ("rows", "rows", "{:.0f}"),
            ("noise_rate", "ε", "{:.2f}"),
            ("rounds", "rounds", "{}"),
        ),
    ),
    "waits": (
        "What a step asks of the device",
        "Forward pass of the loss, the most of some steps, each as loss alone / wrapped. Kernels "
        "and syncs are calls of CUDA that the profiler saw; operations and waits are what "
        "`benchmarks/device_work.py` counts, which needs no GPU.",
        (
            ("loss", "loss", "{}"),
            ("classes", "classes", "{:,}"),
            ("wrong", "wrong labels", _SHARE),
            ("ids", "ids", "{}"),
            ("operations", "operations", "{}"),
            ("kernels", "kernels", "{}"),
            ("waits", "waits", "{}"),
            ("syncs", "syncs", "{}"),
        ),
    ),
    "searches": (
        "Nearest neighbours",
        "All rows against all; embeddings lie on the device. *Identical* is the share of the first "
        "1,000 queries with exactly the neighbours of a float64 search, in order.",
        (
            ("n", "N", "{:,}"),
            ("d", "D", "{}"),
            ("way", "", "{}"),
            ("seconds", "seconds", "{:.3f}"),
            ("ratio", "times PoincareKNN", "{:.2f}"),
            ("identical", "identical", "{:.4f}"),
            ("rounds", "rounds", "{}"),
        ),
    ),
}
_MISSING = "–"


def report(figures: dict[str, Any]) -> str:
    """Make the page."""
    machine = figures["machine"]
    parts = [
        "# On a GPU\n",
        f"Made by `{figures['command']}` in {figures['seconds']:.0f} seconds.\n",
        f"**{machine['card']}**, {machine['packages']}; CUDA {machine['cuda']}, "
        f"{machine['cores']} CPU cores.\n",
        "Times are medians over the rounds in which all ways take turns in one process; a ratio is "
        "the median of the ratios within a round. A *note* says why a figure is missing.\n",
    ]
    if not machine["is_gpu"]:
        parts.insert(1, "**Not measured on a GPU: this only tries the command.**\n")
    return "\n".join(parts + [_section(name, **s) for name, s in figures["sections"].items()])


def _section(name: str, rows: list[dict[str, Any]], seconds: float, problem: str | None) -> str:
    title, text, columns = _PAGE[name]
    parts = [f"## {title}\n", f"{text} This took {seconds:.0f} seconds.\n"]
    if problem:
        parts.append(f"**Not complete: {_plain(problem)}.**\n")
    if rows:
        heads = [head for _, head, _ in columns] + ["note"]
        parts.append(table(heads, [_cells(row, columns) for row in rows]))
    return "\n".join(parts)


def _cells(row: dict[str, Any], columns: tuple[_Column, ...]) -> list[str]:
    cells = [_cell(row, key, style) for key, _, style in columns]
    return [*cells, _plain(row.get(PROBLEM, ""))]


def _cell(row: dict[str, Any], key: str, style: str) -> str:
    """Format a figure; of one counted alone and wrapped, both."""
    if key in row:
        return _plain(style.format(row[key]))
    both = [row.get(f"{way}_{key}") for way in ("alone", "wrapped")]
    return _MISSING if None in both else " / ".join(style.format(number) for number in both)


def _plain(text: str) -> str:
    """Return text that does not end a cell."""
    return text.replace("|", "\\|").replace("\n", " ")
