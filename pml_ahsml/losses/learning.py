"""Update the state of the wrapper from a batch."""

from dataclasses import dataclass

import torch
from torch import Tensor

from ..classes import class_means as cm
from ..classes.class_statistics import ClassStatistics
from ..labels.label_posterior import LabelPosterior
from ..labels.label_recurrence import LabelRecurrence
from ..state.gather import AllRanks, by_rank, is_distributed
from ..state.host_numbers import rows_where
from .batch import Batch
from .judgement import Judgement
from .label_judge import LabelJudge
from .replay_memory import ReplayMemory

# Weight of a distrusted sample in its class mean. With 0, a class whose samples are all distrusted
# for a while could never recover.
_DISTRUSTED_WEIGHT = 0.1


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


@torch.no_grad()
def learn(
    samples: Samples,
    judge: LabelJudge,
    memory: ReplayMemory | None,
    recurrence: LabelRecurrence,
) -> None:
    """Learn from judged samples.

    Args:
        samples: samples of this step, N ≥ 1.
        judge: holds the label model and the class statistics.
        memory: past samples that replace others, or None.
        recurrence: detects labels that are not classes.
    """
    was_warm = judge.model.is_warm
    if memory is not None and was_warm:
        _remember(memory, samples)
    # where the model is used for all rows, it trusts by itself those that are trusted
    is_used = samples.judgement.num_not_judged == 0
    judge.model.learn(samples.belief, samples.judgement.trusted if is_used else None)
    _learn_classes(judge.statistics, samples)
    # last, because its warning may be raised as an error
    if was_warm:
        recurrence.on(samples.embeddings.device).learn(samples.belief)


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
