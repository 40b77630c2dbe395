"""Class-wise adaptive margins inside any loss that works on a distance matrix."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ..checks import check_flag, check_in_interval
from ..classes import class_similarity as cs
from ..classes.class_statistics import ClassStatistics
from ..distances import as_similarity, max_distance
from .batch import Batch
from .loss_traits import names_with, traits_of


@dataclass(frozen=True)
class AdaptiveMargins:
    """Class-wise adaptive margins, applied as offsets to the pair similarities of a PML loss.

    The similarity of a positive pair of class a is lowered by Ŝ_aa. That of a negative pair of
    classes a and b is raised by Ŝ_ab. The loss's own margin γ (``base`` of a MultiSimilarityLoss)
    thus becomes M_p(a) = γ + Ŝ_aa and M_n(a, b) = γ − Ŝ_ab. Distances are shifted by the same
    amounts in units of d_max/2. The margins carry no gradient.

    Args:
        span: in [0, 2], the length of the range [0, span] of Ŝ. AHSML uses 0.2.
        scope: "batch" uses the mean similarities of the rows that take part. "running" uses those
            of the class statistics over past batches, in Minkowski similarity.
        view_margin: whether view pairs get the margin M_a instead of M_p. M_a is the similarity of
            the least similar pair of their class. Needs ``num_views`` > 1.
        gamma: γ in [-1, 1], the similarity that M_a is measured from. If it equals the loss's own
            γ, view pairs get exactly M_a. AHSML and PML's MultiSimilarityLoss use 0.5.

    Raises:
        ValueError: if an option is out of range. The wrapper raises it on construction if the loss
            does not work on a distance matrix or its distance has no known maximum.

    Source:
        Margins: AHSML. Offsets of the distance matrix, and the running scope: this project.

    Example:
        >>> from pytorch_metric_learning.losses import MultiSimilarityLoss
        >>> from pml_ahsml import AdaptiveNoiseAwareLoss
        >>> loss = AdaptiveNoiseAwareLoss(
        ...     MultiSimilarityLoss(), num_classes=3, embedding_size=4, margins=AdaptiveMargins()
        ... )
    """

    span: float = 0.2
    scope: str = "batch"
    view_margin: bool = False
    gamma: float = 0.5

    def __post_init__(self) -> None:
        # store plain Python numbers, whatever type was given
        object.__setattr__(self, "span", check_in_interval("span", self.span, 0.0, 2.0))
        if self.scope not in ("batch", "running"):
            raise ValueError(f"scope must be 'batch' or 'running', got {self.scope!r}")
        object.__setattr__(self, "view_margin", check_flag("view_margin", self.view_margin))
        object.__setattr__(self, "gamma", check_in_interval("gamma", self.gamma, -1.0, 1.0))

    def check_loss(self, loss: torch.nn.Module) -> None:
        """Raise unless the loss supports margins."""
        if not traits_of(loss).takes_margins:
            raise ValueError(
                "margins must be None or 'auto' for a loss that does not compare the pairs of a "
                f"batch, got them for {type(loss).__name__}; they work in "
                + names_with("takes_margins")
            )
        as_similarity(torch.zeros(1), loss.distance)

    def check_views(self, loss: torch.nn.Module, num_views: int) -> None:
        """Raise if ``view_margin`` is on but there are no views or the loss takes no pairs."""
        if self.view_margin and num_views == 1:
            raise ValueError("view_margin must be False with num_views=1, got True")
        if self.view_margin and not traits_of(loss).takes_pairs:
            raise ValueError(
                "view_margin must be False for a loss that is not called with pairs, got True for "
                f"{type(loss).__name__}"
            )

    @torch.no_grad()
    def offsets(
        self,
        distance: Any,
        batch: Batch,
        statistics: ClassStatistics,
        takes_part: Tensor | None = None,
        values: Tensor | None = None,
    ) -> Tensor:
        """Compute the offset that is subtracted from the similarity of each pair.

        It is Ŝ_aa for a positive pair, −Ŝ_ab for a negative pair, and M_a − γ for a view pair if
        M_a is used.

        Args:
            distance: the distance of the loss.
            batch: the rows that the loss sees.
            statistics: for the running scope.
            takes_part: (N,) bool, rows whose label is believed; all by default. Other rows belong
                to no class. Their view pairs get the mean M_a.
            values: (N, N) output of the distance for the batch, if already computed.

        Returns:
            (N, M), or (N, N) without references.
        """
        labels, ref_labels = batch.labels, batch.ref_labels
        both = labels if ref_labels is None else torch.cat([labels, ref_labels])
        if batch.groups is not None and ref_labels is None:
            classes, compact = batch.groups
        elif self.scope == "running":
            classes, compact = both.unique(return_inverse=True)
        else:
            # a place for each row, as the host would wait for the number of classes; those of
            # repeated labels stay empty
            classes = both.sort().values
            compact = torch.searchsorted(classes, both)
        rows = compact[: len(labels)]
        believed = columns = rows if ref_labels is None else compact[len(labels) :]
        if self.scope == "batch" or self.view_margin:
            refs = batch.embeddings if batch.ref_emb is None else batch.ref_emb
            if values is None or refs is not batch.embeddings:
                values = distance(refs)
            # at least float32: in half precision the min–max would lose the order of the means
            wide = torch.promote_types(values.dtype, torch.float32)
            similarity = as_similarity(values.to(wide), distance)
            if takes_part is not None:
                believed = columns[takes_part]
                similarity = similarity[takes_part][:, takes_part]
        if self.scope == "running":
            within, between = statistics.mean_similarity(classes)
        else:
            within, between = cs.class_similarity(similarity, believed, len(classes))
        offsets = cs.margin_offsets(within, between, rows, columns, self.span)
        if self.view_margin and batch.view_ids is not None:
            margins = cs.view_margins(similarity, believed, len(classes))
            of_row = margins[rows]
            if takes_part is not None:
                of_row = torch.where(takes_part, of_row, margins.mean())
            of_row = of_row.nan_to_num(self.gamma)
            views = batch.view_ids[:, None] == batch.view_ids
            offsets = torch.where(views, of_row[:, None] - self.gamma, offsets)
        return offsets

    @contextmanager
    def inside(
        self,
        loss: Any,
        batch: Batch,
        statistics: ClassStatistics,
        takes_part: Tensor | None = None,
    ) -> Iterator[None]:
        """Shift the output of the loss's distance inside the context.

        Args:
            loss: the wrapped loss.
            batch: the batch that the loss is called with.
            statistics: for the running scope.
            takes_part: (N,) bool, rows whose label is believed; all by default.
        """
        distance = loss.distance
        bound = max_distance(distance)

        def hook(_: torch.nn.Module, arguments: tuple[Any, ...], values: Tensor) -> Tensor:
            if arguments[0] is not batch.embeddings:
                return values
            offsets = self.offsets(distance, batch, statistics, takes_part, values)
            # a similarity of [-1, 1] is 1 − 2d/d_max, see as_similarity
            scale = -1.0 if distance.is_inverted or bound is None else bound / 2
            shifted = values + offsets.to(values.dtype) * scale
            # the bins of the loss end at −1 and 1
            return shifted.clamp(-1, 1) if traits_of(loss).has_bins else shifted

        handle = distance.register_forward_hook(hook)
        try:
            yield
        finally:
            handle.remove()


def choose_margins(margins: Any, loss: torch.nn.Module, num_views: int) -> AdaptiveMargins | None:
    """Choose the margins of a wrapped loss.

    Args:
        margins: ``AdaptiveMargins``, None, or "auto" for default margins in losses they help.
        loss: the wrapped loss.
        num_views: views of each sample in a batch.

    Returns:
        The margins, or None for none.

    Raises:
        TypeError, ValueError: for anything else, and for margins that the loss does not support.
    """
    if isinstance(margins, str):
        if margins != "auto":
            raise ValueError(f"margins must be AdaptiveMargins, 'auto' or None, got {margins!r}")
        return AdaptiveMargins() if _helps(loss) else None
    if margins is None:
        return None
    if not isinstance(margins, AdaptiveMargins):
        name = type(margins).__name__
        raise TypeError(f"margins must be AdaptiveMargins, 'auto' or None, got {name}")
    margins.check_loss(loss)
    margins.check_views(loss, num_views)
    return margins


def margins_inside(
    loss: torch.nn.Module, margins: AdaptiveMargins | None, statistics: ClassStatistics
) -> Callable[[Batch, Tensor | None], AbstractContextManager[None]]:
    """Return a function that makes a context in which the margins act inside the loss.

    The function takes a batch and which of its rows take part.

    Args:
        loss: the wrapped loss.
        margins: the margins, or None. Batches with unlabelled references get none.
        statistics: for the running scope.
    """

    def inside(batch: Batch, takes_part: Tensor | None) -> AbstractContextManager[None]:
        unlabelled = batch.ref_emb is not None and batch.ref_labels is None
        if margins is None or unlabelled:
            return nullcontext()
        here = statistics.on(batch.embeddings.device)
        return margins.inside(loss, batch, here, takes_part)

    return inside


def _helps(loss: torch.nn.Module) -> bool:
    distance: Any = loss.distance if traits_of(loss).gains_by_margins else None
    return distance is not None and (distance.is_inverted or max_distance(distance) is not None)
