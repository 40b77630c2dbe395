"""The results as Markdown."""

import statistics
from collections.abc import Iterable, Sequence

from benchmarks.hyperbolic.results import Result
from benchmarks.measuring import table

Row = dict[str, list[Result]]  # the seeds of each way


def report(results: Sequence[Result]) -> str:
    """The tables of all rows that are complete: both ways, on the same seeds."""
    parts = []
    for title, figure, wanted in (
        ("Clean labels, 128 dimensions: MAP@R", "map_at_r", _is_clean),
        ("Clean labels, few dimensions: precision@1", "precision_at_1", _is_small),
        ("Inside AdaptiveNoiseAwareLoss, wrong labels: MAP@R", "map_at_r", _is_noisy),
    ):
        rows = rows_of(result for result in results if wanted(result))
        if rows:
            parts.append(f"**{title}**\n\n" + _table(rows, figure))
    return "\n".join(parts)


def rows_of(results: Iterable[Result]) -> dict[tuple[str, str, str, int], Row]:
    """The seeds that a row has before and after the swap, small sizes first.

    By data set, loss, noise and size.
    """
    rows: dict[tuple[str, str, str, int], Row] = {}
    for result in results:
        key = (result.data, result.loss, result.noise, result.size)
        way = result.way if result.way in ("lorentz", "flat") else "original"
        rows.setdefault(key, {}).setdefault(way, []).append(result)
    complete = {}
    for key, ways in sorted(rows.items(), key=lambda row: (row[0][3], row[0])):
        seeds = [{result.seed for result in ways.get(way, [])} for way in ("original", "lorentz")]
        both = seeds[0] & seeds[1]
        if both:
            complete[key] = {
                way: [result for result in found if result.seed in both]
                for way, found in ways.items()
            }
    return complete


def mean(row: Row, way: str, figure: str) -> float:
    """Mean of a figure over the seeds of a row."""
    return statistics.fmean(getattr(result, figure) for result in row[way])


def gain(row: Row, figure: str) -> float:
    """How much more a row has with LorentzSimilarity, by the neighbours of the own distance."""
    return mean(row, "lorentz", figure) - mean(row, "original", figure)


def _table(rows: dict[tuple[str, str, str, int], Row], figure: str) -> str:
    head = ["data", "loss", "noise", "dimensions", "seeds", "before", "LorentzSimilarity"]
    head += ["difference", "its cosine", "at the rim"]
    has_flat = any("flat" in row for row in rows.values())
    head += ["hardly curved"] * has_flat
    lines = []
    for (data, loss, noise, size), row in rows.items():
        lines.append(
            [
                data,
                loss,
                "none" if noise == "none:0" else noise,
                str(size),
                str(len(row["lorentz"])),
                f"{mean(row, 'original', figure):.3f}",
                f"{mean(row, 'lorentz', figure):.3f}",
                f"{gain(row, figure):+.3f}",
                f"{mean(row, 'lorentz', 'cosine_' + figure):.3f}",
                f"{mean(row, 'lorentz', 'at_rim'):.2f}",
                *([_flat(row, figure)] if has_flat else []),
            ]
        )
    return table(head, lines) + f"\n{_summary(rows, figure)}"


def _flat(row: Row, figure: str) -> str:
    """A figure with hardly any curvature, where it was made on the same seeds."""
    if len(row.get("flat", [])) < len(row["lorentz"]):
        return ""
    return f"{mean(row, 'flat', figure):.3f}"


def _summary(rows: dict[tuple[str, str, str, int], Row], figure: str) -> str:
    """Differences by dimensions, and what the norm tells of the samples retrieved wrongly."""
    lines = []
    for size in sorted({size for *_, size in rows}):
        of_size = [row for (*_, of), row in rows.items() if of == size]
        gains = [gain(row, figure) for row in of_size]
        auroc = [
            statistics.fmean(mean(row, way, "wrong_by_norm") for row in of_size)
            for way in ("original", "lorentz")
        ]
        figures = f"{statistics.fmean(gains):+.3f}", f"{min(gains):+.3f}"
        lines.append([str(size), *figures, *(f"{value:.2f}" for value in auroc)])
    head = ["dimensions", "mean difference", "worst", "AUROC of the norm, before", "now"]
    return table(head, lines)


def _is_clean(result: Result) -> bool:
    return not result.is_wrapped and result.size == 128


def _is_small(result: Result) -> bool:
    return not result.is_wrapped and result.size != 128


def _is_noisy(result: Result) -> bool:
    return bool(result.is_wrapped)
