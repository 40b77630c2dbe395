"""Witnesses, the label model's sources of evidence for the class of a sample."""

from collections.abc import Mapping

from .centroid_distances import CentroidDistances
from .confusion_counts import MOST_CLASSES, ConfusionCounts
from .neighbour_memory import NeighbourMemory
from .witness import Lesson, Parameter, Witness

__all__ = [
    "MOST_CLASSES",
    "CentroidDistances",
    "ConfusionCounts",
    "Lesson",
    "NeighbourMemory",
    "Parameter",
    "Witness",
    "choose_witnesses",
    "default_witnesses",
    "parameters_of",
]


def default_witnesses(
    num_classes: int,
    neighbours: NeighbourMemory | None = None,
    max_counted_classes: int = MOST_CLASSES,
) -> dict[str, Witness | None]:
    """Return the default witnesses of a label model, by name; None for one that is left out.

    Args:
        num_classes: K ≥ 2.
        neighbours: the memory whose samples vote.
        max_counted_classes: with more classes, confusions are not counted: the table of all pairs
            would be large and mostly empty.
    """
    is_counted = num_classes <= max_counted_classes
    return {
        "neighbours": neighbours,
        "centroid_distances": CentroidDistances(),
        "confusion_counts": ConfusionCounts(num_classes) if is_counted else None,
    }


def choose_witnesses(
    num_classes: int,
    neighbours: NeighbourMemory | None,
    max_counted_classes: int,
    witnesses: Mapping[str, Witness | None] | None,
) -> Mapping[str, Witness | None]:
    """Return the given witnesses, or the default ones.

    Raises:
        TypeError: if neighbours is not a ``NeighbourMemory``.
        ValueError: if both neighbours and witnesses are given.
    """
    if neighbours is not None and not isinstance(neighbours, NeighbourMemory):
        raise TypeError(f"neighbours must be a NeighbourMemory, got {type(neighbours).__name__}")
    if witnesses is None:
        return default_witnesses(num_classes, neighbours, max_counted_classes)
    if neighbours is not None:
        raise ValueError("neighbours must be among the witnesses where these are given, got both")
    return witnesses


def parameters_of(witnesses: Mapping[str, Witness | None]) -> list[Parameter]:
    """Return the parameters of the witnesses that are not None and have one."""
    there = (witness for witness in witnesses.values() if witness is not None)
    return [witness.parameter for witness in there if witness.parameter is not None]
