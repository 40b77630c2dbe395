"""Which table stands in which place of the pages, by the names of the markers there."""

import functools
import itertools
from collections.abc import Callable, Sequence

from benchmarks.audit import rows as audit_rows
from benchmarks.audit.table import found_table, rates_table
from benchmarks.csv_rows import read_rows
from benchmarks.end_to_end.cost import Cost, cost_table
from benchmarks.end_to_end.table import end_to_end_table
from benchmarks.noise.data import LONG_TAILED, MEASUREMENTS
from benchmarks.noise.detection import rows as detection_rows
from benchmarks.noise.labels import NO_NOISE
from benchmarks.noise.losses import LOSSES
from benchmarks.noise.pages import detection
from benchmarks.noise.pages.forms import by_loss_table, losses_table, parts_table, rows_table
from benchmarks.noise.pages.selection import DOCS, Selection
from benchmarks.noise.pages.summary import summary_table
from benchmarks.noise.suites import GIVEN_LABELS, WEAK_LABELS

_SENTENCES = ("clinc", "hwu")
_RUNS = ("plain", "prism", "ours", "clean_only")
_RUNS_WITH_IDS = ("plain", "prism", "ours", "ours_ids", "clean_only")
_COMPARED = ("prism", "ours", "ours_ids")
_MS = ("MultiSimilarity",)


def _cells(data: Sequence[str], noises: Sequence[str]) -> list[tuple[str, str]]:
    return list(itertools.product(data, noises))


_REAL = Selection(
    "noise_real",
    [(data, f"given:{who}") for data, who in GIVEN_LABELS],
    ("MultiSimilarity", "SupCon"),
)
_ANNOTATORS = Selection("noise_annotators", WEAK_LABELS, _MS)
_CLEANED = Selection(
    "noise_cleaned",
    [*_REAL.cells, *_cells(_SENTENCES, ("symmetric:0.5", "near:0.4", "pair:0.2"))],
    _MS,
)
_CHANCE = Selection(
    "noise_chance",
    _cells(_SENTENCES, ("symmetric:0.2", "symmetric:0.5", "near:0.4", "pair:0.2")),
)
_CLEAN = Selection("noise_chance", _cells(_SENTENCES, (NO_NOISE,)))
_MOST_WRONG = Selection(
    "noise_chance", _cells(_SENTENCES, ("symmetric:0.7",)), ("MultiSimilarity", "SupCon")
)
_UNSEEN = _cells(_SENTENCES, ("one_way:0.2", "instance:0.3"))
_UNSEEN_WITH_IDS = Selection("noise_chance", _UNSEEN)
_UNSEEN_BEFORE = Selection("noise", _UNSEEN)
_OPEN = Selection("noise", _cells(_SENTENCES, ("open_set:0.3",)))
_GONE = Selection("noise", _cells(_SENTENCES, ("small_cluster:0.25",)))
_OMNIGLOT = _cells(("omniglot",), ("symmetric:0.2", "symmetric:0.5", "near:0.4"))
_SCRATCH = Selection("noise_chance", _OMNIGLOT, _MS)
_SCRATCH_SIX = Selection("noise_scratch", _OMNIGLOT, _MS)
_LONGER_SCRATCH = Selection(
    "noise_full_3_times", _cells(("omniglot",), ("symmetric:0.2", "symmetric:0.5")), _MS
)
_LONGER = Selection("noise_full_4_times", _cells(_SENTENCES, ("symmetric:0.5", "near:0.4")))
_FEW = Selection("noise", _cells(("synthetic",), ("symmetric:0.3", "symmetric:0.5", NO_NOISE)), _MS)
_TAILS = Selection(
    "noise",
    _cells(
        [f"{data}{LONG_TAILED}" for data in _SENTENCES],
        ("symmetric:0.2", "symmetric:0.5", "near:0.4", NO_NOISE),
    ),
)
_TABLES = Selection(
    "noise_measurements",
    _cells(MEASUREMENTS, ("symmetric:0.5", "near:0.4", NO_NOISE)),
    seeds=[0],
)
_TABLES_TODAY = Selection(
    "noise_measurements_ids",
    _cells(MEASUREMENTS, ("symmetric:0.5", "near:0.4", NO_NOISE)),
    _MS,
)
_LIBRAS = Selection("noise_measurements", [("movement_libras", NO_NOISE)])
_WORDS = Selection(
    "noise_words",
    _cells(("banking",), ("symmetric:0.2", "symmetric:0.5", "near:0.4", "pair:0.2", NO_NOISE)),
)
_HWU_SIX = Selection(
    "noise", _cells(("hwu",), ("symmetric:0.2", "symmetric:0.5", "near:0.4", "pair:0.2")), _MS
)

