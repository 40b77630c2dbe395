"""Update the state of the wrapper from a batch: what is learnt, and when.

At every batch samples are remembered: those that are replayed, those that vote as neighbours, and
with sample ids where each sample lay and what was thought of it. Statistics of the classes and
parameters of the label model hardly move once the noise rate has settled. From then on they learn
from one batch in a few.
"""

from dataclasses import dataclass
from random import Random

import torch
from torch import Tensor

from ..classes import class_means as cm
from ..classes.class_statistics import ClassStatistics
from ..labels.label_noise_model import LabelNoiseModel
from ..labels.label_posterior import LabelPosterior
from ..labels.label_recurrence import LabelRecurrence
from ..state.gather import AllRanks, by_rank, is_distributed
from ..state.host_numbers import rows_where
from ..state.module_with_tables import ModuleWithTables
from .batch import Batch
from .judgement import Judgement
from .label_judge import LabelJudge
from .replay_memory import ReplayMemory

# Weight of a distrusted sample in its class mean. With 0, a class whose samples are all distrusted
# for a while could never recover.
_DISTRUSTED_WEIGHT = 0.1

# Once the noise rate has settled, one batch in this many is learnt from. Decays are then by batch
# learnt from: as many samples are averaged as before, over a longer time.
LEARN_EVERY = 2


@dataclass(frozen=True)
class Samples:
    """Judged samples to learn from.

    Args:
        embeddings: (N, D), without a gradient.
        belief: the label model's posterior for them.
        judgement: decisions about them.
        are_of_all_ranks: whether they were gathered from all ranks.
    """

    embeddings: Tensor
    belief: LabelPosterior
    judgement: Judgement
    are_of_all_ranks: bool


@torch.no_grad()
def samples_to_learn(
    batch: Batch, belief: LabelPosterior, judgement: Judgement, judge: LabelJudge, ranks: AllRanks
) -> Samples:
    """Return the rows of a batch that are not merely enqueued, of all ranks if needed.

    Args:
        batch: the batch as given.
        belief: the label model's posterior for it.
        judgement: decisions about its rows.
        judge: judges the rows of all ranks.
        ranks: the ranks in this step.
    """
    embeddings, labels, ids = batch.embeddings.detach(), batch.labels, batch.ids
    if batch.enqueue_mask is not None:
        queries = ~batch.enqueue_mask
        embeddings, labels = embeddings[queries], labels[queries]
        ids = {name: None if of is None else of[queries] for name, of in ids.items()}
        belief, judgement = belief.select(queries), judgement.select(queries)
    if ranks.is_needed:
        embeddings, labels, ids = ranks.gather(embeddings, labels, ids)
        belief = judge.believe(embeddings, labels, ids)
        judgement = judge.judge(belief)
    return Samples(embeddings, belief, judgement, ranks.is_needed)


class WithLearning(ModuleWithTables):
    """Learns from the batches of a wrapper."""

    replay_memory: ReplayMemory | None
    label_recurrence: LabelRecurrence

    def _judge(self) -> LabelJudge:
        raise NotImplementedError

    def _learn(
        self,
        batch: Batch,
        belief: LabelPosterior,
        judgement: Judgement,
        ranks: AllRanks,
        *,
        from_every_batch: bool = False,
    ) -> None:
        samples = samples_to_learn(batch, belief, judgement, self._judge(), ranks)
        with self.counting_together():
            # a CrossBatchMemory may have enqueued rows even if nothing is learnt from them
            if len(samples.embeddings) or len(batch.labels):
                self.count_change()
            if len(samples.embeddings):
                parts = self._judge(), self.replay_memory, self.label_recurrence
                learn(samples, *parts, from_every_batch=from_every_batch)


@torch.no_grad()
def learn(
    samples: Samples,
    judge: LabelJudge,
    memory: ReplayMemory | None,
    recurrence: LabelRecurrence,
    *,
    from_every_batch: bool,
) -> None:
    """Remember judged samples, and learn from them if it is time.

    Args:
        samples: samples of this step, N ≥ 1.
        judge: holds the label model and the class statistics.
        memory: past samples that replace others, or None.
        recurrence: detects labels that are not classes.
        from_every_batch: whether it is always time.
    """
    was_warm = judge.model.is_warm
    if memory is not None and was_warm:
        _remember(memory, samples)
    if not (from_every_batch or is_time_to_learn(judge.model, samples.judgement)):
        judge.model.remember(samples.belief)
        return
    # where the model is used for all rows, it trusts by itself those that are trusted
    is_used = samples.judgement.num_not_judged == 0
    judge.model.learn(samples.belief, samples.judgement.trusted if is_used else None)
    _learn_classes(judge.statistics, samples)
    # last, because its warning may be raised as an error
    if was_warm:
        recurrence.on(samples.embeddings.device).learn(samples.belief)


def is_time_to_learn(model: LabelNoiseModel, judgement: Judgement) -> bool:
    """Whether to learn from a batch, beyond remembering its samples.

    Always before the noise rate has settled, and from classes that are not judged yet.

    Args:
        model: the label model.
        judgement: decisions about the batch.
    """
    if judgement.num_not_judged != 0 or not model.has_settled:
        return True
    return is_one_of(LEARN_EVERY, model.batches)


def is_one_of(count: int, number: int) -> bool:
    """Whether a number is the one that is chosen of each ``count`` in a row.

    Which one is drawn by chance, always the same. If it were every second batch, an epoch of an
    even number of batches in a fixed order would teach the same half of the samples each time.

    Args:
        count: at least 1.
        number: at least 0.

    Example:
        >>> [number for number in range(12) if is_one_of(4, number)]
        [3, 4, 11]
    """
    row, place = divmod(number, count)
    return int(Random(row).random() * count) == place


def _remember(memory: ReplayMemory, samples: Samples) -> None:
    """Remember the samples that take part with their given label.

    Relabelled samples are left out: a wrong guess would confirm itself.
    """
    judgement, embeddings = samples.judgement, samples.embeddings
    labels = samples.belief.labels
    if judgement.num_as_given != len(labels) or is_distributed():
        # the newest samples are replayed, so their order must be the same on all ranks
        in_order = rows_where if samples.are_of_all_ranks else by_rank
        rows = in_order(judgement.as_given, judgement.num_as_given)
        embeddings, labels = embeddings[rows], labels[rows]
    memory.on(labels.device).push(embeddings, labels)


def _learn_classes(statistics: ClassStatistics, samples: Samples) -> None:
    """Move the class means towards the samples, weighted by the trust in their labels."""
    evidence = samples.belief.evidence
    points = evidence.points
    weights = samples.judgement.trusted.to(points).clamp_min_(_DISTRUSTED_WEIGHT)
    # even before any trust has been learnt, a class is where most of its samples are
    classes = evidence.groups or cm.Groups.by(samples.belief.labels)
    weights = cm.robust_weights(points, classes, weights)
    if evidence.directions is not None:
        statistics.recentre(evidence.directions)
    statistics.learn(points, classes, weights)
