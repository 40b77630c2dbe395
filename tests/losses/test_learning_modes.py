"""Where the wrapper learns, and that it changes nothing anywhere else."""

import copy
import math

import pytest
import torch
from pytorch_metric_learning import losses, miners

from pml_ahsml import AdaptiveNoiseAwareLoss, Relabelling
from tests.noisy_batches import B, D, K, batch, state_of, value_and_gradient, warmed


def in_eval(wrapper, *args, **kwargs):
    return copy.deepcopy(wrapper).eval()(*args, **kwargs)


def without_gradients(wrapper, *args, **kwargs):
    with torch.no_grad():
        return wrapper(*args, **kwargs)


def in_inference_mode(wrapper, *args, **kwargs):
    with torch.inference_mode():
        return wrapper(*args, **kwargs)


MODES = [in_eval, without_gradients, in_inference_mode]

LOSSES = [
    losses.ContrastiveLoss(),
    losses.MultiSimilarityLoss(),
    losses.ProxyAnchorLoss(K, D),
    losses.CrossBatchMemory(losses.ContrastiveLoss(), D, memory_size=B + 8),
    losses.MultipleLosses(
        [losses.CrossBatchMemory(losses.ContrastiveLoss(), D, B + 8), losses.SupConLoss()]
    ),
]


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("loss", LOSSES, ids=["pair", "matrix", "proxy", "memory", "several"])
def test_a_validation_loss_is_the_plain_one_and_changes_nothing(loss, mode):
    loss = copy.deepcopy(loss)
    wrapper = warmed(loss, relabel=Relabelling(), replay_memory=B)
    wrapper(*batch(100)[:2])
    before = state_of(wrapper)
    memories = [m for m in loss.modules() if isinstance(m, losses.CrossBatchMemory)]
    positions = [(m.queue_idx, m.has_been_filled) for m in memories]
    embeddings, labels, is_noisy = batch(101)
    assert is_noisy.any()
    expected = copy.deepcopy(loss)(embeddings, labels)
    assert torch.equal(mode(wrapper, embeddings, labels), expected)
    assert expected > 0
    assert state_of(wrapper) == before
    assert [(m.queue_idx, m.has_been_filled) for m in memories] == positions


@pytest.mark.parametrize("mode", MODES)
def test_a_validation_batch_may_have_other_classes(mode):
    loss = losses.ContrastiveLoss()
    wrapper = warmed(loss)
    embeddings, labels, _ = batch(101)
    before = state_of(wrapper)
    assert torch.equal(mode(wrapper, embeddings, labels + 100), loss(embeddings, labels + 100))
    assert state_of(wrapper) == before


def test_mined_pairs_references_and_a_mask_go_through_in_eval():
    pair = losses.TripletMarginLoss()
    wrapper = warmed(pair).eval()
    embeddings, labels, _ = batch(100)
    refs, ref_labels, _ = batch(101)
    mined = miners.TripletMarginMiner(margin=1.5)(embeddings, labels, refs, ref_labels)
    expected = pair(embeddings, labels, mined, refs, ref_labels)
    assert torch.equal(wrapper(embeddings, labels, mined, refs, ref_labels), expected)
    memory = losses.CrossBatchMemory(pair, D, memory_size=2 * B)
    wrapper = warmed(memory).eval()
    mask = torch.arange(B) % 2 == 0
    expected = copy.deepcopy(memory)(embeddings, labels, enqueue_mask=mask)
    assert torch.equal(wrapper(embeddings, labels, enqueue_mask=mask), expected)
    assert memory.queue_idx == 0
    assert (memory.embedding_memory == 0).all()
    with pytest.raises(ValueError, match="ref_emb must be None where CrossBatchMemory"):
        wrapper(embeddings, labels, None, refs, ref_labels)


def test_validation_between_training_steps_leaves_no_trace():
    def train(validates: bool):
        torch.manual_seed(0)
        wrapper = AdaptiveNoiseAwareLoss(losses.MultiSimilarityLoss(), K, D, warmup=10)
        values = []
        for seed in range(40):
            embeddings, labels, _ = batch(seed)
            values.append(value_and_gradient(wrapper, embeddings, labels)[0])
            if validates:
                with torch.no_grad():  # as in a user's loop: nobody calls loss.eval()
                    wrapper(*batch(1000 + seed, rate=0)[:2])
        return values, state_of(wrapper)

    assert train(validates=True) == train(validates=False)