_ALL_LOSSES = Selection("noise_losses", [("hwu", "near:0.4")], tuple(LOSSES))

# One row of each kind, as columns of the table of parts.
_PARTS = (
    ("CLINC, MultiSimilarity, symmetric 50 %", [("clinc", "symmetric:0.5")], _MS),
    ("CLINC, Triplet, near 40 %", [("clinc", "near:0.4")], ("Triplet",)),
    ("HWU, SupCon, symmetric 50 %", [("hwu", "symmetric:0.5")], ("SupCon",)),
    ("HWU, MultiSimilarity, pair 20 %", [("hwu", "pair:0.2")], _MS),
)
_PARTS_SCRATCH = (
    "Omniglot, MultiSimilarity, symmetric 50 %",
    Selection("noise_ablation", [("omniglot", "symmetric:0.5")], _MS),
)
_PARTS_TABLES = (
    "measurements, 36 rows",
    Selection("noise_measurements", _cells(MEASUREMENTS, ("symmetric:0.5", "near:0.4")), seeds=[0]),
)


def _parts(seeds: Sequence[int]) -> list[tuple[str, Selection]]:
    return [
        (name, Selection("noise_ablation", cells, losses, seeds)) for name, cells, losses in _PARTS
    ]


_PART_RUNS = (
    "plain",
    "ours",
    "trust",
    "no_margins",
    "all_margins",
    "no_relabelling",
    "no_memory",
    "no_threshold",
    "no_neighbours",
    "no_counts",
    "no_centre",
    "clean_only",
    "clean_only_margins",
)
_OTHER_PART_RUNS = (
    "plain",
    "ours",
    "ours_views",
    "ours_views_all_margins",
    "ours_class_counts",
    "hyperbolic",
    "ahsml_margins",
    "ahsml_views",
    "ahsml_views_margins",
    "ahsml_views_all_margins",
    "clean_only",
)


def _audited() -> list[audit_rows.Row]:
    return read_rows(DOCS / "audit.csv", audit_rows.Row)


def _detected() -> list[detection_rows.Row]:
    return read_rows(DOCS / "detection.csv", detection_rows.Row)


