"""Wrap any PML loss so that wrong labels stop hurting it."""

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from typing import Any

import torch
from pytorch_metric_learning import losses as pml_losses
from pytorch_metric_learning.distances import BaseDistance
from pytorch_metric_learning.reducers import BaseReducer
from torch import Tensor

from ..checks import check_count, check_embeddings, check_in_interval, check_labels
from ..statistics import ClassStatistics, LabelNoiseModel
from ..statistics.gather import gather_rows
from . import wrapped_loss
from .adaptive_margins import AdaptiveMargins
from .batch import Batch
from .relabelling import Relabelling
from .replay_memory import ReplayMemory, count_of, occurrence
from .row_selection import IndicesTuple, RowSelection

# A distrusted sample still says a little about where its class lies. Without that little, a class
# whose samples are all distrusted for a while could never come back.
_DISTRUSTED_WEIGHT = 0.1

# Trust is 1 during the warm-up, and must exceed the threshold then.
_HIGHEST_THRESHOLD = 0.9999

_OF_THE_WRAPPED_LOSS = ("distance", "reducer", "embedding_regularizer", "embedding_reg_weight")


@dataclass(frozen=True)
class _Evidence:
    """What the label model judges by: distances to (N, K) and between (K, K) class centroids."""

    distances: Tensor
    divergence: Tensor


