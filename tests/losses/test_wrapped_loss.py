import pytest
import torch
from pytorch_metric_learning import losses, reducers

from pml_ahsml import AdaptiveNoiseAwareLoss, PoincareDistance
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
def test_refuses_losses_that_cannot_work_on_part_of_a_batch(loss, error, message):
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


class Own(losses.BaseMetricLossFunction):
    """A loss of a user's own, with the arguments that PML's trainers give."""

    def forward(self, embeddings, labels, indices_tuple=None):
        return (embeddings.sum(1) * labels).mean()


class OfAnything(Own):
    def forward(self, *args):
        return super().forward(*args[:3])


def test_a_loss_with_three_arguments_is_called_with_three():
    rng = torch.Generator().manual_seed(0)
    batch = Batch(torch.randn(4, 4, generator=rng), LABELS)
    expected = (batch.embeddings.sum(1) * LABELS).mean()
    assert torch.equal(wrapped_loss.call(Own(), batch), expected)
    for loss in (Own(), losses.MultipleLosses([Own()])):
        wrapper = AdaptiveNoiseAwareLoss(loss, 2, 4)
        assert torch.equal(wrapper(batch.embeddings, LABELS), expected)
        assert torch.equal(wrapper.eval()(batch.embeddings, LABELS), expected)


def test_references_are_for_losses_that_take_them():
    for loss in (losses.ContrastiveLoss(), losses.ProxyAnchorLoss(2, 4), OfAnything()):
        wrapped_loss.check_takes_references(loss)
    for loss in (Own(), losses.CrossBatchMemory(losses.ContrastiveLoss(), 4)):
        with pytest.raises(ValueError, match=f"ref_emb must be None where {type(loss).__name__}"):
            wrapped_loss.check_takes_references(loss)


def test_the_wrapped_loss_may_be_replaced():
    wrapper = AdaptiveNoiseAwareLoss(losses.ContrastiveLoss(), 2, 4)
    assert wrapper.margins is not None
    e = torch.randn(4, 4)
    wrapper.loss = losses.CrossBatchMemory(losses.ContrastiveLoss(), 4)
    assert wrapper.margins is None
    assert wrapper(e, LABELS).isfinite()
    wrapper.loss = losses.SupConLoss()
    assert wrapper.margins is not None
    assert wrapper(e, LABELS).isfinite()


@pytest.mark.parametrize(
    ("loss", "error", "message"),
    [
        (torch.nn.MSELoss(), TypeError, "loss must be a loss of pytorch-metric-learning"),
        (losses.VICRegLoss(), ValueError, "must be one that takes labels"),
        (AdaptiveNoiseAwareLoss(losses.NCALoss(), 2, 4), ValueError, "not be wrapped already"),
        (
            losses.ContrastiveLoss(distance=PoincareDistance()),
            ValueError,
            "loss must have the hyperbolic distance of the loss before it",
        ),
    ],
)
def test_an_unsuitable_replacement_is_refused(loss, error, message):
    wrapper = AdaptiveNoiseAwareLoss(losses.ContrastiveLoss(), 2, 4)
    before, margins = wrapper.loss, wrapper.margins
    with pytest.raises(error, match=message):
        wrapper.loss = loss
    assert wrapper.loss is before
    assert wrapper.margins is margins


def test_pairs_without_labels_are_for_the_plain_loss():
    loss, e = losses.ContrastiveLoss(), torch.randn(4, 4)
    mined = (torch.tensor([0]), torch.tensor([1]), torch.tensor([0]), torch.tensor([2]))
    assert loss(e, indices_tuple=mined).isfinite()
    wrapper = AdaptiveNoiseAwareLoss(loss, 2, 4, margins=None)
    with pytest.raises(ValueError, match="without labels use the loss without the wrapper"):
        wrapper(e, indices_tuple=mined)
    assert torch.equal(wrapper.eval()(e, indices_tuple=mined), loss(e, indices_tuple=mined))