def test_a_memory_forgets_what_a_refused_call_enqueued():
    memory = losses.CrossBatchMemory(losses.ContrastiveLoss(), D, memory_size=B + 8)
    wrapper = warmed(memory)
    for seed in (100, 101):  # the second time around
        wrapper(*batch(seed)[:2])
    before, position = state_of(wrapper), memory.queue_idx
    embeddings, labels, _ = batch(102)
    memory.loss.reducer.register_forward_hook(lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        wrapper(embeddings, labels)
    assert state_of(wrapper) == before
    assert memory.queue_idx == position


def test_a_memory_of_another_dtype_is_put_back():
    memory = losses.CrossBatchMemory(losses.ContrastiveLoss(), D, memory_size=B + 8)
    wrapper = warmed(memory)
    wrapper(*batch(100)[:2])
    before = state_of(wrapper)
    embeddings, labels, _ = batch(101)
    with torch.no_grad():
        wrapper(embeddings.double(), labels)
    assert state_of(wrapper) == before
    assert memory.embedding_memory.dtype == torch.float32


@pytest.mark.parametrize("training", [True, False])
def test_update_teaches_what_a_training_step_teaches(training):
    options = {"relabel": Relabelling(), "replay_memory": B}
    trained, updated = (warmed(losses.ContrastiveLoss(), **options) for _ in range(2))
    updated.train(training)
    for seed in range(100, 103):
        embeddings, labels, _ = batch(seed)
        trained(embeddings, labels)
        with torch.inference_mode(not training):
            updated.update(embeddings, labels)
    assert state_of(updated) == state_of(trained)


def test_update_takes_view_ids_and_refuses_what_training_refuses():
    wrapper = AdaptiveNoiseAwareLoss(losses.ContrastiveLoss(), K, D, num_views=2)
    embeddings, labels, _ = batch(0)
    with pytest.raises(ValueError, match="labels must be the same for all views"):
        wrapper.update(embeddings, labels)
    wrapper.update(embeddings, labels, view_ids=torch.arange(B))
    assert wrapper.class_statistics.visits.sum() == len(labels.unique())
    before = state_of(wrapper)
    with pytest.raises(ValueError, match=r"labels must lie in \[0, 8\)"):
        wrapper.update(embeddings, labels + K, view_ids=torch.arange(B))
    assert state_of(wrapper) == before


def test_frozen_embeddings_teach_in_training_mode():
    wrapper = warmed(losses.ContrastiveLoss())
    before = state_of(wrapper)
    embeddings, labels, _ = batch(100)
    assert not embeddings.requires_grad
    wrapper(embeddings, labels)
    assert state_of(wrapper) != before


def test_accumulated_batches_and_a_second_pass_count_as_batches():
    """What docs/guides/combine.md says of gradient accumulation and of SAM."""
    wrapper = AdaptiveNoiseAwareLoss(losses.ContrastiveLoss(), K, D)
    for seed in range(3):
        for _ in range(2):
            wrapper(*batch(seed)[:2])
    assert wrapper.noise_model.batches == 6


def test_torch_func_is_refused_where_it_learns_and_works_where_it_does_not():
    loss = losses.MultiSimilarityLoss()
    wrapper = warmed(loss)
    embeddings, labels, _ = batch(100)
    before = state_of(wrapper)
    with pytest.raises(ValueError, match=r"transform of torch\.func"):
        torch.func.grad(lambda e: wrapper(e, labels))(embeddings)
    assert state_of(wrapper) == before
    gradient = torch.func.grad(lambda e: wrapper.eval()(e, labels))(embeddings)
    assert torch.equal(gradient, value_and_gradient(loss, embeddings, labels)[1])


def test_a_compiled_step_leaves_the_wrapper_out():
    graphs = []

    def backend(graph, _):
        graphs.append(graph)
        return graph.forward

    wrapper, twin = (AdaptiveNoiseAwareLoss(losses.MultiSimilarityLoss(), K, D) for _ in range(2))
    network = torch.nn.Linear(D, D)

    def step(embeddings, labels):
        return wrapper(network(embeddings), labels)

    compiled = torch.compile(step, backend=backend)
    for seed in range(30):  # past the warm-up: what it does changes
        embeddings, labels, _ = batch(seed)
        value = compiled(embeddings, labels)
        assert torch.equal(value, twin(network(embeddings), labels))
        value.backward()
    assert len(graphs) == 1  # that of the network
    assert state_of(wrapper) == state_of(twin)


def test_with_endless_warmup_nothing_is_judged():
    loss = losses.MultiSimilarityLoss()
    wrapper = AdaptiveNoiseAwareLoss(loss, K, D, warmup=None, margins=None)
    for seed in range(60):
        embeddings, labels, _ = batch(seed)
        assert torch.equal(wrapper(embeddings, labels), loss(embeddings, labels))
    assert math.isnan(wrapper.noise_rate)
    assert (wrapper.trust(embeddings, labels) == 1).all()
