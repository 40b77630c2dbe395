"""The table of the page: MAP@R and precision at 1 of each run."""

from benchmarks import measuring
from benchmarks.end_to_end.data import NAME
from benchmarks.noise.pages.forms import scores
from benchmarks.noise.pages.selection import Selection
from benchmarks.noise.pages.wording import RUNS as NAMES
from benchmarks.noise.pages.wording import figure, noise_name
from benchmarks.noise.rows import Row

LOSS = "MultiSimilarity"
LABELS = ("worst", "random1")
RUNS = ("plain", "prism", "ours_ids", "clean_only")
SELECTION = Selection("end_to_end", [(NAME, f"given:{who}") for who in LABELS], [LOSS])
_MEASURES = {"map_at_r": "MAP@R", "precision_at_1": "precision@1"}


def end_to_end_table(rows: list[Row] | None = None) -> str:
    """Two lines for each kind of labels, one for each measure; by default of the stored rows."""
    lines = [
        [
            noise_name(row.noise),
            figure(row.mean("ours_ids", "noise_rate_seen"), 2),
            figure(row.mean("ours_ids", "noise_rate"), 2),
            figure(row.mean("ours_ids", "trust_auroc"), 2),
            words,
            *scores(row, RUNS, of),
            *[figure(row.recovered(run), 2) if of == "map_at_r" else "" for run in RUNS[1:3]],
        ]
        for row in (SELECTION.rows() if rows is None else rows)
        for of, words in _MEASURES.items()
    ]
    recovered = [f"recovered, {NAMES[run]}" for run in RUNS[1:3]]
    head = ["labels", "wrong", "found", "AUROC of trust", "", *(NAMES[run] for run in RUNS)]
    return measuring.table([*head, *recovered], lines)
