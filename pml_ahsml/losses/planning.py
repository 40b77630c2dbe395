"""Plan a batch, with past samples in place of rows that are left out."""

from dataclasses import replace

import torch
from torch import Tensor

from ..state.host_numbers import rows_where
from .batch import Batch
from .batch_plan import BatchPlan, plan_batch
from .judgement import Judgement
from .label_judge import LabelJudge
from .replay_memory import ReplayMemory


def plan_with_past(
    loss: torch.nn.Module,
    batch: Batch,
    judgement: Judgement,
    judge: LabelJudge,
    memory: ReplayMemory | None,
) -> BatchPlan:
    """Decide what the wrapped loss sees, past samples included.

    Args:
        loss: the wrapped loss.
        batch: the batch as given.
        judgement: decisions about its rows.
        judge: judges references and past samples.
        memory: past samples that were trusted, or None.
    """
    refs = None
    if batch.ref_emb is not None and batch.ref_labels is not None:
        refs = judge.judge(judge.believe(batch.ref_emb, batch.ref_labels))
    plan = plan_batch(loss, batch, judgement, refs)
    if memory is None or not plan.takes_past:
        return plan
    return replace(plan, past=_stand_ins(plan, batch.labels, judgement, judge, memory))


@torch.no_grad()
def _stand_ins(
    plan: BatchPlan,
    given: Tensor,
    judgement: Judgement,
    judge: LabelJudge,
    memory: ReplayMemory,
) -> tuple[Tensor, Tensor] | None:
    """(V, D) embeddings and (V,) classes; None if no row is missing or no sample is trusted."""
    if judgement.num_as_given == len(given):
        return None
    kept = plan.batch.labels[plan.selection.query_rows]
    embeddings, labels, groups = memory.on(given.device).stand_ins(given, kept)
    if len(labels):
        past = judge.believe(embeddings, labels, groups=groups)
        trusted = rows_where(judge.may_stand_in(past))
        embeddings, labels = embeddings[trusted], labels[trusted]
    return (embeddings.to(plan.batch.embeddings), labels) if len(labels) else None
