"""Traits of each PML loss, in one table."""

from dataclasses import dataclass, replace
from typing import Any

import torch
from pytorch_metric_learning import losses as pml


@dataclass(frozen=True)
class LossTraits:
    """What the wrapper needs to know about a class of losses.

    Args:
        refusal: why the loss cannot be wrapped, or None: "loss must …".
        takes_pairs: whether it compares exactly the pairs that an indices_tuple names.
        has_view_term: whether it has a separate term for the views of a sample.
        takes_margins: whether it compares entries of the distance matrix of the batch, so that
            margins can enter there.
        gains_by_margins: whether margins improve retrieval, with and without wrong labels
            (docs/results/parts.md). They hurt it in a MultiSimilarityLoss and
            a MarginLoss.
        has_bins: whether its values must stay in [−1, 1], where its bins end.
        is_nan_without_positives: whether its value is nan for a batch without a positive pair.
        indexes_rows: whether indices of unreduced losses are rows of the batch.
    """

    refusal: str | None = None
    takes_pairs: bool = False
    has_view_term: bool = False
    takes_margins: bool = False
    gains_by_margins: bool = False
    has_bins: bool = False
    is_nan_without_positives: bool = False
    indexes_rows: bool = True


_NEEDS_NO_LABELS = {"refusal": "be one that takes labels, got {}"}
_UNEQUAL_CLASSES = (
    "take classes of unequal size, which is what is left when samples are distrusted, got {}; "
    "FastAPLoss does"
)
_MARGINS = {"takes_margins": True}
_GAINS = {"takes_margins": True, "gains_by_margins": True}

# A class inherits the traits of its base classes unless it overrides them.
TRAITS: dict[type[torch.nn.Module], dict[str, Any]] = {
    pml.GenericPairLoss: {"takes_pairs": True},
    pml.ContrastiveLoss: _GAINS,
    pml.GeneralizedLiftedStructureLoss: _MARGINS,
    pml.HistogramLoss: {"takes_margins": True, "has_bins": True},
    pml.IntraPairVarianceLoss: _MARGINS,
    pml.LiftedStructureLoss: _MARGINS,
    pml.ManifoldLoss: _NEEDS_NO_LABELS,
    pml.MarginLoss: _MARGINS,
    pml.MultiSimilarityLoss: {"takes_margins": True, "has_view_term": True},
    pml.NCALoss: {"takes_margins": True, "is_nan_without_positives": True},
    pml.NTXentLoss: _MARGINS,
    pml.ProxyAnchorLoss: {"indexes_rows": False},  # it indexes proxies
    pml.ProxyNCALoss: {"takes_margins": False, "is_nan_without_positives": False},
    pml.RankedListLoss: _MARGINS,
    pml.SmoothAPLoss: {"refusal": _UNEQUAL_CLASSES},
    pml.SupConLoss: _GAINS,
    pml.TripletMarginLoss: _GAINS,
    pml.VICRegLoss: _NEEDS_NO_LABELS,
}


def traits_of(loss: torch.nn.Module) -> LossTraits:
    """The traits of a loss, by its class.

    Args:
        loss: any module; default traits if the table has none for it.

    Example:
        >>> traits_of(pml.SupConLoss()).gains_by_margins
        True
    """
    traits = LossTraits()
    for cls in reversed(type(loss).__mro__):
        traits = replace(traits, **TRAITS.get(cls, {}))
    return traits


def names_with(trait: str) -> str:
    """List the losses that have a trait, for a message.

    Args:
        trait: the name of a field of :class:`LossTraits`.
    """
    return ", ".join(cls.__name__ for cls, traits in TRAITS.items() if traits.get(trait))
