from dataclasses import replace

import torch
from pytorch_metric_learning import losses, reducers

from pml_ahsml.classes.class_means import Groups
from pml_ahsml.losses.batch import Batch
from pml_ahsml.losses.batch_plan import plan_batch
from pml_ahsml.losses.judgement import Judgement

GIVEN = torch.tensor([0, 0, 1, 1])
BELIEVED = torch.tensor([0, 1, 1, 1])  # the second row is relabelled, the last is left out
JUDGED = Judgement(
    trust=torch.tensor([0.9, 0.1, 0.9, 0.1]),
    takes_part=torch.tensor([True, True, True, False]),
    labels=BELIEVED,
    as_given=torch.tensor([True, False, True, False]),
    relabels=True,
)
MINED = (torch.tensor([0]), torch.tensor([1]), torch.tensor([2]))


def batch(**others) -> Batch:
    return Batch(torch.zeros(4, 2), GIVEN, **others)


def test_a_loss_that_forms_its_pairs_sees_relabelled_rows():
    plan = plan_batch(losses.ContrastiveLoss(), batch(), JUDGED, None)
    assert plan.batch.labels.tolist() == [0, 1, 1, 1]
    assert plan.keep.tolist() == [True, True, True, False]
    assert plan.keep_refs is None
    assert plan.takes_past
    assert plan.past is None


def test_groups_by_label_are_those_of_the_labels_that_the_loss_sees():
    groups, loss = Groups.by(GIVEN), losses.ContrastiveLoss()
    assert plan_batch(loss, batch(groups=groups), JUDGED, None).batch.groups is None
    # relabelling has begun, but no label of this batch has changed
    unchanged = replace(JUDGED, labels=GIVEN)
    assert plan_batch(loss, batch(groups=groups), unchanged, None).batch.groups is groups


def test_pairs_that_were_mined_and_memories_go_by_the_labels_as_given():
    memory = losses.CrossBatchMemory(losses.ContrastiveLoss(), 2)
    for loss, others in ((losses.ContrastiveLoss(), {"indices_tuple": MINED}), (memory, {})):
        plan = plan_batch(loss, batch(**others), JUDGED, None)
        assert torch.equal(plan.batch.labels, GIVEN)
        assert plan.keep.tolist() == [True, False, True, False]
        assert not plan.takes_past


def test_references_are_judged_on_their_own_or_all_kept():
    loss, refs = losses.ContrastiveLoss(), torch.zeros(4, 2)
    plan = plan_batch(loss, batch(ref_emb=refs, ref_labels=GIVEN), JUDGED, JUDGED)
    assert plan.keep_refs.tolist() == [True, True, True, False]
    assert torch.equal(plan.batch.ref_labels, BELIEVED)
    assert not plan.takes_past
    plan = plan_batch(loss, batch(ref_emb=refs), JUDGED, None)
    assert plan.keep_refs.tolist() == [True] * 4


def test_past_samples_have_no_place_in_unreduced_losses():
    loss = losses.ContrastiveLoss(reducer=reducers.DoNothingReducer())
    assert not plan_batch(loss, batch(), JUDGED, None).takes_past
