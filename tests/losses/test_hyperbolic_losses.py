"""A wrapped loss with a LorentzSimilarity: one geometry and one scale for all parts."""

import pytest
import torch
from pytorch_metric_learning import losses
from pytorch_metric_learning.distances import CosineSimilarity

from pml_ahsml import (
    AdaptiveMargins,
    AdaptiveNoiseAwareLoss,
    HierarchicalSimilarityMiner,
    LorentzSimilarity,
)

LABELS = torch.arange(6).repeat_interleave(4)


def batch(size: float = 0.05) -> torch.Tensor:
    return (size * torch.randn(24, 8)).requires_grad_()


def wrapped(distance, **options) -> AdaptiveNoiseAwareLoss:
    return AdaptiveNoiseAwareLoss(losses.MultiSimilarityLoss(distance=distance), 6, 8, **options)


def test_the_first_batch_is_judged_at_the_scale_that_it_is_trained_at():
    loss, e = wrapped(LorentzSimilarity()), batch()
    loss(e, LABELS)
    scale = loss.distance.scale
    assert scale > 10
    assert loss.class_statistics.distance is loss.distance
    # the rows lie at norms of some 0.14: without the scale the time coordinate would be 1.004
    assert loss.class_statistics.means[:, 0].min() > 1.5


def test_learning_without_a_loss_finds_the_scale():
    loss = wrapped(LorentzSimilarity())
    loss.update(batch().detach(), LABELS)
    assert loss.distance.learnt_scale.is_found


@pytest.mark.parametrize("margins", [None, AdaptiveMargins(), AdaptiveMargins(scope="running")])
def test_far_out_the_wrapper_does_what_it_does_with_a_cosine(margins):
    # margins are offsets of the similarity, in its own orientation
    values = []
    for distance in (LorentzSimilarity(scale=1e4), CosineSimilarity()):
        torch.manual_seed(0)
        loss = wrapped(distance, margins=margins)
        loss.class_statistics.centred = False  # as it is with a hyperbolic distance
        e = batch()
        first = loss(e, LABELS)
        second = loss(e, LABELS)
        values.append((first, second, *torch.autograd.grad(second, e)))
    for ours, cosine in zip(*values, strict=True):
        torch.testing.assert_close(ours, cosine, rtol=1e-4, atol=1e-5)


def test_the_scale_is_resumed_with_the_wrapper():
    loss = wrapped(LorentzSimilarity())
    loss(batch(), LABELS)
    resumed = wrapped(LorentzSimilarity())
    resumed.load_state_dict(loss.state_dict())
    e = batch(3.0)
    assert resumed.distance.scale == loss.distance.scale
    torch.testing.assert_close(resumed(e, LABELS), loss(e, LABELS), rtol=0, atol=0)


def test_a_miner_with_the_same_distance_mines_at_its_scale():
    loss, e = wrapped(LorentzSimilarity()), batch()
    loss(e, LABELS)
    miner = HierarchicalSimilarityMiner(loss.distance)
    scaled = HierarchicalSimilarityMiner(LorentzSimilarity(scale=None))
    for ours, expected in zip(
        miner(e, LABELS), scaled(loss.distance.scale * e, LABELS), strict=True
    ):
        assert len(ours) > 0
        assert torch.equal(ours, expected)