@dataclass(frozen=True)
class _Judgement:
    """What is made of the rows of a batch.

    Args:
        trusted: (N,) bool, trust above ½; what the centroids go by.
        takes_part: (N,) bool, what the wrapped loss sees.
        labels: (N,) as given, or as believed where a row is relabelled.
    """

    trusted: Tensor
    takes_part: Tensor
    labels: Tensor


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
        margins: None, or ``AdaptiveMargins`` for class-wise margins inside a loss that compares the
            pairs of a batch.
        trust_threshold: in [0.5, 0.9999]: the wrapped loss sees the samples with trust above it.
            Class centroids and the label model go by ½ whatever it is.
        relabel: None, or a ``Relabelling`` that says when a distrusted sample takes part with the
            label it is believed to have. Not while an indices_tuple is given, which goes by the
            labels as given, and not into a CrossBatchMemory.
        memory_size: embeddings of trusted samples to remember, 0 for none. Each sample left out is
            replaced by a remembered one of its class, without a gradient, so that the wrapped loss
            sees batches of the composition that the sampler made. Only in training mode, and only
            where the wrapped loss forms its pairs itself: not with an indices_tuple, ref_emb, a
            CrossBatchMemory or a DoNothingReducer.
        class_counts: (K,) training samples per class, as labelled, if known; by default the labels
            seen are counted.
        sync: under plain DistributedDataParallel, learn from the samples of all ranks, so that all
            ranks hold the same statistics. Not inside a DistributedLossWrapper, which hands over
            all samples by itself, unless that has efficient=True, with which it does not.
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
        margins: AdaptiveMargins | None = None,
        trust_threshold: float = 0.5,
        relabel: Relabelling | None = None,
        memory_size: int = 0,
        class_counts: Tensor | None = None,
        sync: bool = False,
        **kwargs: Any,
    ) -> None:
        wrapped_loss.check_loss(loss)
        if isinstance(loss, AdaptiveNoiseAwareLoss):
            raise ValueError(f"loss must not be wrapped already, got {type(loss).__name__}")
        check_count("class_warmup", class_warmup, minimum=1)
        check_in_interval("trust_threshold", trust_threshold, 0.5, _HIGHEST_THRESHOLD)
        check_count("memory_size", memory_size, minimum=0)
        if relabel is not None and not isinstance(relabel, Relabelling):
            raise TypeError(f"relabel must be a Relabelling, got {type(relabel).__name__}")
        for name in _OF_THE_WRAPPED_LOSS:
            if name in kwargs:
                raise ValueError(
                    f"{name} must be given to the wrapped loss, got it for AdaptiveNoiseAwareLoss"
                )
        if margins is not None:
            if not isinstance(margins, AdaptiveMargins):
                raise TypeError(f"margins must be AdaptiveMargins, got {type(margins).__name__}")
            margins.check_loss(loss)
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
        self.margins = margins
        self.trust_threshold = trust_threshold
        self.relabel = relabel
        self.memory = ReplayMemory(memory_size, embedding_size) if memory_size else None
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
        batch = self._checked_batch(
            embeddings, labels, indices_tuple, ref_emb, ref_labels, enqueue_mask
        )
        self.reset_stats()
        # by centroids and parameters that have not seen these samples yet
        evidence = self._evidence(batch.embeddings)
        judgement = self._judge(evidence, batch.labels)
        output = self._wrapped(batch, judgement)
        # last, so that a batch that the wrapped loss refuses has taught nothing
        if self.training:
            self._learn(batch, evidence, judgement)
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
        posterior = self.posterior(embeddings, labels)
        return posterior.gather(1, labels.to(posterior.device, torch.long)[:, None]).squeeze(1)

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
        labels = self._checked(embeddings, labels)
        return self._posterior(self._evidence(embeddings), labels)

    def class_divergence(self, classes: Tensor | Sequence[int] | None = None) -> Tensor:
        """Geodesic distances between class centroids.

        Args:
            classes: (C,) the classes wanted, all by default.

        Returns:
            (C, C) geodesic lengths; nan where a class has not been seen.
        """
        return self.class_statistics.divergence(
            None if classes is None else torch.as_tensor(classes)
        )

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
    def _judge(self, evidence: "_Evidence", labels: Tensor) -> "_Judgement":
        posterior = self._posterior(evidence, labels)
        trust = posterior.gather(1, labels[:, None]).squeeze(1)
        takes_part, believed = trust > self.trust_threshold, labels
        if self.relabel is not None and self.noise_model.batches >= self.relabel.warmup:
            relabelled, guesses = self.relabel.decide(
                posterior, evidence.distances, evidence.divergence, labels
            )
            relabelled &= ~takes_part
            takes_part = takes_part | relabelled
            believed = torch.where(relabelled, guesses, labels)
        return _Judgement(trust > 0.5, takes_part, believed)

    def _wrapped(self, batch: Batch, judgement: "_Judgement") -> Any:
        """The wrapped loss on the rows that take part."""
        is_memory = isinstance(self.loss, pml_losses.CrossBatchMemory)
        forms_pairs = batch.indices_tuple is None and not is_memory
        given, ref_rows = batch.labels, None
        keep = judgement.takes_part & (forms_pairs | (judgement.labels == given))
        if batch.ref_emb is not None and batch.ref_labels is None:
            ref_rows = torch.ones(len(batch.ref_emb), dtype=torch.bool, device=keep.device)
        elif batch.ref_emb is not None and batch.ref_labels is not None:
            refs = self._judge(self._evidence(batch.ref_emb), batch.ref_labels)
            ref_rows = refs.takes_part & (forms_pairs | (refs.labels == batch.ref_labels))
            if forms_pairs and self.relabel is not None:
                batch = replace(batch, ref_labels=refs.labels)
        selection = RowSelection(keep, ref_rows)
        if forms_pairs and self.relabel is not None:
            batch = replace(batch, labels=judgement.labels)
        selected = batch if selection.keeps_all else batch.select(selection)
        if forms_pairs and batch.ref_emb is None and not wrapped_loss.is_unreduced(self.loss):
            selected = self._replayed(selected, given)
        nothing_left = selected.has_empty_tuple and not batch.has_empty_tuple
        is_filtered = selected is not batch or len(given) == 0
        if nothing_left or (is_filtered and wrapped_loss.would_break(self.loss, selected)):
            return wrapped_loss.zero(self.loss, batch.embeddings)
        with self._margins(selected):
            output = wrapped_loss.call(self.loss, selected)
        if isinstance(output, dict) and not isinstance(self.loss, pml_losses.ProxyAnchorLoss):
            # (the elements of a ProxyAnchorLoss are its proxies, not rows of the batch)
            if batch.enqueue_mask is not None:
                selection = RowSelection(keep[~batch.enqueue_mask])
            output = selection.restore_indices(output, ref_is_memory=is_memory)
        return output

    def _margins(self, batch: Batch) -> AbstractContextManager[None]:
        if self.margins is None:
            return nullcontext()
        statistics = self.class_statistics.to(batch.embeddings.device)
        return self.margins.inside(self.loss, batch, statistics)

    def _replayed(self, selected: Batch, given: Tensor) -> Batch:
        """The selected rows, and remembered ones for what their classes have lost."""
        if self.memory is None or not self.training or not self.noise_model.is_warm:
            return selected
        missing = given[occurrence(given) >= count_of(given, selected.labels)]
        embeddings, labels = self.memory.to(given.device).newest(missing)
        if len(labels) == 0:
            return selected
        return replace(
            selected,
            embeddings=torch.cat([selected.embeddings, embeddings.to(selected.embeddings)]),
            labels=torch.cat([selected.labels, labels]),
        )

    @torch.no_grad()
    def _learn(self, batch: Batch, evidence: "_Evidence", judgement: "_Judgement") -> None:
        embeddings, labels, trusted = batch.embeddings.detach(), batch.labels, judgement.trusted
        if batch.enqueue_mask is not None:
            queries = ~batch.enqueue_mask
            embeddings, labels, trusted = embeddings[queries], labels[queries], trusted[queries]
            evidence = _Evidence(evidence.distances[queries], evidence.divergence)
        if self.sync:
            embeddings, labels = gather_rows(embeddings, labels)
            evidence = self._evidence(embeddings)
            trusted = self._judge(evidence, labels).trusted
        if len(embeddings) == 0:
            return
        if self.memory is not None and self.noise_model.is_warm:
            # relabelled samples stay out: a wrong guess would be confirmed by its own echo
            rows = judgement.takes_part & (judgement.labels == batch.labels)
            self.memory.to(batch.labels.device).push(batch.embeddings[rows], batch.labels[rows])
        noise_model = self.noise_model.to(labels.device)
        noise_model.update(evidence.distances, evidence.divergence, labels)
        weights = torch.where(trusted, 1.0, _DISTRUSTED_WEIGHT)
        self.class_statistics.update(embeddings, labels, weights)

    def _checked_batch(
        self,
        embeddings: Tensor,
        labels: Tensor | None,
        indices_tuple: IndicesTuple | None,
        ref_emb: Tensor | None,
        ref_labels: Tensor | None,
        enqueue_mask: Tensor | None,
    ) -> Batch:
        if ref_emb is embeddings and ref_labels is labels:
            # by object identity PML then leaves out self-comparisons, as without references
            ref_emb = ref_labels = None
        labels = self._checked(embeddings, labels)
        if ref_emb is not None:
            self._check_references(ref_emb, ref_labels)
            if self.margins is not None and ref_labels is None:
                raise ValueError("ref_labels must be given where margins are used, got None")
            ref_labels = None if ref_labels is None else ref_labels.to(ref_emb.device, torch.long)
        if enqueue_mask is not None:
            self._check_enqueue_mask(enqueue_mask, len(embeddings))
            enqueue_mask = enqueue_mask.to(embeddings.device)
        return Batch(embeddings, labels, indices_tuple, ref_emb, ref_labels, enqueue_mask)

    def _checked(self, embeddings: Tensor, labels: Tensor | None) -> Tensor:
        """Raise for bad embeddings or labels; the labels as indices beside the embeddings."""
        check_embeddings("embeddings", embeddings, self.embedding_size)
        if labels is None:
            raise ValueError("labels must be given, got None")
        check_labels("labels", labels, len(embeddings), self.num_classes)
        # as indices: torch takes uint8 for a mask
        return labels.to(embeddings.device, torch.long)

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
