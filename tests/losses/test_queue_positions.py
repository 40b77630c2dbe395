import pytest
import torch
from pytorch_metric_learning import losses

from pml_ahsml import AdaptiveNoiseAwareLoss
from pml_ahsml.losses import queue_positions
from tests.noisy_batches import D, K, batch, state_of


def queue(size: int = 100) -> losses.CrossBatchMemory:
    return losses.CrossBatchMemory(losses.ContrastiveLoss(), D, memory_size=size)


def test_one_without_queues_has_no_entry_for_them():
    assert "queues" not in AdaptiveNoiseAwareLoss(losses.ContrastiveLoss(), K, D).state_dict()
    assert queue_positions.positions(losses.ContrastiveLoss()).shape == (0, 2)


def test_it_says_where_the_queue_stands_and_goes_on_from_there():
    saved = AdaptiveNoiseAwareLoss(queue(), K, D)
    states = []
    for seed in range(2):
        saved(*batch(seed)[:2])
        states.append(saved.state_dict())
    assert [state["queues"].tolist() for state in states] == [[[64, 0]], [[28, 1]]]
    loaded = AdaptiveNoiseAwareLoss(queue(), K, D)
    loaded.load_state_dict(states[1])
    assert (loaded.loss.queue_idx, loaded.loss.has_been_filled) == (28, True)
    assert torch.equal(loaded(*batch(2)[:2]), saved(*batch(2)[:2]))
    assert state_of(loaded) == state_of(saved)


def test_several_queues_keep_their_order():
    loss = losses.MultipleLosses([queue(10), losses.ContrastiveLoss(), queue(20)])
    queue_positions.set_positions(loss, torch.tensor([[3, 0], [4, 1]]))
    assert (loss.losses[0].queue_idx, loss.losses[0].has_been_filled) == (3, False)
    assert (loss.losses[2].queue_idx, loss.losses[2].has_been_filled) == (4, True)
    assert queue_positions.positions(loss).tolist() == [[3, 0], [4, 1]]


def test_a_queue_of_another_size_is_refused():
    state = AdaptiveNoiseAwareLoss(queue(), K, D).state_dict()
    with pytest.raises(ValueError, match=r"^loss\.embedding_memory must be of shape \(90, 16\)"):
        AdaptiveNoiseAwareLoss(queue(90), K, D).load_state_dict(state)


@pytest.mark.parametrize("row", [[80, 0], [-1, 0], [3, 2]])
def test_a_queue_cannot_stand_outside_of_its_memory(row):
    memory = losses.CrossBatchMemory(losses.ContrastiveLoss(), D, memory_size=80)
    wrapper = AdaptiveNoiseAwareLoss(memory, K, D)
    state = {**wrapper.state_dict(), "queues": torch.tensor([row])}
    with pytest.raises(ValueError, match=r"^queues must (hold a row in \[0, 80\)|lie in)"):
        wrapper.load_state_dict(state)
    assert memory.queue_idx == 0
