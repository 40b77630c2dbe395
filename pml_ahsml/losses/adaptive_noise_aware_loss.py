"""Wrap any PML loss so that wrong labels stop hurting it."""

import warnings
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from typing import Any, Literal

import torch
from pytorch_metric_learning import losses as pml_losses
from pytorch_metric_learning.distances import BaseDistance
from pytorch_metric_learning.reducers import BaseReducer
from torch import Tensor

from ..checks import check_count, check_flag, to_tensor
from ..classes import class_means as cm
from ..classes.class_statistics import ClassStatistics
from ..distances import PoincareDistance
from ..labels import posterior as lp
from ..labels.label_noise_model import LabelNoiseModel
from ..labels.label_posterior import LabelPosterior
from ..labels.label_recurrence import LabelRecurrence
from ..labels.witnesses.neighbour_memory import SHORTEST_MEMORY, NeighbourMemory
from ..state.gather import AllRanks, by_rank
from . import wrapped_loss
from .adaptive_margins import AdaptiveMargins, choose_margins
from .arguments import Arguments, check_can_be_wrapped, check_not_transformed
from .batch import Batch
from .batch_plan import BatchPlan, plan_batch, run_plan
from .doubtful_samples import DoubtfulSamples
from .judgement import Judgement
from .queue_positions import WithQueues
from .relabelling import Relabelling
from .renamed_keywords import renamed_keywords
from .replay_memory import ReplayMemory
from .row_selection import IndicesTuple

# Weight of a distrusted sample in its class mean. With 0 a class whose samples are all distrusted
# for a while could never come back.
_DISTRUSTED_WEIGHT = 0.1

# Among fewer remembered samples of a class votes bring too little for their time.
_FEWEST_OF_A_CLASS = 10

_DEFAULT_RELABELLING = Relabelling()

# Recorded by PML's record-keeper under ``collect_stats``. Not the names of properties: PML writes a
# 0 into each at the start of a forward.
_STATS = (
    "stat_noise_rate",
    "stat_share_trusted",
    "stat_share_relabelled",
    "stat_temperature",
    "stat_spread",
)

_OF_THE_WRAPPED_LOSS = ("distance", "reducer", "embedding_regularizer", "embedding_reg_weight")


