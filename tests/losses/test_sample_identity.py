"""Which sample of the training set each row is, as the wrapper takes it."""

import copy
import io

import pytest
import torch
from pytorch_metric_learning import losses

from pml_ahsml import AdaptiveNoiseAwareLoss
from tests.noisy_batches import B, D, K, batch, state_of, value_and_gradient
from tests.states import with_state

S = 4 * B


def with_ids(**options) -> AdaptiveNoiseAwareLoss:
    options = {"num_samples": S, "warmup": 3, **options}
    return AdaptiveNoiseAwareLoss(losses.ContrastiveLoss(), K, D, **options)


def id_batch(seed: int):
    """The same 4·B samples again and again: (embeddings, labels, sample_ids)."""
    part = seed % 4
    embeddings, labels, _ = batch(part)
    generator = torch.Generator().manual_seed(seed)
    embeddings = embeddings + 0.01 * torch.randn(B, D, generator=generator)
    return embeddings.requires_grad_(), labels, part * B + torch.arange(B)


def trained(count: int = 30, **options) -> AdaptiveNoiseAwareLoss:
    wrapper = with_ids(**options)
    for seed in range(count):
        embeddings, labels, ids = id_batch(seed)
        wrapper(embeddings, labels, sample_ids=ids).backward()
    return wrapper


E, Y, IDS = id_batch(0)


