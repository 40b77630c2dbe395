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
    """Shifts every pair of a loss by the class-wise similarity of its classes.

    A positive pair of class a counts as less similar by Ŝ_aa, a negative pair of classes a and b as
    more similar by Ŝ_ab: the loss then asks for M_p(a) = γ + Ŝ_aa and M_n(a, b) = γ − Ŝ_ab where it
    asked for its own γ before (``base`` of a MultiSimilarityLoss). Distances are shifted by the
    same in units of d_max/2. The margins carry no gradient.

    Args:
        span: in [0, 2], the length of the range [0, span] of Ŝ. AHSML uses 0.2.
        scope: "batch", the mean similarities of the rows that take part, or "running", those of
            the class statistics over past batches, in Minkowski similarity.
        view_margin: give view pairs the margin M_a, the similarity of the least similar pair of
            their class, in place of M_p. For ``num_views`` > 1.
        gamma: in [-1, 1], γ, the similarity that M_a is measured from: a loss that asks for its
            own γ asks for M_a where γ is the same. AHSML uses 0.5, PML's MultiSimilarityLoss too.

    Raises:
        ValueError: for an option outside its range, or at the construction of the wrapper for a
            loss that does not work on a matrix or whose distance has no known maximum.

    Source:
        Margins: AHSML. Entering them as offsets of the matrix, and the running scope: this project.

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
        # plain numbers of Python, whatever they came as
        object.__setattr__(self, "span", check_in_interval("span", self.span, 0.0, 2.0))
        if self.scope not in ("batch", "running"):
            raise ValueError(f"scope must be 'batch' or 'running', got {self.scope!r}")
        object.__setattr__(self, "view_margin", check_flag("view_margin", self.view_margin))
        object.__setattr__(self, "gamma", check_in_interval("gamma", self.gamma, -1.0, 1.0))

    def check_loss(self, loss: torch.nn.Module) -> None:
        """Raise unless the margins can work inside the loss."""
        if not traits_of(loss).takes_margins:
            raise ValueError(
                "margins must be None or 'auto' for a loss that does not compare the pairs of a "
                f"batch, got them for {type(loss).__name__}; they work in "
                + names_with("takes_margins")
            )
        as_similarity(torch.zeros(1), loss.distance)

    def check_views(self, loss: torch.nn.Module, num_views: int) -> None:
        """Raise unless there are views, in a loss that takes pairs, where M_a is asked for."""
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
        """What is taken off the similarity of each pair.

        Ŝ_aa of a positive pair, −Ŝ_ab of a negative one, M_a − γ of a view pair where M_a is used.

        Args:
            distance: the distance of the loss.
            batch: the rows that the loss sees.
            statistics: for the running scope.
            takes_part: (N,) bool, rows whose label is believed; all by default. Others belong to no
                class; as views of one sample they take the mean M_a.
            values: (N, N) what the distance returns for the batch, where that is known already.

        Returns:
            (N, M), or (N, N) without references.
        """
        labels = batch.labels
        ref_labels = labels if batch.ref_labels is None else batch.ref_labels
        classes, compact = torch.cat([labels, ref_labels]).unique(return_inverse=True)
        rows, columns = compact.split([len(labels), len(ref_labels)])
        believed = torch.ones_like(columns, dtype=torch.bool) if takes_part is None else takes_part
        if self.scope == "batch" or self.view_margin:
            refs = batch.embeddings if batch.ref_emb is None else batch.ref_emb
            if values is None or refs is not batch.embeddings:
                values = distance(refs)
            # in float32 at least: min–max over half-precision means would lose the order
            wide = torch.promote_types(values.dtype, torch.float32)
            similarity = as_similarity(values.to(wide), distance)
            if takes_part is not None:
                similarity = similarity[believed][:, believed]
        if self.scope == "running":
            within, between = statistics.mean_similarity(classes)
        else:
            within, between = cs.class_similarity(similarity, columns[believed], len(classes))
        offsets = cs.margin_offsets(within, between, rows, columns, self.span)
        if self.view_margin and batch.view_ids is not None:
            margins = cs.view_margins(similarity, columns[believed], len(classes))
            of_row = torch.where(believed, margins[rows], margins.mean()).nan_to_num(self.gamma)
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
        """Let the distance of the loss return shifted values while the context lasts.

        Args:
            loss: the wrapped loss.
            batch: what it is about to be called with.
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
            # its bins end at −1 and 1
            return shifted.clamp(-1, 1) if traits_of(loss).has_bins else shifted

        handle = distance.register_forward_hook(hook)
        try:
            yield
        finally:
            handle.remove()


def choose_margins(margins: Any, loss: torch.nn.Module, num_views: int) -> AdaptiveMargins | None:
    """The margins that a wrapped loss gets.

    Args:
        margins: ``AdaptiveMargins``, None, or "auto" for the default ones where they help.
        loss: the wrapped loss.
        num_views: views of each sample in a batch.

    Returns:
        The margins, or None for none.

    Raises:
        TypeError, ValueError: for something else, and for given margins that cannot work.
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
    """How margins get into a loss for a batch of which some rows take part.

    Args:
        loss: the wrapped loss.
        margins: None for none; nor are there any where references have no labels.
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
