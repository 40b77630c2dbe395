"""What speaks for a class: each witness in a file of its own."""

from .centroid_distances import CentroidDistances
from .confusion_counts import ConfusionCounts
from .neighbour_memory import NeighbourMemory
from .witness import Lesson, Parameter, Witness

__all__ = [
    "CentroidDistances",
    "ConfusionCounts",
    "Lesson",
    "NeighbourMemory",
    "Parameter",
    "Witness",
    "default_witnesses",
]


def default_witnesses(
    num_classes: int, neighbours: NeighbourMemory | None = None, max_counted_classes: int = 1000
) -> dict[str, Witness | None]:
    """The witnesses of a label model, by name; None for one that is left out.

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
