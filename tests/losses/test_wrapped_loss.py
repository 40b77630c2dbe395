import pytest
import torch
from pytorch_metric_learning import losses, reducers

from pml_ahsml.losses import wrapped_loss
from pml_ahsml.losses.batch import Batch

LABELS = torch.tensor([0, 0, 1, 1])


@pytest.mark.parametrize(
    "loss",
    [
        losses.ContrastiveLoss(),
        losses.CrossBatchMemory(losses.ContrastiveLoss(), 4),
        losses.MultipleLosses([losses.ContrastiveLoss(), losses.FastAPLoss()]),
        losses.MultipleLosses({"a": losses.ProxyAnchorLoss(2, 4)}),
    ],
)
def test_accepts_what_takes_labels(loss):
    wrapped_loss.check_loss(loss)


@pytest.mark.parametrize(
    ("loss", "error", "message"),
    [
        (torch.nn.MSELoss(), TypeError, "loss must be a loss of pytorch-metric-learning .*MSELoss"),
        (losses.SelfSupervisedLoss(losses.SupConLoss()), TypeError, "got SelfSupervisedLoss"),
        (losses.VICRegLoss(), ValueError, "must be one that takes labels, got VICRegLoss"),
        (losses.ManifoldLoss(l=4), ValueError, "must be one that takes labels, got ManifoldLoss"),
        (losses.MultipleLosses([losses.SmoothAPLoss()]), ValueError, "FastAPLoss does"),
    ],
)
def test_refuses_what_cannot_do_with_a_part_of_a_batch(loss, error, message):
    with pytest.raises(error, match=message):
        wrapped_loss.check_loss(loss)


def test_finds_the_loss_that_owns_distance_and_reducer():
    loss = losses.ContrastiveLoss(reducer=reducers.DoNothingReducer())
    memory = losses.CrossBatchMemory(loss, 4)
    assert wrapped_loss.inner_loss(memory) is wrapped_loss.inner_loss(loss) is loss
    assert wrapped_loss.is_unreduced(memory)
    assert not wrapped_loss.is_unreduced(losses.ContrastiveLoss())


def rows(start, stop, **others) -> Batch:
    return Batch(torch.zeros(stop - start, 4), LABELS[start:stop], **others)


def test_says_when_a_loss_would_break():
    pair, nca = losses.ContrastiveLoss(), losses.NCALoss()
    assert wrapped_loss.would_break(pair, rows(0, 0))
    assert not wrapped_loss.would_break(pair, rows(1, 3))
    assert wrapped_loss.would_break(nca, rows(1, 3))
    assert not wrapped_loss.would_break(nca, rows(1, 3, ref_labels=LABELS))
    assert not wrapped_loss.would_break(losses.ProxyNCALoss(2, 4), rows(1, 3))
    memory = losses.CrossBatchMemory(pair, 4, memory_size=8)
    nothing_to_enqueue = rows(0, 4, enqueue_mask=torch.zeros(4, dtype=torch.bool))
    assert wrapped_loss.would_break(memory, nothing_to_enqueue)
    memory.has_been_filled = True
    assert not wrapped_loss.would_break(memory, nothing_to_enqueue)


def test_zero_reaches_every_trained_parameter():
    loss = losses.MultipleLosses([losses.ProxyAnchorLoss(2, 4), losses.ProxyNCALoss(2, 4)])
    frozen = loss.losses[1].proxies.requires_grad_(False)
    embeddings = torch.full((4, 4), 6e4, dtype=torch.float16, requires_grad=True)
    value = wrapped_loss.zero(loss, embeddings)
    value.backward()
    assert value == 0
    assert (embeddings.grad == 0).all()
    assert (loss.losses[0].proxies.grad == 0).all()
    assert frozen.grad is None
