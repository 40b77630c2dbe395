"""The tables of what the norm says."""

import statistics
from collections.abc import Iterable, Sequence

from benchmarks.hyperbolic.radius import Result
from benchmarks.hyperbolic.radius_ways import WAYS
from benchmarks.measuring import table
from benchmarks.noise.data import EMBEDDING_SIZE
from benchmarks.noise.labels import NO_NOISE

TITLES = {
    "cosine": "a cosine",
    "lorentz": "Lorentz similarity",
    "halfway": "start at half the clip radius",
    "through": "the gradient passes the clip",
    "soft": "soft clip, r·tanh(‖u‖/r)",
    "curvature": "soft clip, c learnt",
    "flat": "soft clip, hardly curved",
    "price": "soft clip, a price on the norm",
    "prototypes": "prototypes in the ball",
    "riemannian": "prototypes by geoopt's RiemannianAdam",
    "ideal": "prototypes at infinity",
    "directions": "‖u‖·cos θ to prototypes, Euclidean",
    "cosines": "cos θ to prototypes",
    "own_radius": "cosine, and the norm by a softmax of its own",
}

_FIGURES = {
    "precision@1": "precision_at_1",
    "MAP@R": "map_at_r",
    "by cosine": "cosine_map_at_r",
    "radius": "radius",
    "at the rim": "at_rim",
    "wrong neighbour, by norm": "wrong_by_norm",
    "by its similarity": "wrong_by_nearest",
    "purity": "purity",
}
_WRONG_LABELS = {
    "wrong labels, symmetric 50 %": "symmetric:0.5",
    "annotator": "given:annotator",
}


def radius_tables(results: Sequence[Result]) -> str:
    """Right labels in 128 dimensions, with AUROCs; then precision at 1 in fewer dimensions.

    Of the runs with a MultiSimilarityLoss, as the page says.
    """
    shown = [result for result in results if result.loss == "MultiSimilarity"]
    return _what_it_says(shown) + "\n" + _few_dimensions(shown)


def _what_it_says(results: Sequence[Result]) -> str:
    lines = []
    wide = [result for result in results if result.size == EMBEDDING_SIZE]
    for (data, way), found in _grouped(wide):
        right = [result for result in found if result.noise == NO_NOISE]
        cells = [_mean(right, figure) for figure in _FIGURES.values()]
        for noise in _WRONG_LABELS.values():
            wrong = [result for result in found if result.noise == noise]
            cells.append(_mean(wrong, "wrong_labels_by_norm"))
        lines.append([data, TITLES[way], str(len(right)), *cells])
    return table(["data", "way", "seeds", *_FIGURES, *_WRONG_LABELS], lines)


def _few_dimensions(results: Sequence[Result]) -> str:
    few = [r for r in results if r.size != EMBEDDING_SIZE and r.noise == NO_NOISE]
    sizes = sorted({result.size for result in few})
    lines = []
    for (data, way), found in _grouped(few):
        of_size = [[result for result in found if result.size == size] for size in sizes]
        seeds = "/".join(str(len(same)) for same in of_size)
        cells = [_mean(same, "precision_at_1") for same in of_size]
        cells += [_mean(same, "wrong_by_norm") for same in of_size]
        lines.append([data, TITLES[way], seeds, *cells])
    head = [f"precision@1, {size}" for size in sizes] + [f"by norm, {size}" for size in sizes]
    return table(["data", "way", "seeds", *head], lines)


def _grouped(results: Iterable[Result]) -> list[tuple[tuple[str, str], list[Result]]]:
    """Results by data set and way, in the order of the ways."""
    groups: dict[tuple[str, str], list[Result]] = {}
    for result in results:
        groups.setdefault((result.data, result.way), []).append(result)
    return sorted(groups.items(), key=lambda group: (group[0][0], list(WAYS).index(group[0][1])))


def _mean(results: Sequence[Result], figure: str) -> str:
    """Mean over the seeds; empty without a run."""
    if not results:
        return ""
    return f"{statistics.fmean(getattr(result, figure) for result in results):.3f}"