@pytest.mark.parametrize(
    ("ids", "kind", "message"),
    [
        (None, ValueError, f"sample_ids must be given with num_samples={S}, got None"),
        (IDS + S, ValueError, rf"sample_ids must lie in \[0, {S}\), got values from {S} to"),
        (IDS - 1, ValueError, r"sample_ids must lie in .* got values from -1 to"),
        (IDS[1:], ValueError, rf"sample_ids must be of shape \({B},\), got \({B - 1},\)"),
        (IDS[:, None], ValueError, r"sample_ids must be of shape"),
        (IDS.float(), TypeError, "sample_ids must be of an integer dtype, got torch.float32"),
        (IDS.tolist(), TypeError, "sample_ids must be a tensor, got list"),
        (IDS // B, ValueError, "labels must be the same for all rows with the same sample_ids"),
    ],
    ids=["none", "high", "low", "short", "column", "float", "list", "two labels"],
)
def test_impossible_ids_are_refused_before_anything_is_learnt(ids, kind, message):
    wrapper = trained(5)
    before = state_of(wrapper)
    for call in (wrapper, wrapper.update):
        with pytest.raises(kind, match=message):
            call(E, Y, sample_ids=ids)
    if ids is not None:
        for call in (wrapper.trust, wrapper.posterior):
            with pytest.raises(kind, match=message):
                call(E, Y, sample_ids=ids)
    assert state_of(wrapper) == before


def test_ids_without_a_number_of_samples_are_refused():
    wrapper = AdaptiveNoiseAwareLoss(losses.ContrastiveLoss(), K, D)
    before = state_of(wrapper)
    message = "num_samples must be given to AdaptiveNoiseAwareLoss where sample_ids are, got None"
    for call in (wrapper, wrapper.update, wrapper.trust, wrapper.posterior):
        with pytest.raises(ValueError, match=message):
            call(E, Y, sample_ids=IDS)
    with pytest.raises(ValueError, match=message):
        wrapper.next_samples(IDS)
    assert state_of(wrapper) == before


@pytest.mark.parametrize(
    ("number", "kind", "message"),
    [
        (0, ValueError, "num_samples must be at least 1, got 0"),
        (2.5, TypeError, "num_samples must be an integer, got float"),
    ],
)
def test_an_impossible_number_of_samples_is_refused(number, kind, message):
    with pytest.raises(kind, match=message):
        with_ids(num_samples=number)


def test_ids_of_any_integer_dtype_are_the_same():
    first, second = trained(20), trained(20)
    values = [
        one(E, Y, sample_ids=IDS.to(dtype))
        for one, dtype in ((first, torch.long), (second, torch.uint8))
    ]
    assert torch.equal(*values)
    assert state_of(first) == state_of(second)


def test_a_validation_batch_needs_no_ids_and_changes_nothing():
    wrapper, plain = trained(20), losses.ContrastiveLoss()
    before = state_of(wrapper)
    expected = plain(E, Y)
    with torch.no_grad():
        assert torch.equal(wrapper(E, Y), expected)
        # and those of another data set do not matter
        assert torch.equal(wrapper(E, Y, sample_ids=IDS + S), expected)
    assert torch.equal(wrapper.eval()(E, Y), expected)
    assert state_of(wrapper) == before


def test_trust_may_be_asked_for_with_and_without_ids():
    wrapper = trained(40)
    embeddings, labels, ids = id_batch(1)
    known, new = wrapper.trust(embeddings, labels, ids), wrapper.trust(embeddings, labels)
    assert known.shape == new.shape == (B,)
    right = int(known.argmax())
    torch.testing.assert_close(known[right], new[right], rtol=0, atol=1e-2)
    # it was taken for one of another class before, and the second opinion decides
    opinion = wrapper.noise_model.second_opinion
    logs = opinion.earlier.logs.clone()
    certain = torch.eye(K)[(labels[right] + 1) % K].log().clamp_min(-6e4)
    logs[ids[right], :-1] = certain.half()
    entries = {"doubts": torch.tensor([0.25, 0.2]), "earlier.logs": logs}
    with_state(opinion, entries)
    before = state_of(wrapper)
    known, new = wrapper.trust(embeddings, labels, ids), wrapper.trust(embeddings, labels)
    assert known[right] < new[right] - 0.1
    posterior = wrapper.posterior(embeddings, labels, ids)
    torch.testing.assert_close(posterior.sum(1), torch.ones_like(posterior[:, 0]))
    torch.testing.assert_close(posterior.gather(1, labels[:, None]).squeeze(1), known)
    assert state_of(wrapper) == before


def test_what_is_handed_over_is_used_once():
    explicit, handed = trained(20), trained(20)
    embeddings, labels, ids = id_batch(20)
    expected = value_and_gradient(explicit, embeddings, labels, sample_ids=ids)
    handed.next_samples(ids)
    found = value_and_gradient(handed, embeddings, labels)
    assert torch.equal(found[0], expected[0])
    assert torch.equal(found[1], expected[1])
    assert state_of(handed) == state_of(explicit)
    with pytest.raises(ValueError, match="sample_ids must be given"):
        handed(embeddings, labels)


def test_ids_of_the_call_win_over_those_handed_over():
    one, other = trained(20), trained(20)
    embeddings, labels, ids = id_batch(20)
    one(embeddings, labels, sample_ids=ids)
    other.next_samples((ids + B) % S)
    other(embeddings, labels, sample_ids=ids)
    assert state_of(one) == state_of(other)


def fail(wrapper, embeddings, labels):
    with pytest.raises(ValueError, match="labels must lie in"):
        wrapper(embeddings, labels + K)


def validate(wrapper, embeddings, labels):
    with torch.no_grad():
        wrapper(embeddings, labels)


@pytest.mark.parametrize("call", [fail, validate])
def test_what_is_handed_over_is_forgotten_after_a_call_that_learns_nothing(call):
    wrapper = trained(5)
    embeddings, labels, ids = id_batch(5)
    wrapper.next_samples(ids)
    call(wrapper, embeddings, labels)
    with pytest.raises(ValueError, match="sample_ids must be given"):
        wrapper(embeddings, labels)


def test_what_cannot_be_handed_over_is_refused():
    wrapper = trained(5)
    with pytest.raises(ValueError, match="sample_ids must lie in"):
        wrapper.next_samples(IDS + S)
    with pytest.raises(TypeError, match="sample_ids must be a tensor, got list"):
        wrapper.next_samples([1, 2])


def test_training_goes_on_from_a_state_as_if_it_had_not_stopped():
    wrapper = trained(25)
    wrapper.next_samples(IDS)  # is no part of the state
    buffer = io.BytesIO()
    torch.save(wrapper.state_dict(), buffer)
    buffer.seek(0)
    resumed = with_ids()
    resumed.load_state_dict(torch.load(buffer, weights_only=True))
    for seed in range(25, 35):
        embeddings, labels, ids = id_batch(seed)
        values = [
            value_and_gradient(one, embeddings, labels, sample_ids=ids)
            for one in (wrapper, resumed)
        ]
        assert torch.equal(values[0][0], values[1][0])
        assert torch.equal(values[0][1], values[1][1])
    assert state_of(wrapper) == state_of(resumed)


def test_a_state_of_another_number_of_samples_is_refused():
    wrapper = with_ids(num_samples=S + 1)
    with pytest.raises(ValueError, match=r"samples.embeddings must be of shape"):
        wrapper.load_state_dict(trained(2).state_dict())


def test_a_copy_learns_on_its_own():
    wrapper = trained(20)
    twin = copy.deepcopy(wrapper)
    before = state_of(wrapper)
    embeddings, labels, ids = id_batch(20)
    twin(embeddings, labels, sample_ids=ids)
    assert state_of(wrapper) == before
    assert state_of(twin) != before


def test_update_learns_what_training_learns():
    one, other = trained(20), trained(20)
    embeddings, labels, ids = id_batch(20)
    one(embeddings, labels, sample_ids=ids)
    other.update(embeddings.detach(), labels, ids)
    assert state_of(one.noise_model) == state_of(other.noise_model)


def test_rows_that_are_merely_enqueued_are_not_stored():
    memory = losses.CrossBatchMemory(losses.ContrastiveLoss(), D, memory_size=2 * B)
    wrapper = AdaptiveNoiseAwareLoss(memory, K, D, num_samples=S)
    mask = torch.arange(B) % 2 == 0
    wrapper(E, Y, sample_ids=IDS, enqueue_mask=mask)
    seen = wrapper.noise_model.second_opinion.discriminant.samples.labels >= 0
    assert torch.equal(seen[:B], ~mask)
    assert not seen[B:].any()


def test_ids_find_wrong_labels_among_more_classes_than_are_counted():
    classes, size, num_samples = 1200, 24, 6000
    generator = torch.Generator().manual_seed(0)
    centres = torch.randn(classes, size, generator=generator)
    truth = torch.arange(num_samples) % classes
    is_wrong = torch.arange(num_samples) % 7 == 0
    labels = torch.where(is_wrong, (truth + 1) % classes, truth)
    embeddings = centres[truth] + 0.2 * torch.randn(num_samples, size, generator=generator)
    options = {"num_samples": num_samples, "warmup": 5}
    wrapper = AdaptiveNoiseAwareLoss(losses.ContrastiveLoss(), classes, size, **options)
    for _ in range(3):
        for ids in torch.randperm(num_samples, generator=generator).split(300):
            wrapper.update(embeddings[ids], labels[ids], ids)
    opinion, ids = wrapper.noise_model.second_opinion, torch.arange(700)
    assert len(opinion.joint) == 0
    assert 0.1 < opinion.noise_rate < 0.2
    # less than half of a table of all classes for each sample, or of all pairs
    assert sum(table.nbytes for table in opinion.state_dict().values()) < num_samples * classes
    trust = wrapper.trust(embeddings[ids], labels[ids], ids)
    assert trust[is_wrong[ids]].mean() < 0.1
    assert trust[~is_wrong[ids]].mean() > 0.9