class AdaptiveNoiseAwareLoss(WithQueues, pml_losses.BaseMetricLossFunction):
    """Filters likely mislabelled samples out of a PML loss, and learns which these are.

    A ``LabelNoiseModel`` learns beside the network how often labels are wrong. After the warm-up
    the wrapped loss sees the samples with a trust above ½, the probability that their label is
    right. An ``indices_tuple`` is filtered with them. Past samples make up for those left out. Once
    the noise rate has settled, doubtful samples are relabelled where that is safe
    (``Relabelling``). A ContrastiveLoss, SupConLoss or TripletMarginLoss gets AHSML's margins
    (``AdaptiveMargins``). With ``margins=None``, while everything is trusted, value and gradient
    are those of the wrapped loss to the last bit. The label model uses the loss's PoincareDistance;
    for any other distance it normalises embeddings. docs/method.md has the equations.

    Args:
        loss: the PML loss to wrap: a BaseMetricLossFunction that takes labels, a CrossBatchMemory
            (which then remembers trusted samples only) or a MultipleLosses.
        num_classes: K ≥ 2; labels must lie in [0, K).
        embedding_size: D of the embeddings.
        warmup: batches in which every label is trusted, ≥ 0; None for all batches, which leaves
            AHSML's margins and views without a label model. After 25 batches of 128 a class among
            150 has been seen some five times, and little has been learnt by heart.
        class_warmup: batches with a sample of a class before that class is judged, ≥ 1. With many
            classes some are rare in the warm-up.
        margins: "auto" for the default ``AdaptiveMargins()`` where they raised retrieval
            (ContrastiveLoss, SupConLoss, TripletMarginLoss; the distance must be a similarity or
            have a known maximum) and none elsewhere. Or ``AdaptiveMargins``, which work in 12
            losses and are an error in others. None leaves the loss as it is.
        relabel: a ``Relabelling``, or None for no relabelling. Labels are replaced only where the
            loss forms its pairs itself: not with an indices_tuple, nor in a CrossBatchMemory.
        replay_memory: number of past samples that stand in for those left out, without a gradient;
            0 or None for none. They take part where labels may be replaced, unless there is a
            ref_emb or a DoNothingReducer. "auto" is 1,024 with relabelling and none without.
        trust_threshold: in [0.5, 0.9999], the trust above which the loss sees a label as given,
            from when the noise rate has settled, and above which a past sample stands in. None
            leaves it at ½. "auto" is 0.8 with relabelling and None without: ``relabel=None`` alone
            turns off all three.
        num_views: V ≥ 1, augmented views of each sample in a batch. Rows i, i + N/V, … are views of
            one sample, as ``pml_ahsml.data.BatchGetter`` stacks them. They are judged as one; in a
            GenericPairLoss without an indices_tuple they are positives whatever their label says.
            Where rows are reordered, give ``view_ids`` to ``forward``. A DistributedLossWrapper
            reorders and passes none on: use ``sync``.
        class_counts: (K,) training samples per class, as labelled:
            ``labels.bincount(minlength=num_classes)``. Helps where classes differ in size and the
            sampler draws them alike. By default the labels seen are counted.
        neighbour_memory_size: recent samples kept for k-NN voting, ≥ 256, or 0 for none. Votes tell
            wrong labels from classes that lie in several places. 1,024 samples hold a hundred of
            each of ten classes. With more than a tenth as many classes there is no voting.
        sync: under plain DistributedDataParallel, learn from the samples of all ranks, so that all
            hold the same statistics. Leave it False inside a DistributedLossWrapper, which gathers
            all samples itself, unless that has efficient=True. Ranks may have batches of different
            lengths, or empty ones; all of them must take each step.
        **kwargs: of ``BaseMetricLossFunction``: collect_stats, which gives record-keeper the noise
            rate, share trusted, share relabelled, τ and σ as attributes ``stat_…``. Distance,
            reducer and regularizers belong to the wrapped loss.

    Attributes:
        loss: the wrapped loss.
        class_statistics: the ``ClassStatistics``, to share with a HierarchicalSimilarityMiner.
        noise_model: the ``LabelNoiseModel``.
        replay_memory: the ``ReplayMemory``, or None.

    Returns:
        ``forward(embeddings, labels, indices_tuple=None, ref_emb=None, ref_labels=None)``: what
        the reducer of the wrapped loss returns; a zero that touches its parameters where no sample
        is trusted.

    Raises:
        TypeError: for something that is no PML loss, or an unknown option.
        ValueError: for an option outside its range, a loss that cannot be wrapped, and in
            ``forward`` for bad shapes, labels outside [0, K), nan or inf, and rows whose norm
            float32 cannot hold; the state is as before.
        RuntimeError: with ``sync``, if another rank has raised an error; the state is as before.

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

    @renamed_keywords(neighbour_memory="neighbour_memory_size")
    def __init__(
        self,
        loss: torch.nn.Module,
        num_classes: int,
        embedding_size: int,
        *,
        warmup: int | None = 25,
        class_warmup: int = 3,
        margins: AdaptiveMargins | Literal["auto"] | None = "auto",
        relabel: Relabelling | None = _DEFAULT_RELABELLING,
        replay_memory: int | Literal["auto"] | None = "auto",
        trust_threshold: float | Literal["auto"] | None = "auto",
        num_views: int = 1,
        class_counts: Tensor | None = None,
        neighbour_memory_size: int = 1024,
        sync: bool = False,
        **kwargs: Any,
    ) -> None:
        wrapped_loss.check_loss(loss)
        num_classes = check_count("num_classes", num_classes, minimum=2)
        embedding_size = check_count("embedding_size", embedding_size, minimum=1)
        class_warmup = check_count("class_warmup", class_warmup, minimum=1)
        num_views = check_count("num_views", num_views, minimum=1)
        sync = check_flag("sync", sync)
        if kwargs.get("collect_stats") is not None:
            kwargs["collect_stats"] = check_flag("collect_stats", kwargs["collect_stats"])
        doubtful = DoubtfulSamples.of(relabel, replay_memory, trust_threshold)
        for name in _OF_THE_WRAPPED_LOSS:
            if name in kwargs:
                raise ValueError(
                    f"{name} must be given to the wrapped loss, got it for AdaptiveNoiseAwareLoss"
                )
        check_can_be_wrapped(loss, num_views)
        chosen_margins = choose_margins(margins, loss, num_views)
        noise_model = LabelNoiseModel(
            num_classes,
            warmup=warmup,
            class_counts=class_counts,
            neighbours=_neighbours(num_classes, embedding_size, neighbour_memory_size),
        )
        distance = getattr(wrapped_loss.inner_loss(loss), "distance", None)
        class_statistics = ClassStatistics(
            num_classes,
            embedding_size,
            distance,
            centred=not isinstance(distance, PoincareDistance),
        )
        super().__init__(**kwargs)
        # what the base class has just made; the properties below show the wrapped loss's own
        del self.distance, self.reducer
        self.loss = loss
        self.num_classes = num_classes
        self.embedding_size = embedding_size
        self.class_warmup = class_warmup
        self.margins = chosen_margins
        self._margins_wanted = margins
        self.needs_margins = isinstance(margins, AdaptiveMargins)
        self.doubtful_samples = doubtful
        self.num_views = num_views
        self.replay_memory = (
            ReplayMemory(doubtful.memory_size, embedding_size, num_classes)
            if doubtful.memory_size
            else None
        )
        self.sync = sync
        self.class_statistics = class_statistics
        self.noise_model = noise_model
        self.label_recurrence = LabelRecurrence()
        self.add_to_recordable_attributes(
            list_of_names=["num_classes", "embedding_size", "class_warmup", "num_views"],
            is_stat=False,
        )
        self.add_to_recordable_attributes(list_of_names=list(_STATS), is_stat=True)

    def __setattr__(self, name: str, value: Any) -> None:
        # a loss put in place of the first one must be as fit for it, and has margins of its own
        if name == "loss" and "loss" in self._modules:
            wrapped_loss.check_loss(value)
            check_can_be_wrapped(value, self.num_views)
            self._check_geometry(value)
            self.margins = choose_margins(self._margins_wanted, value, self.num_views)
        super().__setattr__(name, value)

    @property
    def distance(self) -> BaseDistance:
        """The distance of the wrapped loss."""
        return wrapped_loss.inner_loss(self.loss).distance

    @property
    def reducer(self) -> BaseReducer:
        """The reducer of the wrapped loss."""
        return wrapped_loss.inner_loss(self.loss).reducer

    @property
    def relabel(self) -> Relabelling | None:
        """Which doubtful samples get another label, or None for none of them."""
        return self.doubtful_samples.relabel

    @property
    def trust_threshold(self) -> float | None:
        """What trust in a label must exceed once the noise rate has settled; None for ½."""
        return self.doubtful_samples.trust_threshold

    @property
    def memory(self) -> ReplayMemory | None:
        """Deprecated name of ``replay_memory``."""
        warnings.warn(
            "memory is deprecated and has been renamed: use replay_memory",
            DeprecationWarning,
            stacklevel=2,
        )
        return self.replay_memory

    @property
    def noise_rate(self) -> float:
        """Estimated share of wrong labels in the batches seen; nan before the warm-up ends."""
        return self.noise_model.noise_rate

    @torch.compiler.disable  # guards on what is learnt would take minutes to make
    def forward(
        self,
        embeddings: Tensor,
        labels: Tensor | None = None,
        indices_tuple: IndicesTuple | None = None,
        ref_emb: Tensor | None = None,
        ref_labels: Tensor | None = None,
        enqueue_mask: Tensor | None = None,
        view_ids: Tensor | None = None,
    ) -> Any:
        """The wrapped loss on the trusted rows; on all rows where it does not learn.

        It learns in training mode with gradients enabled. In ``eval()``, under ``no_grad`` or
        ``inference_mode`` it is the wrapped loss on all rows as given and changes nothing, so that
        the loss of a validation batch compares with that of the plain loss; labels may be of
        other classes then.

        Args:
            embeddings: (N, D).
            labels: (N,) integers in [0, num_classes), as given; they may be wrong.
            indices_tuple: what a miner returned, or None.
            ref_emb: (M, D), or None; for losses that take references.
            ref_labels: (M,) labels of the references; without them all references are trusted.
            enqueue_mask: (N,) bool, for a wrapped CrossBatchMemory.
            view_ids: (N,) integers, rows that are views of one sample share theirs; by default
                the layout of ``num_views``.

        Returns:
            What the reducer of the wrapped loss returns.
        """
        if not (self.training and torch.is_grad_enabled()):
            return wrapped_loss.evaluate(
                self.loss, embeddings, labels, indices_tuple, ref_emb, ref_labels, enqueue_mask
            )
        with AllRanks(self.sync, embeddings) as ranks:
            batch = self._arguments().batch(
                embeddings, labels, indices_tuple, ref_emb, ref_labels, enqueue_mask, view_ids
            )
            check_not_transformed(embeddings)
            ranks.announce(batch.num_queries, has_view_ids=batch.view_ids is not None)
            self.reset_stats()
            # by centroids and parameters that have not seen these samples yet
            belief = self._believe(batch.embeddings, batch.labels, batch.view_ids)
            judgement = self._judge(belief)
            with wrapped_loss.undone(self.loss, len(batch.labels), only_on_error=True):
                plan = self._plan(batch, belief, judgement)
                output = run_plan(self.loss, plan, self._margins)
                if self.collect_stats:
                    self._record(batch, judgement)
                # last, so that a batch that the wrapped loss refuses has taught nothing
                self._learn(batch, belief, judgement, ranks)
        return output

    @torch.no_grad()
    def update(self, embeddings: Tensor, labels: Tensor, view_ids: Tensor | None = None) -> None:
        """Learn from a batch without a loss: from frozen embeddings, or for an audit of labels.

        The same as :meth:`forward` learns in training, in every mode and without gradients.

        Args:
            embeddings: (N, D).
            labels: (N,) integers in [0, num_classes), as given; they may be wrong.
            view_ids: (N,) integers, as of :meth:`forward`.

        Example:
            >>> from pytorch_metric_learning.losses import MultiSimilarityLoss
            >>> loss = AdaptiveNoiseAwareLoss(MultiSimilarityLoss(), 2, 2, warmup=1)
            >>> frozen, labels = torch.eye(2), torch.tensor([0, 1])
            >>> for _ in range(3):
            ...     loss.update(frozen, labels)
            >>> 0 < loss.noise_rate < 1
            True
        """
        with AllRanks(self.sync, embeddings) as ranks:
            batch = self._arguments().batch(embeddings, labels, view_ids=view_ids)
            ranks.announce(batch.num_queries, has_view_ids=batch.view_ids is not None)
            belief = self._believe(batch.embeddings, batch.labels, batch.view_ids)
            self._learn(batch, belief, self._judge(belief), ranks)

    @torch.no_grad()
    def trust(self, embeddings: Tensor, labels: Tensor) -> Tensor:
        """Probability that each label is right. Changes no state.

        Args:
            embeddings: (N, D).
            labels: (N,) integers in [0, num_classes), as given.

        Returns:
            (N,) in [0, 1]; 1 during the warm-up and for classes that are still in theirs.
        """
        labels = self._arguments().labels(embeddings, labels)
        return self._trust(self._believe(embeddings, labels))

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
        labels = self._arguments().labels(embeddings, labels)
        belief = self._believe(embeddings, labels)
        posterior = belief.evidence.for_all_classes(belief.posterior)
        return lp.taken_at_their_word(posterior, labels, self._in_warmup(labels))

    def class_divergence(self, classes: Tensor | Sequence[int] | None = None) -> Tensor:
        """Geodesic distances between class centroids.

        Args:
            classes: (C,) the classes wanted, all by default.

        Returns:
            (C, C) geodesic lengths; nan where a class has not been seen.
        """
        if classes is not None and not isinstance(classes, Tensor):
            wanted = to_tensor("classes", classes)
            # a list without classes is of no dtype
            classes = wanted if len(wanted) else wanted.long()
        return self.class_statistics.divergence(classes)

    def _arguments(self) -> Arguments:
        return Arguments(
            self.loss, self.num_classes, self.embedding_size, self.num_views, self.needs_margins
        )

    def _check_geometry(self, loss: torch.nn.Module) -> None:
        """Raise unless the class statistics fit the distance of another loss."""
        distance = getattr(wrapped_loss.inner_loss(loss), "distance", None)
        statistics = self.class_statistics
        wanted = statistics.distance if statistics.keeps_norm else None
        if (distance if isinstance(distance, PoincareDistance) else None) is not wanted:
            raise ValueError(
                "loss must have the PoincareDistance of the loss before it, or none if that had "
                f"none, as class statistics go by it, got {type(loss).__name__} with "
                f"{type(distance).__name__}"
            )

    @torch.no_grad()
    def _believe(
        self,
        embeddings: Tensor,
        labels: Tensor,
        view_ids: Tensor | None = None,
        beside: LabelPosterior | None = None,
    ) -> LabelPosterior:
        statistics = self.class_statistics.on(embeddings.device)
        evidence = statistics.evidence(embeddings, labels, view_ids)
        return self.noise_model.on(embeddings.device).believe(evidence, labels, beside)

    def _in_warmup(self, labels: Tensor) -> Tensor:
        """(N,) bool: the samples whose label is believed whatever the model says."""
        if not self.noise_model.is_warm:
            return torch.ones_like(labels, dtype=torch.bool)
        return self.class_statistics.visits[labels] < self.class_warmup

    def _trust(self, belief: LabelPosterior) -> Tensor:
        return belief.trust.masked_fill(self._in_warmup(belief.labels), 1)

    @torch.no_grad()
    def _judge(self, belief: LabelPosterior) -> Judgement:
        doubtful, model = self.doubtful_samples, self.noise_model
        # (what is not needed is not read from the device)
        has_settled = doubtful.waits_for_settling and model.is_warm and model.has_settled
        noise_rate = model.noise_rate if has_settled else None
        return doubtful.judge(belief, self._trust(belief), noise_rate)

    def _plan(self, batch: Batch, belief: LabelPosterior, judgement: Judgement) -> BatchPlan:
        """What the wrapped loss is going to see."""
        refs = None
        if batch.ref_emb is not None and batch.ref_labels is not None:
            refs = self._judge(self._believe(batch.ref_emb, batch.ref_labels, beside=belief))
        plan = plan_batch(self.loss, batch, judgement, refs)
        if not plan.takes_past:
            return plan
        return replace(plan, past=self._stand_ins(plan.batch, plan.keep, belief))

    def _record(self, batch: Batch, judgement: Judgement) -> None:
        relabelled = judgement.takes_part & (judgement.labels != batch.labels)
        values = (
            self.noise_rate,
            float(judgement.trusted.float().mean()),
            float(relabelled.float().mean()),
            self.noise_model.temperature,
            self.noise_model.spread,
        )
        for name, value in zip(_STATS, values, strict=True):
            setattr(self, name, value)

    def _margins(
        self, batch: Batch, takes_part: Tensor | None = None
    ) -> AbstractContextManager[None]:
        unlabelled = batch.ref_emb is not None and batch.ref_labels is None
        if self.margins is None or unlabelled:
            return nullcontext()
        statistics = self.class_statistics.on(batch.embeddings.device)
        return self.margins.inside(self.loss, batch, statistics, takes_part)

    @torch.no_grad()
    def _stand_ins(
        self, batch: Batch, keep: Tensor, belief: LabelPosterior
    ) -> tuple[Tensor, Tensor] | None:
        """Remembered rows that stand in for those left out, and their classes."""
        given = belief.labels
        if self.replay_memory is None:
            return None
        if bool((keep & (batch.labels == given)).all()):
            return None
        embeddings, labels = self.replay_memory.on(given.device).stand_ins(
            given, batch.labels[keep]
        )
        if len(labels):
            trust = self._trust(self._believe(embeddings, labels, beside=belief))
            trusted = self.doubtful_samples.may_stand_in(trust)
            embeddings, labels = embeddings[trusted], labels[trusted]
        return (embeddings.to(batch.embeddings), labels) if len(labels) else None

    @torch.no_grad()
    def _learn(
        self, batch: Batch, belief: LabelPosterior, judgement: Judgement, ranks: AllRanks
    ) -> None:
        embeddings, labels, view_ids = batch.embeddings.detach(), batch.labels, batch.view_ids
        if batch.enqueue_mask is not None:
            queries = ~batch.enqueue_mask
            embeddings, labels = embeddings[queries], labels[queries]
            view_ids = None if view_ids is None else view_ids[queries]
            belief, judgement = belief.select(queries), judgement.select(queries)
        if ranks.is_needed:
            embeddings, labels, view_ids = ranks.gather(embeddings, labels, view_ids)
            belief = self._believe(embeddings, labels, view_ids)
            judgement = self._judge(belief)
        # a CrossBatchMemory may have been given rows of which none is learnt from
        if len(embeddings) or len(batch.labels):
            self.count_change()
        if len(embeddings) == 0:
            return
        if self.replay_memory is not None and self.noise_model.is_warm:
            # relabelled samples stay out: a wrong guess would be confirmed by its own echo
            rows = judgement.takes_part & (judgement.labels == labels)
            if not ranks.is_needed:
                # the newest stand in for what is left out: on all ranks they must be the same
                rows = by_rank(rows)
            self.replay_memory.on(labels.device).push(embeddings[rows], labels[rows])
        was_warm = self.noise_model.is_warm
        self.noise_model.learn(belief)
        points = belief.evidence.points
        weights = torch.where(judgement.trusted, points.new_ones(()), _DISTRUSTED_WEIGHT)
        # before trust has been learnt, too, a class is where most of its samples are
        classes = cm.Groups.by(labels)
        weights = cm.robust_weights(points, classes, weights)
        self.class_statistics.learn(points, classes, weights)
        self.class_statistics.recentre(embeddings)
        # last, as a warning may be an error
        if was_warm:
            self.label_recurrence.on(labels.device).learn(belief)


def _neighbours(num_classes: int, embedding_size: int, size: int) -> NeighbourMemory | None:
    size = check_count("neighbour_memory_size", size, minimum=0)
    if 0 < size < SHORTEST_MEMORY:
        raise ValueError(
            f"neighbour_memory_size must be 0 or at least {SHORTEST_MEMORY}, got {size}"
        )
    if size < _FEWEST_OF_A_CLASS * num_classes:
        return None
    return NeighbourMemory(num_classes, embedding_size, size)
