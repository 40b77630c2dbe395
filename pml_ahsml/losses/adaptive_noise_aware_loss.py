"""Wrap any PML loss so that wrong labels stop hurting it."""

from dataclasses import dataclass
from typing import Any

import torch
from pytorch_metric_learning import losses as pml_losses
from pytorch_metric_learning.distances import BaseDistance
from pytorch_metric_learning.reducers import BaseReducer
from torch import Tensor

from ..checks import check_count, check_embeddings, check_labels
from ..statistics import ClassStatistics, LabelNoiseModel
from ..statistics.gather import gather_rows
from . import wrapped_loss
from .row_selection import IndicesTuple, RowSelection

# A distrusted sample still says a little about where its class lies. Without that little, a class
# whose samples are all distrusted for a while could never come back.
_DISTRUSTED_WEIGHT = 0.1

_OF_THE_WRAPPED_LOSS = ("distance", "reducer", "embedding_regularizer", "embedding_reg_weight")


@dataclass(frozen=True)
class _Evidence:
    """What the label model judges by: distances to (N, K) and between (K, K) class centroids."""

    distances: Tensor
    divergence: Tensor

    def rows(self, selected: Tensor) -> "_Evidence":
        return _Evidence(self.distances[selected], self.divergence)


class AdaptiveNoiseAwareLoss(pml_losses.BaseMetricLossFunction):
    """Gives the wrapped loss the samples whose labels are plausible, and learns which these are.

    A small generative model of the noisy label (``LabelNoiseModel``) is learnt beside the network,
    on class centroids in hyperbolic space (``ClassStatistics``). It is told neither the noise rate
    nor the kind of noise. After a warm-up the wrapped loss sees the samples with trust
    q_i = t_i(y_i) > ½ only: their embeddings and labels, and the ``indices_tuple`` of a miner
    filtered and renumbered. While everything is trusted, value and gradient are exactly those of
    the wrapped loss. Distrusted samples get no gradient.

    Where embeddings lie for the label model follows the distance of the wrapped loss: a
    PoincareDistance is used as it is; for any other (cosine, Lp, several losses), which does not
    look at a norm or leaves it unbounded, embeddings are normalised and placed at the clip radius.

    Args:
        loss: the PML loss to wrap: any BaseMetricLossFunction that takes labels, a
            CrossBatchMemory (which then remembers trusted samples only) or a MultipleLosses.
        num_classes: K ≥ 2; labels must lie in [0, K).
        embedding_size: D of the embeddings.
        warmup: batches in which everything is trusted, ≥ 0. In 50 a network that starts from
            sensible features has centroids worth believing.
        class_warmup: visits, that is batches with at least one sample so labelled, before the
            samples of a class are judged, ≥ 1: with many classes some are rare in the warm-up.
        class_counts: (K,) training samples per class, as labelled, if known; by default the labels
            seen are counted.
        sync: under plain DistributedDataParallel, learn from the samples of all ranks, so that all
            ranks hold the same statistics. Not needed inside a DistributedLossWrapper, which
            hands over all samples by itself.
        **kwargs: of ``BaseMetricLossFunction``: collect_stats. Distance, reducer and regularizers
            belong to the wrapped loss.

    Returns:
        ``forward(embeddings, labels, indices_tuple=None, ref_emb=None, ref_labels=None)``: what
        the reducer of the wrapped loss returns; a zero that touches its parameters where no sample
        is trusted.

    Raises:
        TypeError: for something that is no PML loss, or an unknown option.
        ValueError: for an option outside its range, a loss that cannot be wrapped, and in
            ``forward`` for bad shapes, labels outside [0, K), nan or inf; the state is as before.

    Source:
        This project. That it wraps any pair-based loss, and judges by class-wise divergence in
        hyperbolic space: AHSML.

    Example:
        >>> from pytorch_metric_learning.losses import MultiSimilarityLoss
        >>> loss = AdaptiveNoiseAwareLoss(MultiSimilarityLoss(), num_classes=10, embedding_size=8)
        >>> embeddings, labels = torch.randn(32, 8, requires_grad=True), torch.arange(32) % 10
        >>> loss(embeddings, labels).backward()
        >>> loss.noise_rate  # not before the end of the warm-up
        nan
        >>> loss.trust(embeddings, labels).shape
        torch.Size([32])
    """

    def __init__(
        self,
        loss: torch.nn.Module,
        num_classes: int,
        embedding_size: int,
        *,
        warmup: int = 50,
        class_warmup: int = 3,
        class_counts: Tensor | None = None,
        sync: bool = False,
        **kwargs: Any,
    ) -> None:
        wrapped_loss.check_loss(loss)
        if isinstance(loss, AdaptiveNoiseAwareLoss):
            raise ValueError(f"loss must not be wrapped already, got {type(loss).__name__}")
        check_count("class_warmup", class_warmup, minimum=1)
        for name in _OF_THE_WRAPPED_LOSS:
            if name in kwargs:
                raise ValueError(
                    f"{name} must be given to the wrapped loss, got it for AdaptiveNoiseAwareLoss"
                )
        noise_model = LabelNoiseModel(num_classes, warmup=warmup, class_counts=class_counts)
        class_statistics = ClassStatistics(
            num_classes, embedding_size, getattr(wrapped_loss.inner_loss(loss), "distance", None)
        )
        super().__init__(**kwargs)
        # what the base class has just made; the properties below show the wrapped loss's own
        del self.distance, self.reducer
        self.loss = loss
        self.num_classes = num_classes
        self.embedding_size = embedding_size
        self.class_warmup = class_warmup
        self.sync = sync
        self.class_statistics = class_statistics
        self.noise_model = noise_model
        self.add_to_recordable_attributes(
            list_of_names=["num_classes", "embedding_size", "class_warmup"], is_stat=False
        )

    @property
    def distance(self) -> BaseDistance:
        """The distance of the wrapped loss."""
        return wrapped_loss.inner_loss(self.loss).distance

    @property
    def reducer(self) -> BaseReducer:
        """The reducer of the wrapped loss."""
        return wrapped_loss.inner_loss(self.loss).reducer

    @property
    def noise_rate(self) -> float:
        """Estimated share of wrong labels in the batches seen; nan before the warm-up ends."""
        return self.noise_model.noise_rate

    def forward(
        self,
        embeddings: Tensor,
        labels: Tensor | None = None,
        indices_tuple: IndicesTuple | None = None,
        ref_emb: Tensor | None = None,
        ref_labels: Tensor | None = None,
        enqueue_mask: Tensor | None = None,
    ) -> Any:
        """The wrapped loss on the trusted rows.

        Args:
            embeddings: (N, D).
            labels: (N,) integers in [0, num_classes), as given; they may be wrong.
            indices_tuple: what a miner returned, or None.
            ref_emb: (M, D), or None; for losses that take references.
            ref_labels: (M,) labels of the references; without them all references are trusted.
            enqueue_mask: (N,) bool, for a wrapped CrossBatchMemory.

        Returns:
            What the reducer of the wrapped loss returns.
        """
        labels = self._checked(embeddings, labels)
        if ref_emb is not None:
            self._check_references(ref_emb, ref_labels)
        if enqueue_mask is not None:
            self._check_enqueue_mask(enqueue_mask, len(embeddings))
            enqueue_mask = enqueue_mask.to(embeddings.device)
        self.reset_stats()
        # by centroids and parameters that have not seen these samples yet
        evidence = self._evidence(embeddings)
        keep = self._trusted(evidence, labels)
        if ref_emb is None:
            selection = RowSelection(keep)
        elif ref_labels is None:
            everything = torch.ones(len(ref_emb), dtype=torch.bool, device=keep.device)
            selection = RowSelection(keep, everything)
        else:
            ref_labels = ref_labels.to(ref_emb.device)
            selection = RowSelection(keep, self._trusted(self._evidence(ref_emb), ref_labels))
        output = self._wrapped(
            selection, embeddings, labels, indices_tuple, ref_emb, ref_labels, enqueue_mask
        )
        # last, so that a batch that the wrapped loss refuses has taught nothing
        if self.training:
            if enqueue_mask is not None:
                embeddings, labels, keep = (x[~enqueue_mask] for x in (embeddings, labels, keep))
                evidence = evidence.rows(~enqueue_mask)
            if self.sync:
                embeddings, labels = gather_rows(embeddings.detach(), labels)
                evidence = self._evidence(embeddings)
                keep = self._trusted(evidence, labels)
            self._learn(embeddings, labels, evidence, keep)
        return output

    @torch.no_grad()
    def trust(self, embeddings: Tensor, labels: Tensor) -> Tensor:
        """Probability that each label is right. Changes no state.

        Args:
            embeddings: (N, D).
            labels: (N,) integers in [0, num_classes), as given.

        Returns:
            (N,) in [0, 1]; 1 during the warm-up and for classes that are still in theirs.
        """
        labels = self._checked(embeddings, labels).long()
        posterior = self._posterior(self._evidence(embeddings), labels)
        return posterior.gather(1, labels[:, None]).squeeze(1)

    @torch.no_grad()
    def posterior(self, embeddings: Tensor, labels: Tensor) -> Tensor:
        """Probability of each class to be the true one. Changes no state.

        Args:
            embeddings: (N, D).
            labels: (N,) integers in [0, num_classes), as given.

        Returns:
            (N, num_classes), rows sum to 1; all on the given label during the warm-up and for
            classes that are still in theirs.
        """
        labels = self._checked(embeddings, labels).long()
        return self._posterior(self._evidence(embeddings), labels)

    def class_divergence(self, classes: Tensor | None = None) -> Tensor:
        """Geodesic distances between class centroids.

        Args:
            classes: (C,) the classes wanted, all by default.

        Returns:
            (C, C) geodesic lengths; nan where a class has not been seen.
        """
        return self.class_statistics.divergence(classes)

    @torch.no_grad()
    def _evidence(self, embeddings: Tensor) -> "_Evidence":
        statistics = self.class_statistics.to(embeddings.device)
        return _Evidence(statistics.distances(embeddings), statistics.divergence())

    def _posterior(self, evidence: "_Evidence", labels: Tensor) -> Tensor:
        one_hot = torch.nn.functional.one_hot(labels, self.num_classes).float()
        if not self.noise_model.is_warm:
            return one_hot
        noise_model = self.noise_model.to(labels.device)
        posterior = noise_model.posterior(evidence.distances, evidence.divergence, labels)
        judged = self.class_statistics.visits[labels] >= self.class_warmup
        return torch.where(judged[:, None], posterior, one_hot)

    @torch.no_grad()
    def _trusted(self, evidence: "_Evidence", labels: Tensor) -> Tensor:
        """(N,) bool, the rows with trust above ½."""
        labels = labels.long()
        return self._posterior(evidence, labels).gather(1, labels[:, None]).squeeze(1) > 0.5

    @torch.no_grad()
    def _learn(
        self, embeddings: Tensor, labels: Tensor, evidence: "_Evidence", trusted: Tensor
    ) -> None:
        if len(embeddings) == 0:
            return
        noise_model = self.noise_model.to(labels.device)
        noise_model.update(evidence.distances, evidence.divergence, labels.long())
        weights = torch.where(trusted, 1.0, _DISTRUSTED_WEIGHT)
        self.class_statistics.update(embeddings, labels, weights)

    def _wrapped(
        self,
        selection: RowSelection,
        embeddings: Tensor,
        labels: Tensor,
        indices_tuple: IndicesTuple | None,
        ref_emb: Tensor | None,
        ref_labels: Tensor | None,
        enqueue_mask: Tensor | None,
    ) -> Any:
        """The wrapped loss on the selected rows."""
        if selection.keeps_all:
            return wrapped_loss.call(
                self.loss, embeddings, labels, indices_tuple, ref_emb, ref_labels, enqueue_mask
            )
        keep = selection.query
        kept_ref, kept_ref_labels, kept_mask, kept_tuple = ref_emb, ref_labels, enqueue_mask, None
        if ref_emb is not None and selection.ref is not None:
            kept_ref = ref_emb[selection.ref]
            kept_ref_labels = None if ref_labels is None else ref_labels[selection.ref]
        if enqueue_mask is not None:
            kept_mask = enqueue_mask[keep]
        if indices_tuple is not None:
            kept_tuple = selection.filter_indices_tuple(indices_tuple)
        kept_labels = labels[keep]
        nothing_mined = _is_empty(kept_tuple) and not _is_empty(indices_tuple)
        if nothing_mined or wrapped_loss.would_break(
            self.loss, kept_labels, kept_ref_labels, kept_mask
        ):
            return wrapped_loss.zero(self.loss, embeddings)
        output = wrapped_loss.call(
            self.loss,
            embeddings[keep],
            kept_labels,
            kept_tuple,
            kept_ref,
            kept_ref_labels,
            kept_mask,
        )
        if isinstance(output, dict) and not isinstance(self.loss, pml_losses.ProxyAnchorLoss):
            # (the elements of a ProxyAnchorLoss are its proxies, not rows of the batch)
            if enqueue_mask is not None:
                selection = RowSelection(keep[~enqueue_mask])
            is_memory = isinstance(self.loss, pml_losses.CrossBatchMemory)
            output = selection.restore_indices(output, ref_is_memory=is_memory)
        return output

    def _checked(self, embeddings: Tensor, labels: Tensor | None) -> Tensor:
        """Raise for bad embeddings or labels; the labels on the device of the embeddings."""
        check_embeddings("embeddings", embeddings, self.embedding_size)
        if labels is None:
            raise ValueError("labels must be given, got None")
        check_labels("labels", labels, len(embeddings), self.num_classes)
        return labels.to(embeddings.device)

    def _check_references(self, ref_emb: Tensor, ref_labels: Tensor | None) -> None:
        if isinstance(self.loss, pml_losses.CrossBatchMemory | pml_losses.MultipleLosses):
            raise ValueError(
                f"ref_emb must be None where {type(self.loss).__name__} is wrapped, got a tensor"
            )
        check_embeddings("ref_emb", ref_emb, self.embedding_size)
        if ref_labels is not None:
            check_labels("ref_labels", ref_labels, len(ref_emb), self.num_classes)

    def _check_enqueue_mask(self, enqueue_mask: Tensor, num_rows: int) -> None:
        if not isinstance(self.loss, pml_losses.CrossBatchMemory):
            raise ValueError(
                "enqueue_mask must be None unless a CrossBatchMemory is wrapped, got one for "
                f"{type(self.loss).__name__}"
            )
        if enqueue_mask.dtype != torch.bool or enqueue_mask.shape != (num_rows,):
            raise ValueError(
                f"enqueue_mask must be of shape ({num_rows},) and bool, got "
                f"{tuple(enqueue_mask.shape)} of {enqueue_mask.dtype}"
            )


def _is_empty(indices_tuple: IndicesTuple | None) -> bool:
    """Whether a miner found nothing. PML's weighting losses then take everything instead."""
    return indices_tuple is not None and all(len(rows) == 0 for rows in indices_tuple)
