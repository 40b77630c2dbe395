"""What is learnt at which batch, once the noise rate has settled."""

import functools

import pytest
import torch
from pytorch_metric_learning import losses

from pml_ahsml import AdaptiveNoiseAwareLoss
from pml_ahsml.losses.learning import LEARN_EVERY, is_one_of
from tests.noisy_batches import D, K, batch, state_of
from tests.states import with_state

B = 64
# parts of the state, by the beginnings of their names
ALWAYS = ("noise_model.batches_seen", "noise_model.neighbours.vectors")
ALWAYS_WITH_IDS = (
    "noise_model.second_opinion.discriminant.samples.embeddings",
    "noise_model.second_opinion.discriminant.sums",
    "noise_model.second_opinion.earlier.posteriors",
)
SELDOM = (
    "class_statistics.means",
    "class_statistics.centre",
    "noise_model.label_counts",
    "noise_model.neighbours.agreement",
    "noise_model.log_parameters",
    "noise_model.adam_steps",
    "noise_model.noise_rate_history.recent",
    "noise_model.noise_floor.far_labels",
    "noise_model.confusion_counts.counts",
    "noise_model.second_opinion.rate_sums",
)


@functools.cache
def _settled_state(has_ids: bool) -> dict:
    wrapper = _new(has_ids)
    for number in range(80):
        _step(wrapper, number)
    assert wrapper.noise_model.has_settled
    return wrapper.state_dict()


def _new(has_ids: bool) -> AdaptiveNoiseAwareLoss:
    ids = {"num_samples": 2 * B} if has_ids else {}
    return AdaptiveNoiseAwareLoss(losses.ContrastiveLoss(), K, D, **ids)


def _settled(has_ids: bool) -> AdaptiveNoiseAwareLoss:
    return with_state(_new(has_ids), _settled_state(has_ids))


def _step(wrapper: AdaptiveNoiseAwareLoss, number: int, learn=None) -> None:
    """Two batches take turns, moving a little."""
    embeddings, labels, _ = batch(number % 2)
    noise = torch.randn(B, D, generator=torch.Generator().manual_seed(number))
    ids = torch.arange(B) + B * (number % 2) if wrapper.num_samples else None
    (learn or wrapper)(embeddings + 0.1 * noise, labels, sample_ids=ids)


def _changed_by(wrapper: AdaptiveNoiseAwareLoss, number: int, learn=None) -> set[str]:
    before = {name: table.clone() for name, table in wrapper.state_dict().items()}
    _step(wrapper, number, learn)
    after = wrapper.state_dict()
    return {name for name in before if not torch.equal(before[name], after[name])}


@pytest.mark.parametrize("has_ids", [False, True])
def test_samples_are_remembered_at_every_batch_and_the_rest_is_learnt_at_some(has_ids):
    wrapper = _settled(has_ids)
    always = {*ALWAYS, *(ALWAYS_WITH_IDS if has_ids else ())}
    learnt = []
    for number in range(80, 80 + 10 * LEARN_EVERY):
        changed = _changed_by(wrapper, number)
        assert always <= changed
        learnt.append("noise_model.log_parameters" in changed)
        assert changed.issuperset(SELDOM) if learnt[-1] else changed.isdisjoint(SELDOM)
    assert sum(learnt) == 10
    assert wrapper.noise_model.batches == 80 + 10 * LEARN_EVERY


def test_update_learns_from_every_batch():
    wrapper = _settled(False)
    for number in range(80, 80 + 2 * LEARN_EVERY):
        assert _changed_by(wrapper, number, wrapper.update).issuperset(SELDOM)


def test_a_class_that_is_not_judged_yet_is_learnt_at_once():
    wrapper = _settled(False)
    state = wrapper.state_dict()
    state["class_statistics.visits"][3] = 1  # of the three that a class needs
    wrapper = with_state(_new(False), state)
    learnt = ["class_statistics.means" in _changed_by(wrapper, number) for number in range(80, 95)]
    assert learnt[:2] == [True, True]
    assert not all(learnt)


def test_it_goes_on_after_a_resume_as_it_would_have():
    wrapper = _settled(True)
    for number in range(80, 80 + 3 * LEARN_EVERY):
        resumed = with_state(_new(True), wrapper.state_dict())
        _step(wrapper, number)
        _step(resumed, number)
        assert state_of(resumed) == state_of(wrapper)


@pytest.mark.parametrize("count", [1, 2, 4])
def test_one_of_so_many_batches_in_a_row_is_learnt_from(count):
    chosen = [is_one_of(count, number) for number in range(100 * count)]
    assert all(sum(chosen[i : i + count]) == 1 for i in range(0, len(chosen), count))


@pytest.mark.parametrize("length", [2, 16, 89, 144, 256])
def test_no_batch_of_an_epoch_in_a_fixed_order_is_left_out(length):
    for place in range(length):
        assert any(is_one_of(4, place + length * epoch) for epoch in range(60))
        assert any(is_one_of(2, place + length * epoch) for epoch in range(25))
