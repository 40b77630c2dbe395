"""A wrapper that protects any PML loss from wrong labels."""

from collections.abc import Sequence
from typing import Any, Literal

import torch
from pytorch_metric_learning import losses as pml_losses
from pytorch_metric_learning.distances import BaseDistance
from pytorch_metric_learning.reducers import BaseReducer
from torch import Tensor

from ..checks import check_count, check_flag
from ..labels.label_posterior import LabelPosterior
from ..labels.label_recurrence import LabelRecurrence
from ..state.gather import AllRanks
from . import arguments, wrapped_loss
from .adaptive_margins import AdaptiveMargins, choose_margins, margins_inside
from .batch import Batch
from .batch_plan import run_plan
from .doubtful_samples import DoubtfulSamples
from .judgement import Judgement
from .label_judge import LabelJudge
from .label_reports import WithLabelReports
from .learning import learn, samples_to_learn
from .planning import plan_with_past
from .queue_positions import WithQueues
from .recorded_stats import STATS, recorded_stats
from .relabelling import Relabelling
from .renamed_keywords import renamed_keywords
from .row_selection import IndicesTuple
from .sample_identity import WithSampleIds, ids_of_call

_DEFAULT_RELABELLING = Relabelling()


class AdaptiveNoiseAwareLoss(
    WithSampleIds, WithLabelReports, WithQueues, pml_losses.BaseMetricLossFunction
):
    """Filters likely mislabelled samples out of a PML loss.

    A ``LabelNoiseModel``, trained alongside the network, learns how often labels are wrong. Trust
    is the probability that a label is right. After the warm-up the wrapped loss sees the samples
    with trust above ½; an ``indices_tuple`` is filtered to match. Past samples replace those left
    out. Once the noise rate has settled, doubtful samples are relabelled where that is safe. Some
    losses get AHSML's margins. With ``margins=None, relabel=None`` and all labels trusted, value
    and gradient equal those of the wrapped loss bit for bit. See docs/method.md for each option.

    Args:
        loss: a BaseMetricLossFunction that takes labels, a CrossBatchMemory or a MultipleLosses.
        num_classes: K ≥ 2; labels must lie in [0, K).
        embedding_size: D.
        num_samples: training set size S. If given, every call that learns needs ``sample_ids``.
        noise_rate: least share of wrong labels, in [0, 0.9], if known: as many are left out.
        clean_ids: (M,) ids of samples whose labels are known to be right, used as given.
        warmup: batches in which all labels are trusted, ≥ 0; None never uses the label model.
        class_warmup: batches that must contain a class before its labels are judged, ≥ 1.
        margins: ``AdaptiveMargins``, None, or "auto" for defaults where they improved retrieval.
        relabel: a ``Relabelling``, or None for no relabelling.
        replay_memory: number of past samples kept to replace those left out, 0 or None for none.
            "auto" is 1,024 with relabelling and none without.
        trust_threshold: in [0.5, 0.9999], the trust a label must exceed to be used as given once
            the noise rate has settled, and a past sample to be replayed; None for ½. "auto" is 0.8
            with relabelling and None without, so ``relabel=None`` alone turns off all three.
        num_views: V ≥ 1, views per sample, judged together: rows i, i + N/V, … of a batch, unless
            ``forward`` is given ``view_ids``.
        class_counts: (K,) training samples per label; by default, labels are counted as seen.
        neighbour_memory_size: recent samples kept for k-NN voting, ≥ 256, or 0 for none.
        sync: learn from the samples of all ranks, under plain DistributedDataParallel.
        **kwargs: of ``BaseMetricLossFunction``: collect_stats records the attributes ``stat_…``.

    Attributes:
        loss: the wrapped loss.
        class_statistics: the ``ClassStatistics``, to share with a HierarchicalSimilarityMiner.
        noise_model: the ``LabelNoiseModel``; ``replay_memory``: the ``ReplayMemory``, or None.

    Raises:
        TypeError, ValueError: if the loss cannot be wrapped, an option is unknown or out of range,
            or ``forward`` cannot learn from its arguments.
        RuntimeError: with ``sync``, if another rank raised an error. No error changes the state.

    Source:
        AHSML: wrapping any pair-based loss, and judging labels by class-wise divergence.

    Example:
        >>> from pytorch_metric_learning.losses import MultiSimilarityLoss
        >>> loss = AdaptiveNoiseAwareLoss(MultiSimilarityLoss(), num_classes=10, embedding_size=8)
        >>> embeddings, labels = torch.randn(32, 8, requires_grad=True), torch.arange(32) % 10
        >>> loss(embeddings, labels).backward()
        >>> loss.noise_rate  # unknown until the warm-up ends
        nan
    """

    # a subclass may build other parts, as the ablation in benchmarks/noise/methods.py does
    _new_noise_model = staticmethod(arguments.new_noise_model)
    _new_statistics = staticmethod(arguments.new_statistics)

    @renamed_keywords(neighbour_memory="neighbour_memory_size")
    def __init__(
        self,
        loss: torch.nn.Module,
        num_classes: int,
        embedding_size: int,
        *,
        num_samples: int | None = None,
        noise_rate: float | None = None,
        clean_ids: Tensor | Sequence[int] | None = None,
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
        if num_samples is not None:
            num_samples = check_count("num_samples", num_samples, minimum=1)
        kwargs = arguments.check_base_options(kwargs)
        doubtful = DoubtfulSamples.of(relabel, replay_memory, trust_threshold)
        arguments.check_can_be_wrapped(loss, num_views)
        chosen_margins = choose_margins(margins, loss, num_views)
        sizes = num_classes, embedding_size
        noise_model = self._new_noise_model(
            *sizes, neighbour_memory_size, warmup, class_counts, noise_rate, num_samples, clean_ids
        )
        class_statistics = self._new_statistics(loss, *sizes)
        super().__init__(**kwargs)
        # made by the base class; the properties below return those of the wrapped loss
        del self.distance, self.reducer
        self.loss = loss
        self.num_classes = num_classes
        self.embedding_size = embedding_size
        self.num_samples = num_samples
        self.class_warmup = class_warmup
        self.margins = chosen_margins
        self._margins_wanted = margins
        self.needs_margins = isinstance(margins, AdaptiveMargins)
        self.doubtful_samples = doubtful
        self.num_views = num_views
        self.replay_memory = doubtful.new_memory(embedding_size, num_classes)
        self.sync = sync
        self.class_statistics = class_statistics
        self.noise_model = noise_model
        self.label_recurrence = LabelRecurrence()
        options = ["num_classes", "embedding_size", "class_warmup", "num_views"]
        self.add_to_recordable_attributes(list_of_names=options, is_stat=False)
        self.add_to_recordable_attributes(list_of_names=list(STATS), is_stat=True)

    def __setattr__(self, name: str, value: Any) -> None:
        # a replacement loss must pass the same checks, and gets its own margins
        if name == "loss" and "loss" in self._modules:
            wrapped_loss.check_loss(value)
            arguments.check_can_be_wrapped(value, self.num_views)
            arguments.check_same_geometry(value, self.class_statistics)
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

    @torch.compiler.disable  # guards on the learnt state would take minutes to compile
    def forward(
        self,
        embeddings: Tensor,
        labels: Tensor | None = None,
        indices_tuple: IndicesTuple | None = None,
        ref_emb: Tensor | None = None,
        ref_labels: Tensor | None = None,
        enqueue_mask: Tensor | None = None,
        view_ids: Tensor | None = None,
        sample_ids: Tensor | None = None,
    ) -> Any:
        """Compute the wrapped loss on the trusted rows, and learn from the batch.

        Learning needs training mode with gradients enabled. In ``eval()``, or under ``no_grad`` or
        ``inference_mode``, the wrapped loss sees all rows as given, and nothing changes. Labels may
        then be of other classes.

        Args:
            embeddings: (N, D).
            labels: (N,) integers in [0, num_classes), as given; they may be wrong.
            indices_tuple: what a miner returned, or None.
            ref_emb: (M, D), or None; for losses that take references.
            ref_labels: (M,) labels of the references; without them all references are trusted.
            enqueue_mask: (N,) bool, for a wrapped CrossBatchMemory.
            view_ids: (N,) one id for all views of a sample; by default the layout of ``num_views``.
            sample_ids: (N,) integers in [0, num_samples), rows of the training set; by default
                those passed on by a ``BatchGetter(loss)``.

        Returns:
            What the reducer of the wrapped loss returns; zero if no sample is trusted.
        """
        handed_over = self._take_next()
        if not (self.training and torch.is_grad_enabled()):
            return wrapped_loss.evaluate(
                self.loss, embeddings, labels, indices_tuple, ref_emb, ref_labels, enqueue_mask
            )
        with AllRanks(self.sync, embeddings) as ranks:
            batch = self._arguments().batch(
                embeddings,
                labels,
                indices_tuple,
                ref_emb,
                ref_labels,
                enqueue_mask,
                view_ids,
                ids_of_call(sample_ids, handed_over, embeddings),
            )
            arguments.check_not_transformed(embeddings)
            ranks.announce(batch.num_queries, batch.ids)
            arguments.find_scale(self.loss, batch.embeddings)
            self.reset_stats()
            # judge with centroids and parameters that have not seen these samples yet
            judge = self._judge()
            belief = judge.believe(batch.embeddings, batch.labels, batch.ids, groups=batch.groups)
            judgement = judge.judge(belief)
            margins = margins_inside(self.loss, self.margins, self.class_statistics)
            with wrapped_loss.undone(self.loss, len(batch.labels), only_on_error=True):
                plan = plan_with_past(self.loss, batch, judgement, judge, self.replay_memory)
                output = run_plan(self.loss, plan, margins)
                if self.collect_stats:
                    for name, number in recorded_stats(batch, judgement, self.noise_model).items():
                        setattr(self, name, number)
                # last, so that nothing is learnt from a batch that the wrapped loss refuses
                self._learn(batch, belief, judgement, ranks)
        return output

    @torch.no_grad()
    def update(
        self,
        embeddings: Tensor,
        labels: Tensor,
        sample_ids: Tensor | None = None,
        view_ids: Tensor | None = None,
    ) -> None:
        """Learn from a batch without computing a loss, for frozen embeddings or label audits.

        Takes the arguments of :meth:`forward` and learns what it would learn in training, in any
        mode and without gradients.

        Example:
            >>> loss = AdaptiveNoiseAwareLoss(pml_losses.MultiSimilarityLoss(), 2, 2, warmup=1)
            >>> for _ in range(3):
            ...     loss.update(torch.eye(2), torch.tensor([0, 1]))
            >>> 0 < loss.noise_rate < 1
            True
        """
        sample_ids = ids_of_call(sample_ids, self._take_next(), embeddings)
        with AllRanks(self.sync, embeddings) as ranks:
            batch = self._arguments().batch(
                embeddings, labels, view_ids=view_ids, sample_ids=sample_ids
            )
            ranks.announce(batch.num_queries, batch.ids)
            arguments.find_scale(self.loss, batch.embeddings)
            judge = self._judge()
            belief = judge.believe(batch.embeddings, batch.labels, batch.ids, groups=batch.groups)
            self._learn(batch, belief, judge.judge(belief), ranks)

    def _arguments(self) -> arguments.Arguments:
        return arguments.Arguments(
            self.loss,
            self.num_classes,
            self.embedding_size,
            self.num_views,
            self.needs_margins,
            self.num_samples,
            self,
        )

    def _judge(self) -> LabelJudge:
        return LabelJudge(
            self.class_statistics, self.noise_model, self.class_warmup, self.doubtful_samples
        )

    def _learn(
        self, batch: Batch, belief: LabelPosterior, judgement: Judgement, ranks: AllRanks
    ) -> None:
        samples = samples_to_learn(batch, belief, judgement, self._judge(), ranks)
        with self.counting_together():
            # a CrossBatchMemory may have enqueued rows even if nothing is learnt from them
            if len(samples.embeddings) or len(batch.labels):
                self.count_change()
            if len(samples.embeddings):
                learn(samples, self._judge(), self.replay_memory, self.label_recurrence)
