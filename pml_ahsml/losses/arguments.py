"""Checks of what the wrapper is called with and of the loss that it wraps."""

from dataclasses import dataclass

import torch
from torch import Tensor

from ..checks import check_embeddings, check_labels
from . import view_pairs, wrapped_loss
from .batch import Batch
from .loss_traits import traits_of
from .queue_positions import WithQueues
from .row_selection import IndicesTuple


@dataclass(frozen=True)
class Arguments:
    """What the arguments of a call must fit.

    Args:
        loss: the wrapped loss.
        num_classes: K.
        embedding_size: D.
        num_views: V, views of each sample in a batch.
        needs_ref_labels: whether references need labels, as margins go by them.
    """

    loss: torch.nn.Module
    num_classes: int
    embedding_size: int
    num_views: int
    needs_ref_labels: bool

    def batch(
        self,
        embeddings: Tensor,
        labels: Tensor | None,
        indices_tuple: IndicesTuple | None = None,
        ref_emb: Tensor | None = None,
        ref_labels: Tensor | None = None,
        enqueue_mask: Tensor | None = None,
        view_ids: Tensor | None = None,
    ) -> Batch:
        """The arguments of a call as one value, or an error that names the one that is wrong."""
        if ref_emb is embeddings and ref_labels is labels:
            # by object identity PML then leaves out self-comparisons, as without references
            ref_emb = ref_labels = None
        labels = self.labels(embeddings, labels)
        if ref_emb is not None:
            wrapped_loss.check_takes_references(self.loss)
            if ref_labels is not None:
                ref_labels = self.labels(ref_emb, ref_labels, ("ref_emb", "ref_labels"))
            else:
                check_embeddings("ref_emb", ref_emb, self.embedding_size)
                if self.needs_ref_labels:
                    raise ValueError("ref_labels must be given where margins are used, got None")
        if enqueue_mask is not None:
            wrapped_loss.check_enqueue_mask(self.loss, enqueue_mask, len(embeddings))
            enqueue_mask = enqueue_mask.to(embeddings.device)
        if view_ids is not None:
            view_ids = view_pairs.check_view_ids(view_ids, labels)
        elif self.num_views > 1:
            view_ids = view_pairs.ids_by_layout(labels, self.num_views)
        return Batch(embeddings, labels, indices_tuple, ref_emb, ref_labels, enqueue_mask, view_ids)

    def labels(
        self,
        embeddings: Tensor,
        labels: Tensor | None,
        names: tuple[str, str] = ("embeddings", "labels"),
    ) -> Tensor:
        """The labels as indices beside the embeddings, or an error for either."""
        check_embeddings(names[0], embeddings, self.embedding_size)
        if labels is None:
            raise ValueError(
                f"{names[1]} must be given, as they are what is judged, got None; for pairs or "
                "triplets without labels use the loss without the wrapper"
            )
        # as indices: torch takes uint8 for a mask
        labels = check_labels(names[1], labels, len(embeddings), self.num_classes)
        return labels.to(embeddings.device)


def check_can_be_wrapped(loss: torch.nn.Module, num_views: int) -> None:
    """Raise for a wrapper, and for views in an unreduced loss that has a term of their own."""
    name = type(loss).__name__
    if isinstance(loss, WithQueues):
        raise ValueError(f"loss must not be wrapped already, got {name}")
    if num_views > 1 and traits_of(loss).has_view_term and wrapped_loss.is_unreduced(loss):
        raise ValueError(
            f"num_views must be 1 for a {name} with a DoNothingReducer, whose "
            f"terms cannot be added, got {num_views}"
        )


def check_not_transformed(embeddings: Tensor) -> None:
    """Raise inside torch.func.grad and its like, which forbid that anything is learnt."""
    try:
        embeddings.data_ptr()
    except RuntimeError:
        raise ValueError(
            "embeddings must be a tensor of their own where the wrapper learns, got one inside a "
            "transform of torch.func: take gradients by backward() or torch.autograd.grad, or call "
            "eval() first, with which the wrapped loss sees all rows"
        ) from None
