"""The table of AHSML's parts."""

from collections.abc import Iterable, Sequence

from benchmarks.hyperbolic.ahsml import NOISES, WAYS
from benchmarks.measuring import table
from benchmarks.noise.results import Result
from benchmarks.noise.rows import Row, rows_of

TITLES = {
    "euclidean": "Euclidean: the cosine",
    "hyperbolic": "hyperbolic: `LorentzSimilarity`",
    "margins": "+ margins",
    "views": "+ views",
    "view_margin": "+ view margin: the unified loss",
    "miner": "the unified loss + miner",
    "label_model": "the unified loss + label model: the whole wrapper",
}
_NOISE_TITLES = ("right labels", "symmetric 30 %", "symmetric 50 %", "annotator")


def ahsml_table(results: Sequence[Result]) -> str:
    """MAP@R and, in brackets, precision at 1: means over the seeds that all parts have.

    A noise that no seed has for all parts stays empty.
    """
    rows = [row for row in map(_on_shared_seeds, rows_of(results)) if row is not None]
    lines = []
    for data in dict.fromkeys(row.data for row in rows):
        of_noise = {row.noise: row for row in rows if row.data == data}
        for way in WAYS:
            cells = [_score(of_noise.get(noise), way) for noise in NOISES]
            lines.append([data, TITLES[way], *cells])
        counts = [len(of_noise[n].scores("euclidean")) if n in of_noise else 0 for n in NOISES]
        lines.append([data, "seeds", *map(str, counts)])
    return table(["data", "parts", *_NOISE_TITLES], lines)


def _score(row: Row | None, way: str) -> str:
    if row is None:
        return ""
    return f"{row.mean(way):.3f} ({row.mean(way, 'precision_at_1'):.3f})"


def _on_shared_seeds(row: Row) -> Row | None:
    """The results of the seeds that all parts have; None without such a seed."""
    shared = set.intersection(*(_seeds(row.results.get(way, [])) for way in WAYS))
    kept = {
        way: [result for result in row.results[way] if result.seed in shared]
        for way in WAYS
        if shared
    }
    return Row(row.data, row.loss, row.noise, kept) if shared else None


def _seeds(results: Iterable[Result]) -> set[int]:
    return {result.seed for result in results}