_of = functools.partial
CONTENTS: dict[str, Callable[[], str]] = {
    "readme": _of(summary_table, readme=True),
    "summary": summary_table,
    "end to end": end_to_end_table,
    "end to end, cost": lambda: cost_table(*read_rows(DOCS / "end_to_end_cost.csv", Cost)),
    "real": _of(rows_table, _REAL, _RUNS_WITH_IDS, "ours_ids"),
    "real by loss": _of(by_loss_table, _REAL, (*_COMPARED, "clean_only_margins")),
    "annotators": _of(
        rows_table, _ANNOTATORS, ("plain", "prism", "ours_ids", "clean_only"), "ours_ids"
    ),
    "annotators by loss": _of(by_loss_table, _ANNOTATORS, ("prism", "ours_ids")),
    "clean ids": _of(
        rows_table, _REAL, ("plain", "ours_ids", "ours_clean_ids", "clean_only"), "ours_clean_ids"
    ),
    "told": _of(
        rows_table,
        Selection("noise_real", _REAL.cells, _MS),
        ("plain", "prism", "ours_ids", "ours_told", "clean_only"),
        "ours_told",
    ),
    "clean ids by loss": _of(by_loss_table, _REAL, ("ours_ids", "ours_clean_ids")),
    "chance": _of(rows_table, _CHANCE, _RUNS_WITH_IDS),
    "chance by loss": _of(by_loss_table, _CHANCE, _COMPARED),
    "clean": _of(rows_table, _CLEAN, ("plain", "ours", "ours_ids")),
    "most wrong": _of(rows_table, _MOST_WRONG, _RUNS_WITH_IDS),
    "most wrong by loss": _of(by_loss_table, _MOST_WRONG, _COMPARED),
    "unseen": _of(
        rows_table, _UNSEEN_WITH_IDS, ("plain", "prism", "ours_ids", "clean_only"), "ours_ids"
    ),
    "unseen by loss": _of(by_loss_table, _UNSEEN_WITH_IDS, ("prism", "ours_ids")),
    "unseen before": _of(rows_table, _UNSEEN_BEFORE, _RUNS),
    "unseen before by loss": _of(by_loss_table, _UNSEEN_BEFORE, ("prism", "ours")),
    "open set": _of(rows_table, _OPEN, _RUNS),
    "open set by loss": _of(by_loss_table, _OPEN, ("prism", "ours")),
    "gone": _of(rows_table, _GONE, _RUNS),
    "scratch": _of(rows_table, _SCRATCH, _RUNS_WITH_IDS, "ours_ids"),
    "scratch by loss": _of(by_loss_table, _SCRATCH, _COMPARED),
    "scratch, six seeds": _of(
        rows_table, _SCRATCH_SIX, ("plain", "ours_ids", "clean_only"), "ours_ids"
    ),
    "scratch, six seeds, by loss": _of(by_loss_table, _SCRATCH_SIX, ("ours_ids",)),
    "longer, scratch": _of(rows_table, _LONGER_SCRATCH, ("plain", "ours", "clean_only")),
    "longer": _of(rows_table, _LONGER, ("plain", "ours", "clean_only")),
    "longer by loss": _of(by_loss_table, _LONGER, ("ours",)),
    "few samples": _of(rows_table, _FEW, ("plain", "ours", "clean_only")),
    "long tails": _of(
        rows_table, _TAILS, ("plain", "prism", "ours", "ours_class_counts", "clean_only")
    ),
    "long tails by loss": _of(by_loss_table, _TAILS, ("prism", "ours", "ours_class_counts")),
    "measurements": _of(
        rows_table, _TABLES, ("plain", "prism", "no_neighbours", "ours", "clean_only")
    ),
    "measurements by loss": _of(by_loss_table, _TABLES, ("prism", "no_neighbours", "ours")),
    "measurements, today": _of(rows_table, _TABLES_TODAY, _RUNS_WITH_IDS, "ours_ids"),
    "measurements, today, by loss": _of(by_loss_table, _TABLES_TODAY, _COMPARED),
    "libras, clean": _of(rows_table, _LIBRAS, ("plain", "no_neighbours", "ours")),
    "words": _of(rows_table, _WORDS, _RUNS),
    "words by loss": _of(by_loss_table, _WORDS, ("prism", "ours")),
    "hwu, six seeds": _of(rows_table, _HWU_SIX, _RUNS),
    "cleaned": _of(
        rows_table, _CLEANED, ("plain", "cleaned", "ours_ids", "clean_only"), "ours_ids"
    ),
    "cleaned, recovered": _of(by_loss_table, _CLEANED, ("cleaned", "ours_ids")),
    "losses": _of(losses_table, _ALL_LOSSES),
    "audit found": lambda: found_table(_audited()),
    "audit rates": lambda: rates_table(_audited()),
    "trust found": lambda: detection.found_table(_detected()),
    "trust found, auroc": lambda: detection.auroc_table(_detected()),
    "classifier predicts": lambda: detection.predicted_table(_detected()),
    "parts": lambda: parts_table([*_parts((0, 1, 2)), _PARTS_SCRATCH, _PARTS_TABLES], _PART_RUNS),
    "other parts": lambda: parts_table(_parts((0,)), _OTHER_PART_RUNS),
}
