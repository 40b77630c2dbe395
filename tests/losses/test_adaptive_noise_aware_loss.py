import copy
import math
import pickle

import pytest
import torch
from pytorch_metric_learning import distances, losses, miners, reducers, regularizers

from pml_ahsml import (
    AdaptiveMargins,
    AdaptiveNoiseAwareLoss,
    ClassStatistics,
    HierarchicalSimilarityMiner,
    PoincareDistance,
    Relabelling,
    inject_label_noise,
)
from pml_ahsml.classes.class_means import Groups, robust_weights
from tests.largest_tensor import LargestTensor
from tests.noisy_batches import (
    CENTRES,
    B,
    D,
    K,
    batch,
    state_of,
    value_and_gradient,
    warmed,
)
from tests.states import with_parameters, with_state

PLAIN = [
    losses.ContrastiveLoss(),
    losses.MultiSimilarityLoss(),
    losses.TripletMarginLoss(margin=2),
    losses.ProxyAnchorLoss(K, D),
    losses.SupConLoss(),
    losses.NCALoss(),
    losses.ContrastiveLoss(neg_margin=6, distance=PoincareDistance()),
]
NAMES = ["pair", "matrix", "triplet", "proxy", "supcon", "weights", "hyperbolic"]


@pytest.mark.parametrize("loss", PLAIN, ids=NAMES)
def test_is_the_wrapped_loss_to_the_last_bit_while_all_is_trusted(loss):
    wrapper = AdaptiveNoiseAwareLoss(loss, K, D, margins=None)
    embeddings, labels, _ = batch(0)
    for args in ((labels,), (labels, miners.MultiSimilarityMiner()(embeddings, labels))):
        value, gradient = value_and_gradient(loss, embeddings, *args)
        wrapped_value, wrapped_gradient = value_and_gradient(wrapper, embeddings, *args)
        assert torch.equal(value, wrapped_value)
        assert torch.equal(gradient, wrapped_gradient)


@pytest.mark.parametrize("loss", PLAIN, ids=NAMES)
def test_keeps_exactly_the_rows_it_trusts(loss):
    wrapper = warmed(loss)
    embeddings, labels, is_noisy = batch(100)
    keep = wrapper.trust(embeddings, labels) > 0.5
    assert torch.equal(keep, ~is_noisy)
    value, gradient = value_and_gradient(loss, embeddings[keep], labels[keep])
    wrapped_value, wrapped_gradient = value_and_gradient(wrapper, embeddings, labels)
    assert torch.equal(value, wrapped_value)
    assert torch.equal(gradient, wrapped_gradient[keep])
    assert (wrapped_gradient[~keep] == 0).all()
    assert value > 0


@pytest.mark.parametrize(
    "miner", [miners.TripletMarginMiner(margin=1.5), miners.MultiSimilarityMiner(epsilon=1)]
)
@pytest.mark.parametrize("loss", PLAIN, ids=NAMES)
def test_a_mined_tuple_is_filtered_with_the_rows(loss, miner):
    wrapper = warmed(loss)
    embeddings, labels, is_noisy = batch(100)
    mined = miner(embeddings, labels)
    number = (~is_noisy).cumsum(0) - 1
    if len(mined) == 3:
        kept = ~is_noisy[torch.stack(mined)].any(0)
        expected = tuple(number[rows[kept]] for rows in mined)
    else:
        positive = ~is_noisy[torch.stack(mined[:2])].any(0)
        negative = ~is_noisy[torch.stack(mined[2:])].any(0)
        expected = tuple(number[rows[positive]] for rows in mined[:2])
        expected += tuple(number[rows[negative]] for rows in mined[2:])
    assert all(len(rows) > 0 for rows in expected)
    rows = ~is_noisy
    value, gradient = value_and_gradient(loss, embeddings[rows], labels[rows], expected)
    wrapped_value, wrapped_gradient = value_and_gradient(wrapper, embeddings, labels, mined)
    assert torch.equal(value, wrapped_value)
    assert torch.equal(gradient, wrapped_gradient[rows])


def test_finds_the_noise_rate_and_the_wrong_labels():
    wrapper = warmed(losses.MultiSimilarityLoss())
    assert wrapper.noise_rate == pytest.approx(0.25, abs=0.03)
    embeddings, labels, _ = batch(100)
    posterior = wrapper.posterior(embeddings, labels)
    torch.testing.assert_close(posterior.sum(1), torch.ones(B))
    truth = torch.arange(K).repeat_interleave(B // K)
    assert torch.equal(posterior.argmax(1), truth)
    trust = wrapper.trust(embeddings, labels)
    assert torch.equal(trust, posterior[torch.arange(B), labels])
    divergence = wrapper.class_divergence()
    assert divergence.shape == (K, K)
    assert torch.equal(wrapper.class_divergence([3, 1]), divergence[[3, 1]][:, [3, 1]])


def test_warmup_is_counted_in_batches_and_per_class():
    wrapper = AdaptiveNoiseAwareLoss(losses.ContrastiveLoss(), K, D, warmup=10, class_warmup=4)
    for seed in range(10):
        assert math.isnan(wrapper.noise_rate)
        embeddings, labels, _ = batch(seed)
        assert (wrapper.trust(embeddings, labels) == 1).all()
        rows = labels != 5 if seed >= 3 else labels >= 0  # class 5 is seen three times only
        wrapper(embeddings[rows], labels[rows])
    assert wrapper.noise_rate > 0
    embeddings, labels, is_noisy = batch(100)
    trust = wrapper.trust(embeddings, labels)
    assert (trust[labels == 5] == 1).all()
    assert is_noisy[labels == 5].any()
    assert ((trust > 0.5) == ~is_noisy)[labels != 5].all()
    assert (wrapper.posterior(embeddings, labels)[labels == 5, 5] == 1).all()


@pytest.mark.parametrize("loss", PLAIN, ids=NAMES)
def test_the_optimiser_of_the_user_sees_the_parameters_of_the_loss_only(loss):
    wrapper = AdaptiveNoiseAwareLoss(loss, K, D)
    assert [id(p) for p in wrapper.parameters()] == [id(p) for p in loss.parameters()]


def test_a_learnt_curvature_is_trained_through_the_wrapper():
    loss = losses.TripletMarginLoss(margin=5, distance=PoincareDistance(learn_curvature=True))
    wrapper = warmed(loss)
    assert [id(p) for p in wrapper.parameters()] == [id(p) for p in loss.parameters()]
    embeddings, labels, _ = batch(100)
    wrapper(embeddings, labels).backward()
    assert loss.distance.log_curvature.grad.abs() > 0


def test_resumes_bit_for_bit(tmp_path):
    def step(wrapper, seed):
        embeddings, labels, _ = batch(seed)
        return value_and_gradient(wrapper, embeddings, labels)

    whole = AdaptiveNoiseAwareLoss(losses.ProxyAnchorLoss(K, D), K, D)
    for seed in range(60):
        step(whole, seed)
    torch.save(whole.state_dict(), tmp_path / "loss.pth")
    resumed = AdaptiveNoiseAwareLoss(losses.ProxyAnchorLoss(K, D), K, D)
    resumed.load_state_dict(torch.load(tmp_path / "loss.pth", weights_only=True))
    for seed in range(60, 80):
        for ours, theirs in zip(step(whole, seed), step(resumed, seed), strict=True):
            assert torch.equal(ours, theirs)
    assert whole.noise_rate == resumed.noise_rate
    assert state_of(whole) == state_of(resumed)


def test_a_checkpoint_of_other_classes_is_refused():
    state = AdaptiveNoiseAwareLoss(losses.ContrastiveLoss(), K + 1, D).state_dict()
    wrapper = AdaptiveNoiseAwareLoss(losses.ContrastiveLoss(), K, D)
    before = state_of(wrapper)
    message = r"class_statistics.means must be of shape \(8, 17\), got \(9, 17\)"
    with pytest.raises(ValueError, match=message):
        wrapper.load_state_dict(state)
    assert state_of(wrapper) == before


def test_copies_and_pickles():
    wrapper = warmed(losses.MultiSimilarityLoss())
    copies = [copy.deepcopy(wrapper), pickle.loads(pickle.dumps(wrapper))]
    embeddings, labels, _ = batch(100)
    expected = wrapper(embeddings, labels)
    for twin in copies:
        assert torch.equal(twin(embeddings, labels), expected)
        assert state_of(twin) == state_of(wrapper)


@pytest.mark.parametrize("loss", [losses.ProxyAnchorLoss(K, D), losses.ContrastiveLoss()])
def test_without_a_trusted_row_the_loss_is_a_zero_that_reaches_all_parameters(loss):
    wrapper = warmed(loss)
    embeddings, labels, is_noisy = batch(100)
    embeddings = embeddings[is_noisy].requires_grad_()
    value = wrapper(embeddings, labels[is_noisy])
    value.backward()
    assert value == 0
    assert (embeddings.grad == 0).all()
    assert all((p.grad == 0).all() for p in loss.parameters())


@pytest.mark.parametrize("margins", [None, AdaptiveMargins()])
def test_an_empty_batch_is_a_zero_and_teaches_nothing(margins):
    wrapper = warmed(losses.MultiSimilarityLoss(), margins=margins)
    before = state_of(wrapper)
    embeddings = torch.zeros(0, D, requires_grad=True)
    value = wrapper(embeddings, torch.zeros(0, dtype=torch.long))
    value.backward()
    assert value == 0
    assert state_of(wrapper) == before
    assert wrapper.trust(embeddings, torch.zeros(0, dtype=torch.long)).shape == (0,)


def test_a_tuple_that_loses_all_its_pairs_does_not_turn_into_everything():
    loss = losses.ProxyAnchorLoss(K, D)  # takes an empty tuple for "weight 1 for all rows"
    wrapper = warmed(loss)
    embeddings, labels, is_noisy = batch(100)
    wrong = is_noisy.nonzero().squeeze(1)
    mined = (wrong[:3], wrong[3:6], wrong[6:9])
    assert wrapper(embeddings, labels, mined) == 0
    empty = (torch.empty(0, dtype=torch.long),) * 3  # nothing mined in the first place
    rows = ~is_noisy
    expected = loss(embeddings[rows], labels[rows], empty)
    assert torch.equal(wrapper(embeddings, labels, empty), expected)
    assert expected > 0


def test_nca_without_positives_is_zero_instead_of_nan():
    wrapper = warmed(losses.NCALoss())
    embeddings, labels, is_noisy = batch(100)
    first = [int(((labels == k) & ~is_noisy).nonzero()[0]) for k in range(K)]
    rows = torch.tensor([*first, int(is_noisy.nonzero()[0])])
    assert wrapper(embeddings[rows], labels[rows]) == 0


def test_references_are_filtered_on_their_own_side():
    loss = losses.TripletMarginLoss()
    wrapper = warmed(loss)
    embeddings, labels, is_noisy = batch(100)
    refs, ref_labels, ref_is_noisy = batch(101)
    a, p, n = torch.randint(B, (3, 200))
    kept = ~(is_noisy[a] | ref_is_noisy[p] | ref_is_noisy[n])
    number, ref_number = (~is_noisy).cumsum(0) - 1, (~ref_is_noisy).cumsum(0) - 1
    mined = (number[a[kept]], ref_number[p[kept]], ref_number[n[kept]])
    q, r = ~is_noisy, ~ref_is_noisy
    for given, filtered in (((a, p, n), mined), (None, None)):
        value = wrapper(embeddings, labels, given, refs, ref_labels)
        expected = loss(embeddings[q], labels[q], filtered, refs[r], ref_labels[r])
        assert torch.equal(value, expected)
    visits = wrapper.class_statistics.visits.clone()
    wrapper(embeddings[labels == 0], labels[labels == 0], None, refs, ref_labels)
    assert (wrapper.class_statistics.visits - visits).tolist() == [1] + [0] * (K - 1)


@pytest.mark.parametrize("loss", [losses.TripletMarginLoss(margin=2), losses.NCALoss()])
def test_references_that_are_the_queries_are_not_compared_with_themselves(loss):
    wrapper = warmed(loss)
    embeddings, labels, is_noisy = batch(100)
    value = wrapper(embeddings, labels, None, embeddings, labels)
    assert torch.equal(value, loss(embeddings[~is_noisy], labels[~is_noisy]))


def test_unlabelled_references_are_trusted():
    loss = losses.TripletMarginLoss()
    wrapper = warmed(loss)
    embeddings, labels, is_noisy = batch(100)
    refs, _, _ = batch(101)
    a, p, n = torch.randint(B, (3, 200))
    kept = ~is_noisy[a]
    mined = (((~is_noisy).cumsum(0) - 1)[a[kept]], p[kept], n[kept])
    value = wrapper(embeddings, labels, (a, p, n), refs)
    assert torch.equal(value, loss(embeddings[~is_noisy], labels[~is_noisy], mined, refs))


def test_the_distance_and_reducer_are_the_wrapped_ones():
    loss = losses.TripletMarginLoss(distance=distances.CosineSimilarity())
    wrapper = AdaptiveNoiseAwareLoss(loss, K, D)
    assert wrapper.distance is loss.distance
    assert wrapper.reducer is loss.reducer
    memory = losses.CrossBatchMemory(loss, D)
    assert AdaptiveNoiseAwareLoss(memory, K, D).distance is loss.distance


def test_the_geometry_follows_the_distance():
    hyperbolic = losses.ContrastiveLoss(distance=PoincareDistance(0.5, 1.0))
    statistics = AdaptiveNoiseAwareLoss(hyperbolic, K, D).class_statistics
    assert statistics.distance is hyperbolic.distance
    e = 0.1 * torch.randn(3, D)
    torch.testing.assert_close(statistics.tangent(e), e)
    for loss in (losses.ContrastiveLoss(), losses.MultipleLosses([hyperbolic, hyperbolic])):
        statistics = AdaptiveNoiseAwareLoss(loss, K, D).class_statistics
        torch.testing.assert_close(statistics.tangent(e).norm(dim=1), torch.full((3,), 2.3))


@pytest.mark.parametrize(
    "loss",
    [
        losses.MultiSimilarityLoss(reducer=reducers.DoNothingReducer()),
        losses.ContrastiveLoss(reducer=reducers.DoNothingReducer()),
        losses.TripletMarginLoss(reducer=reducers.DoNothingReducer()),
        losses.ProxyAnchorLoss(K, D, reducer=reducers.DoNothingReducer()),
    ],
    ids=["element", "pair", "triplet", "proxy"],
)
def test_unreduced_losses_carry_the_indices_of_the_caller(loss):
    wrapper = warmed(loss)
    embeddings, labels, is_noisy = batch(100)
    rows = (~is_noisy).nonzero().squeeze(1)
    expected = loss(embeddings[rows], labels[rows])
    for name, info in wrapper(embeddings, labels).items():
        assert torch.equal(info["losses"], expected[name]["losses"])
        indices, plain = info["indices"], expected[name]["indices"]
        if isinstance(loss, losses.ProxyAnchorLoss):
            assert torch.equal(indices, plain)  # proxies, not rows
        elif isinstance(plain, torch.Tensor):
            assert torch.equal(indices, rows[plain])
        else:
            for mine, theirs in zip(indices, plain, strict=True):
                assert torch.equal(mine, rows[theirs])
    nothing = wrapper(embeddings[is_noisy], labels[is_noisy])
    assert all(info["losses"] == 0 for info in nothing.values())


def test_a_memory_inside_remembers_trusted_rows_only():
    memory = losses.CrossBatchMemory(losses.ContrastiveLoss(), D, memory_size=2 * B)
    wrapper = warmed(memory)
    embeddings, labels, is_noisy = batch(100)
    twin = copy.deepcopy(memory)
    value = wrapper(embeddings, labels)
    assert torch.equal(value, twin(embeddings[~is_noisy], labels[~is_noisy]))
    n = int((~is_noisy).sum())
    assert memory.queue_idx == n
    assert torch.equal(memory.embedding_memory[:n], embeddings[~is_noisy])
    assert torch.equal(memory.label_memory[:n], labels[~is_noisy])


def test_an_enqueue_mask_goes_through_to_the_memory():
    memory = losses.CrossBatchMemory(losses.ContrastiveLoss(), D, memory_size=2 * B)
    wrapper = warmed(memory)
    embeddings, labels, is_noisy = batch(100)
    mask = torch.arange(B) % 2 == 0
    twin = copy.deepcopy(memory)
    visits = wrapper.class_statistics.visits.clone()
    value = wrapper(embeddings, labels, enqueue_mask=mask)
    rows = ~is_noisy
    assert torch.equal(value, twin(embeddings[rows], labels[rows], enqueue_mask=mask[rows]))
    assert torch.equal(memory.embedding_memory, twin.embedding_memory)
    queries_per_class = torch.bincount(labels[~mask], minlength=K) > 0
    assert torch.equal(wrapper.class_statistics.visits - visits, queries_per_class.float())
    fresh = losses.CrossBatchMemory(losses.ContrastiveLoss(), D, memory_size=2 * B)
    wrapper.loss = fresh
    assert wrapper(embeddings, labels, enqueue_mask=is_noisy) == 0  # nothing left to enqueue
    assert not fresh.has_been_filled


def test_several_losses_are_filtered_alike():
    loss = losses.MultipleLosses(
        [losses.ContrastiveLoss(), losses.TripletMarginLoss()],
        miners=[None, miners.TripletMarginMiner()],
    )
    wrapper = warmed(loss)
    embeddings, labels, is_noisy = batch(100)
    expected = loss(embeddings[~is_noisy], labels[~is_noisy])
    assert torch.equal(wrapper(embeddings, labels), expected)


def test_regularizers_of_the_wrapped_loss_see_the_trusted_rows():
    loss = losses.ContrastiveLoss(embedding_regularizer=regularizers.LpRegularizer())
    wrapper = warmed(loss)
    embeddings, labels, is_noisy = batch(100)
    expected = loss(embeddings[~is_noisy], labels[~is_noisy])
    assert torch.equal(wrapper(embeddings, labels), expected)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_other_precisions_are_judged_alike(dtype):
    wrapper = warmed(losses.MultiSimilarityLoss())
    embeddings, labels, is_noisy = batch(100)
    value, gradient = value_and_gradient(wrapper, embeddings.to(dtype), labels)
    assert value.dtype == dtype
    assert gradient.isfinite().all()
    assert torch.equal(gradient.abs().sum(1) == 0, is_noisy)


# torch 2.2 has no uint16, uint32 and uint64
INTEGERS = ["int8", "int16", "int32", "uint8", "uint16", "uint32", "uint64"]


@pytest.mark.parametrize(
    "dtype", [getattr(torch, name) for name in INTEGERS if hasattr(torch, name)]
)
def test_labels_of_every_integer_type_are_indices(dtype):
    wrapper = warmed(losses.MultiSimilarityLoss(), relabel=Relabelling(), replay_memory=B)
    twin = copy.deepcopy(wrapper)
    for seed in (100, 101):
        embeddings, labels, _ = batch(seed)
        ids = torch.arange(B)
        expected = twin(embeddings, labels, view_ids=ids)
        found = wrapper(embeddings, labels.to(dtype), view_ids=ids.to(dtype))
        assert torch.equal(found, expected)
    assert state_of(wrapper) == state_of(twin)
    assert torch.equal(wrapper.trust(embeddings, labels.to(dtype)), twin.trust(embeddings, labels))


@pytest.mark.parametrize(("hyperbolic", "dtype"), [(False, torch.float32), (True, torch.float64)])
def test_decisions_and_state_are_the_same_whatever_the_default_dtype(hyperbolic, dtype):
    def train():
        loss = losses.TripletMarginLoss(distance=PoincareDistance() if hyperbolic else None)
        wrapper = AdaptiveNoiseAwareLoss(loss, K, D, warmup=5, class_counts=[B] * K)
        for seed in range(70):  # until relabelling has begun
            wrapper(*batches[seed])
        return wrapper

    batches = [(embeddings.to(dtype), labels) for embeddings, labels, _ in map(batch, range(70))]
    expected = train()
    torch.set_default_dtype(torch.float64)
    try:
        found = train()
        trust = found.trust(*batches[0])
    finally:
        torch.set_default_dtype(torch.float32)
    assert expected.noise_model.has_settled
    assert state_of(found) == state_of(expected)
    expected_trust = expected.trust(*batches[0])
    assert trust.dtype == expected_trust.dtype
    assert torch.equal(trust, expected_trust)


def test_it_can_be_built_and_used_whatever_the_default_device():
    plain = AdaptiveNoiseAwareLoss(losses.ContrastiveLoss(), K, D, warmup=1, class_warmup=1)
    with torch.device("cpu"):
        made = AdaptiveNoiseAwareLoss(losses.ContrastiveLoss(), K, D, warmup=1, class_warmup=1)
    for seed in range(60):
        embeddings, labels, _ = batch(seed)
        expected = plain(embeddings, labels)
        # a tensor that is made without a device would be on another one than the batch
        with torch.device("meta"):
            assert torch.equal(made(embeddings, labels), expected)
            trust = made.trust(embeddings, labels)
            posterior = made.posterior(embeddings, labels)
            divergence = made.class_divergence([0, 1])
    assert torch.equal(trust, plain.trust(embeddings, labels))
    assert torch.equal(posterior, plain.posterior(embeddings, labels))
    assert torch.equal(divergence, plain.class_divergence([0, 1]))
    assert state_of(made) == state_of(plain)


def test_it_is_built_on_the_meta_device_where_the_user_says_so():
    with torch.device("meta"):
        wrapper = AdaptiveNoiseAwareLoss(
            losses.ContrastiveLoss(), K, D, class_counts=[1] * K, neighbour_memory_size=256
        )
    tables = [wrapper.class_statistics.means, wrapper.noise_model.label_counts]
    assert [table.device.type for table in tables] == ["meta", "meta"]


def test_classes_that_do_not_exist_are_refused():
    wrapper = warmed(losses.ContrastiveLoss())
    assert wrapper.class_divergence([]).shape == (0, 0)
    assert wrapper.class_divergence([3, 1]).shape == (2, 2)
    with pytest.raises(ValueError, match=r"classes must lie in \[0, 8\), got values from -1"):
        wrapper.class_divergence([-1])
    for wrong in ([0.7], [True], torch.tensor([0.7]), "abc"):
        with pytest.raises(TypeError, match="classes must be"):
            wrapper.class_divergence(wrong)


def test_shares_its_statistics_with_a_miner():
    loss = losses.MultiSimilarityLoss(distance=PoincareDistance())
    wrapper = warmed(loss)
    miner = HierarchicalSimilarityMiner(class_statistics=wrapper.class_statistics)
    embeddings, labels, _ = batch(100)
    mined = miner(embeddings, labels)
    assert len(mined[0]) > 0
    assert wrapper(embeddings, labels, mined).isfinite()


REFUSED = [
    (lambda e, y: (e, None), ValueError, "labels must be given"),
    (lambda e, y: (e, y + K), ValueError, r"labels must lie in \[0, 8\).*set_min_label_to_zero"),
    (lambda e, y: (e, -y), ValueError, "dataset_labels"),
    (lambda e, y: (e, y.float()), TypeError, "labels must be of an integer dtype"),
    (lambda e, y: (e, y[:-1]), ValueError, r"labels must be of shape \(64,\), got \(63,\)"),
    (
        lambda e, y: (e[:, 1:], y),
        ValueError,
        r"embeddings must be of shape \(N, 16\), got \(64, 15\)",
    ),
    (lambda e, y: (e[0], y), ValueError, "embeddings must be of shape"),
    (lambda e, y: (e.long(), y), TypeError, "floating point"),
    (lambda e, y: (e.masked_fill(e > 3, torch.nan), y), ValueError, "embeddings must be finite"),
    (lambda e, y: (e.masked_fill(e > 3, torch.inf), y), ValueError, "got nan or inf in"),
    (lambda e, y: (e.numpy(), y), TypeError, "embeddings must be a tensor, got ndarray"),
    (
        lambda e, y: (e.double() * 1e39, y),
        ValueError,
        "embeddings must have rows whose norm float32 can hold, got 64 of 64",
    ),
    (
        lambda e, y: (e.to("meta"), y),
        ValueError,
        "embeddings must be a tensor with values, got one",
    ),
    (lambda e, y: (e, y.to("meta")), ValueError, "labels must be a tensor with values, got one"),
    (lambda e, y: (e.to_sparse(), y), TypeError, "embeddings must be a dense tensor, got a torch"),
    (lambda e, y: (e, y.to_sparse()), TypeError, "labels must be a dense tensor, got a torch"),
    (
        lambda e, y: (e, y, None, e.double() * 1e39, y),
        ValueError,
        "ref_emb must have rows whose norm",
    ),
    (
        lambda e, y: (e, y, None, e.double() * 1e39),
        ValueError,
        "ref_emb must have rows whose norm",
    ),
    (
        lambda e, y: (e, y, None, e.to("meta"), y),
        ValueError,
        "ref_emb must be a tensor with values",
    ),
    (lambda e, y: (e, y, None, e, y.to_sparse()), TypeError, "ref_labels must be a dense tensor"),
    (
        lambda e, y: (e, y, None, None, None, None, y.to("meta")),
        ValueError,
        "view_ids must be a tensor with values",
    ),
    (
        lambda e, y: (e, y, None, None, None, None, y.bool()),
        TypeError,
        "view_ids must be of an integer dtype, got torch.bool",
    ),
    (lambda e, y: (e, y, (y, y)), ValueError, "indices_tuple must be"),
    (lambda e, y: (e, y, None, e[:, 1:], y), ValueError, "ref_emb must be of shape"),
    (lambda e, y: (e, y, None, e, y + K), ValueError, "ref_labels must lie in"),
    (lambda e, y: (e, y, None, None, None, y > 0), ValueError, "enqueue_mask must be None unless"),
]


@pytest.mark.parametrize(("change", "error", "message"), REFUSED)
def test_a_refused_call_changes_nothing(change, error, message):
    wrapper = warmed(losses.ContrastiveLoss())
    before = state_of(wrapper)
    embeddings, labels, _ = batch(100)
    with pytest.raises(error, match=message):
        wrapper(*change(embeddings, labels))
    assert state_of(wrapper) == before


def test_a_call_that_the_wrapped_loss_refuses_changes_nothing():
    wrapper = warmed(losses.RankedListLoss(margin=1, Tn=1))
    before = state_of(wrapper)
    embeddings, labels, _ = batch(100)
    with pytest.raises(ValueError, match="indices_tuple is not supported"):
        wrapper(embeddings, labels, miners.TripletMarginMiner(margin=1.5)(embeddings, labels))
    assert state_of(wrapper) == before


@pytest.mark.parametrize(
    ("loss", "options", "error", "message"),
    [
        (
            torch.nn.CrossEntropyLoss(),
            {},
            TypeError,
            "loss of pytorch-metric-learning.*CrossEntropy",
        ),
        ("ContrastiveLoss", {}, TypeError, "got str"),
        (losses.VICRegLoss(), {}, ValueError, "must be one that takes labels, got VICRegLoss"),
        (losses.SmoothAPLoss(), {}, ValueError, "unequal size.*got SmoothAPLoss"),
        (losses.MultipleLosses([losses.SmoothAPLoss()]), {}, ValueError, "got SmoothAPLoss"),
        (losses.MultipleLosses({"a": losses.VICRegLoss()}), {}, ValueError, "got VICRegLoss"),
        (
            AdaptiveNoiseAwareLoss(losses.ContrastiveLoss(), K, D),
            {},
            ValueError,
            "must not be wrapped already",
        ),
        (losses.ContrastiveLoss(), {"reducer": reducers.MeanReducer()}, ValueError, "wrapped loss"),
        (losses.ContrastiveLoss(), {"distance": PoincareDistance()}, ValueError, "wrapped loss"),
        (
            losses.ContrastiveLoss(),
            {"embedding_regularizer": regularizers.LpRegularizer()},
            ValueError,
            "embedding_regularizer must be given to the wrapped loss",
        ),
        (losses.ContrastiveLoss(), {"warmups": 3}, TypeError, "warmups"),
        (losses.ContrastiveLoss(), {"warmup": -3}, ValueError, "warmup must be at least 0, got -3"),
        (
            losses.ContrastiveLoss(),
            {"class_warmup": 0},
            ValueError,
            "class_warmup must be at least 1",
        ),
        (
            losses.ContrastiveLoss(),
            {"num_classes": 1},
            ValueError,
            "num_classes must be at least 2",
        ),
        (
            losses.ContrastiveLoss(),
            {"num_classes": 8.0},
            TypeError,
            "num_classes must be an integer",
        ),
        (
            losses.ContrastiveLoss(),
            {"class_counts": torch.ones(3)},
            ValueError,
            "class_counts must be",
        ),
        (
            losses.ContrastiveLoss(),
            {"neighbour_memory_size": 255},
            ValueError,
            "neighbour_memory_size must be 0 or at least 256, got 255",
        ),
        (
            losses.ContrastiveLoss(),
            {"neighbour_memory_size": None},
            TypeError,
            "neighbour_memory_size must be an integer",
        ),
    ],
)
def test_bad_options_are_refused(loss, options, error, message):
    with pytest.raises(error, match=message):
        AdaptiveNoiseAwareLoss(loss, **{"num_classes": K, "embedding_size": D, **options})


TRUTH = torch.arange(K).repeat_interleave(B // K)
RELABELLED = {"relabel": Relabelling(), "replay_memory": 0, "trust_threshold": 0.5}


def replacing(size: int) -> dict:
    """Nothing relabelled, everything replaced."""
    return {"replay_memory": size, "trust_threshold": 0.5}


def missing_of(labels: torch.Tensor, is_noisy: torch.Tensor) -> list[int]:
    """How many remembered samples of each class a batch asks for that has lost its wrong labels."""
    kept, n = (~is_noisy).sum().item(), len(labels)
    counts = [(labels == k).sum().item() for k in range(K)]
    left = [(labels[~is_noisy] == k).sum().item() for k in range(K)]
    return [min(2 * c, c * n // kept) - m for c, m in zip(counts, left, strict=True)]


def test_relabelled_rows_take_part_with_the_label_they_are_believed_to_have():
    loss = losses.MultiSimilarityLoss()
    wrapper = warmed(loss, **RELABELLED)
    embeddings, labels, is_noisy = batch(100)
    rows, labels_believed = believed(wrapper, embeddings, labels)
    assert rows[~is_noisy].all()
    assert torch.equal(labels_believed[rows], TRUTH[rows])
    value, gradient = value_and_gradient(loss, embeddings[rows], labels_believed[rows])
    wrapped_value, wrapped_gradient = value_and_gradient(wrapper, embeddings, labels)
    assert torch.equal(value, wrapped_value)
    assert torch.equal(gradient, wrapped_gradient[rows])


def test_relabelling_waits_for_a_settled_noise_rate_and_for_pairs_of_its_own():
    loss = losses.MultiSimilarityLoss()
    embeddings, labels, is_noisy = batch(100)
    rows = ~is_noisy
    unsettled = warmed(loss, **RELABELLED)
    recent = unsettled.noise_model.noise_rate_history.recent
    moving = torch.cat([recent[:-1], recent[-1:] + 0.2])
    with_state(unsettled, {"noise_model.noise_rate_history.recent": moving})
    assert torch.equal(unsettled(embeddings, labels), loss(embeddings[rows], labels[rows]))
    mined = miners.MultiSimilarityMiner(epsilon=1)(embeddings, labels)
    plain, relabelling = warmed(loss), warmed(loss, **RELABELLED)
    expected = plain(embeddings, labels, mined)
    assert torch.equal(relabelling(embeddings, labels, mined), expected)
    memory = losses.CrossBatchMemory(losses.ContrastiveLoss(), D, memory_size=2 * B)
    warmed(memory, **RELABELLED)(embeddings, labels)
    assert torch.equal(memory.label_memory[: memory.queue_idx], labels[rows])


def test_the_statistics_do_not_follow_relabelled_rows():
    embeddings, labels, _ = batch(100)
    plain, relabelling = (
        warmed(losses.ContrastiveLoss(), **options) for options in ({}, RELABELLED)
    )
    plain(embeddings, labels)
    relabelling(embeddings, labels)
    assert torch.equal(plain.class_statistics.means, relabelling.class_statistics.means)


def test_a_distrusted_sample_counts_a_tenth_of_a_trusted_one_for_the_centroids():
    wrapper = warmed(losses.ContrastiveLoss())
    embeddings, labels, is_noisy = batch(100)
    assert torch.equal(wrapper.trust(embeddings, labels) > 0.5, ~is_noisy)
    means = []
    for weight in (0.1, 0.0, 1.0):
        statistics = copy.deepcopy(wrapper.class_statistics)
        points = statistics.evidence(embeddings, labels).points
        weights = torch.where(is_noisy, weight, torch.ones(B, dtype=torch.float64))
        weights = robust_weights(points, Groups.by(labels), weights)
        statistics.update(embeddings, labels, weights)
        means.append(statistics.means)
    wrapper(embeddings, labels)
    torch.testing.assert_close(wrapper.class_statistics.means, means[0])
    # which is far from nothing, and from all
    for other in means[1:]:
        assert (wrapper.class_statistics.means - other).abs().max() > 1e-3


def test_a_class_whose_samples_are_all_distrusted_comes_back():
    wrapper = warmed(losses.ContrastiveLoss())
    elsewhere = CENTRES.clone()
    elsewhere[0] = -CENTRES[1]  # where class 0 lies from now on

    def moved(seed):
        generator = torch.Generator().manual_seed(seed)
        return elsewhere[TRUTH] + 0.3 * torch.randn(B, D, generator=generator)

    trust = wrapper.trust(moved(0), TRUTH)
    assert (trust[TRUTH == 0] < 0.5).all()
    for seed in range(4):  # twice as long if they did not count at all
        wrapper(moved(seed), TRUTH)
    assert (wrapper.trust(moved(4), TRUTH)[TRUTH == 0] > 0.5).all()


def believed(wrapper, embeddings, labels):
    """Rows that take part, and the labels they are believed to have."""
    evidence = wrapper.class_statistics.evidence(embeddings, labels)
    belief = wrapper.noise_model.believe(evidence, labels)
    takes_part, labels_believed = wrapper.doubtful_samples.relabel.decide(
        belief, wrapper.trust(embeddings, labels) > 0.5, wrapper.noise_rate
    )
    assert (labels_believed != labels).sum() > 10
    return takes_part, labels_believed


def test_below_the_least_noise_rate_doubtful_rows_are_left_out():
    loss = losses.MultiSimilarityLoss()
    wrapper = warmed(loss, **RELABELLED)
    embeddings, labels, _ = batch(100)
    rows, labels_believed = believed(wrapper, embeddings, labels)
    kept = rows & (labels_believed == labels)
    for min_noise_rate in (wrapper.noise_rate, wrapper.noise_rate - 0.01):
        wrapper = warmed(
            loss, **RELABELLED | {"relabel": Relabelling(min_noise_rate=min_noise_rate)}
        )
        relabels = min_noise_rate < wrapper.noise_rate
        chosen, y = (rows, labels_believed) if relabels else (kept, labels)
        assert torch.equal(wrapper(embeddings, labels), loss(embeddings[chosen], y[chosen]))


def test_centroids_lie_where_most_samples_of_a_class_are():
    wrapper = AdaptiveNoiseAwareLoss(losses.ContrastiveLoss(), K, D)
    statistics = ClassStatistics(K, D, centred=True)
    for seed in range(3):
        embeddings, labels, _ = batch(seed)
        wrapper(embeddings, labels)
        points = statistics.evidence(embeddings, labels).points
        ones = torch.ones(B, dtype=torch.float64)
        weights = robust_weights(points, Groups.by(labels), ones)
        statistics.update(embeddings, labels, weights)
    torch.testing.assert_close(wrapper.class_statistics.means, statistics.means)
    alike = ClassStatistics(K, D, centred=True)
    for seed in range(3):
        alike.update(*batch(seed)[:2])
    errors = [(s.distances(CENTRES).diagonal().mean()) for s in (wrapper.class_statistics, alike)]
    assert errors[0] < 0.8 * errors[1]


def test_references_are_relabelled_too():
    loss = losses.ContrastiveLoss()
    wrapper = warmed(loss, **RELABELLED)
    embeddings, labels, _ = batch(100)
    refs, ref_labels, _ = batch(101)
    q, y = believed(wrapper, embeddings, labels)
    r, z = believed(wrapper, refs, ref_labels)
    value = wrapper(embeddings, labels, None, refs, ref_labels)
    assert torch.equal(value, loss(embeddings[q], y[q], None, refs[r], z[r]))


def test_remembered_samples_stand_in_for_those_left_out():
    loss = losses.MultiSimilarityLoss()
    wrapper = warmed(loss, **replacing(2 * B))
    first, first_labels, first_noisy = batch(100)
    rows = ~first_noisy
    # nothing is remembered yet
    assert torch.equal(wrapper(first, first_labels), loss(first[rows], first_labels[rows]))
    embeddings, labels, is_noisy = batch(101)
    missing = missing_of(labels, is_noisy)
    stand_ins = torch.cat([first[rows & (first_labels == k)][: missing[k]] for k in range(K)])
    classes = torch.cat([first_labels[rows & (first_labels == k)][: missing[k]] for k in range(K)])
    order = torch.cat([(first == e).all(1).nonzero()[0] for e in stand_ins]).argsort()
    right = ~is_noisy
    expected, expected_gradient = value_and_gradient(
        lambda e: loss(
            torch.cat([e, stand_ins[order]]), torch.cat([labels[right], classes[order]])
        ),
        embeddings[right],
    )
    value, gradient = value_and_gradient(wrapper, embeddings, labels)
    assert len(stand_ins) > 10
    assert torch.equal(value, expected)
    assert torch.equal(gradient[right], expected_gradient)
    assert (gradient[is_noisy] == 0).all()


def test_what_is_remembered_has_been_trusted_as_labelled_and_was_not_relabelled():
    wrapper = warmed(losses.MultiSimilarityLoss(), **RELABELLED | {"replay_memory": 2 * B})
    embeddings, labels, _ = batch(100)
    rows, labels_believed = believed(wrapper, embeddings, labels)
    as_given = rows & (labels_believed == labels)
    assert as_given.sum() < rows.sum() - 10
    wrapper(embeddings, labels)
    remembered, classes = wrapper.replay_memory.of_age(torch.arange(int(as_given.sum())))
    assert torch.equal(remembered, embeddings[as_given])
    assert torch.equal(classes, labels[as_given])
    assert (wrapper.replay_memory.labels_by_age[len(classes) :] == -1).all()


def test_remembered_samples_are_judged_again():
    loss = losses.MultiSimilarityLoss()
    wrapper = warmed(loss, **replacing(2 * B))
    first, first_labels, first_noisy = batch(100)
    wrapper(first, first_labels)
    # what is remembered of two classes has become that of each other, as if the network had moved
    past = wrapper.replay_memory.labels_by_age
    swapped = torch.where(past == 0, 1, torch.where(past == 1, 0, past))
    with_state(wrapper.replay_memory, labels=swapped)
    embeddings, labels, is_noisy = batch(101)
    right = ~is_noisy
    missing = missing_of(labels, is_noisy)
    assert min(missing[:2]) > 0
    chosen = [first[~first_noisy & (first_labels == k)][: missing[k]] for k in range(2, K)]
    stand_ins = torch.cat(chosen)
    classes = torch.arange(2, K).repeat_interleave(torch.tensor([len(rows) for rows in chosen]))
    order = torch.cat([(first == e).all(1).nonzero()[0] for e in stand_ins]).argsort()
    expected = loss(
        torch.cat([embeddings[right], stand_ins[order]]), torch.cat([labels[right], classes[order]])
    )
    assert torch.equal(wrapper(embeddings, labels), expected)


def test_remembered_samples_are_used_in_training_and_in_self_made_pairs_only():
    loss = losses.MultiSimilarityLoss()
    wrapper = warmed(loss, **replacing(2 * B))
    wrapper(*batch(100)[:2])
    embeddings, labels, is_noisy = batch(101)
    right = ~is_noisy
    mined = miners.MultiSimilarityMiner(epsilon=1)(embeddings, labels)
    plain = warmed(loss)
    for args in ((labels, mined), (labels, None, embeddings.clone(), labels.clone())):
        twin = copy.deepcopy(wrapper)
        expected = copy.deepcopy(plain)(embeddings, *args)
        assert torch.equal(twin(embeddings, *args), expected)
    twin = copy.deepcopy(wrapper)
    assert not torch.equal(twin(embeddings, labels), loss(embeddings[right], labels[right]))
    wrapper.eval()
    assert torch.equal(wrapper(embeddings, labels), loss(embeddings, labels))


def test_a_memory_resumes_and_forgets_nothing_when_a_call_is_refused():
    def make():
        return warmed(losses.RankedListLoss(margin=1, Tn=1), **replacing(B))

    wrapper, resumed = make(), make()
    wrapper(*batch(100)[:2])
    resumed.load_state_dict(wrapper.state_dict())
    embeddings, labels, _ = batch(101)
    before = state_of(wrapper)
    mined = miners.TripletMarginMiner(margin=1.5)(embeddings, labels)
    with pytest.raises(ValueError, match="indices_tuple is not supported"):
        wrapper(embeddings, labels, mined)
    assert state_of(wrapper) == before
    assert torch.equal(wrapper(embeddings, labels), resumed(embeddings, labels))
    assert state_of(wrapper) == state_of(resumed)


def test_a_higher_threshold_keeps_fewer_rows_and_teaches_the_statistics_the_same():
    loss = losses.ContrastiveLoss()
    generator = torch.Generator().manual_seed(5)
    truth = torch.arange(K).repeat_interleave(B // K)
    embeddings = CENTRES[truth] + 3.0 * torch.randn(B, D, generator=generator)  # hard to tell
    labels, _ = inject_label_noise(truth, 0.25, num_classes=K, generator=generator)
    low, high = (warmed(loss, trust_threshold=q) for q in (0.5, 0.999))
    trust = low.trust(embeddings, labels)
    rows = trust > 0.999
    assert (rows != (trust > 0.5)).any()
    assert torch.equal(high(embeddings, labels), loss(embeddings[rows], labels[rows]))
    low(embeddings, labels)
    assert torch.equal(low.class_statistics.means, high.class_statistics.means)


def test_its_statistics_are_recorded_as_in_pml():
    embeddings, labels, is_noisy = batch(100)
    wrapper = warmed(losses.ContrastiveLoss(), **RELABELLED, collect_stats=True)
    assert all(getattr(wrapper, name) == 0 for name in wrapper._record_these_stats)
    wrapper(embeddings, labels)
    assert wrapper.stat_noise_rate == pytest.approx(0.25, abs=0.05)
    assert wrapper.stat_share_trusted == pytest.approx(float((~is_noisy).float().mean()))
    assert 0.5 * 0.25 < wrapper.stat_share_relabelled <= 0.25
    assert 0.01 <= wrapper.stat_temperature <= 2
    assert 0.05 <= wrapper.stat_spread <= 50
    names = {name for name in vars(wrapper) if name.startswith("stat_")}
    assert names == set(wrapper._record_these_stats)
    assert not any(name.startswith("stat_") for name in vars(warmed(losses.ContrastiveLoss())))


def test_with_very_many_classes_a_batch_is_compared_with_candidates():
    size, d, rows = 40_000, 8, 128
    truth = torch.arange(rows) // 4
    is_wrong = torch.arange(rows) % 4 == 3
    labels = 1000 * torch.where(is_wrong, (truth + 7) % 32, truth)
    centres = 3 * torch.randn(32, d, generator=torch.Generator().manual_seed(0))

    def embeddings(number):
        generator = torch.Generator().manual_seed(number)
        return centres[truth] + 0.3 * torch.randn(rows, d, generator=generator)

    wrapper, resumed = (
        AdaptiveNoiseAwareLoss(
            losses.ContrastiveLoss(), size, d, warmup=20, class_warmup=1, replay_memory=64
        )
        for _ in range(2)
    )
    for number in range(60):
        wrapper(embeddings(number), labels)
    with LargestTensor() as largest:
        wrapper(embeddings(60), labels)
    assert size * d <= largest.elements < rows * size / 2
    resumed.load_state_dict(wrapper.state_dict())
    for number in range(61, 64):
        value = wrapper(embeddings(number), labels)
        assert torch.equal(value, resumed(embeddings(number), labels))
    assert state_of(wrapper) == state_of(resumed)
    trust = wrapper.trust(embeddings(64), labels)
    assert torch.equal(trust > 0.5, ~is_wrong)
    posterior = wrapper.posterior(embeddings(64), labels)
    assert torch.equal(posterior.argmax(1), 1000 * truth)
    torch.testing.assert_close(posterior.sum(1), torch.ones(rows))
    torch.testing.assert_close(posterior.gather(1, labels[:, None]).squeeze(1), trust)


def test_an_undecided_model_keeps_the_likeliest_rows():
    embeddings, labels, is_noisy = batch(100)
    embeddings = embeddings + 1.2 * torch.randn(B, D)  # which lie between classes
    wrapper = warmed(losses.MultiSimilarityLoss())
    # nine labels of ten are expected to be wrong, and neighbours are next to unheard
    values = {"noise_rate": 0.9, "temperature": 2.0, "spread": 1.0, "vote_weight": 0.003}
    with_parameters(wrapper.noise_model, **values)
    trust = wrapper.trust(embeddings, labels)
    assert trust[trust > 0.5].sum() < trust.sum() / 2
    _, gradient = value_and_gradient(wrapper, embeddings, labels)
    rows = gradient.abs().sum(1) > 0
    assert (trust > 0.5).sum() < rows.sum() <= trust.sum()
    assert trust[rows].min() >= trust[~rows].max()
    assert not is_noisy[rows].any()


@pytest.mark.parametrize(("num_classes", "asks"), [(102, True), (103, False)])
def test_neighbours_vote_with_up_to_a_tenth_as_many_classes(num_classes, asks):
    # classes are told apart poorly, so that votes make a difference
    values = []
    for size in (0, 1024):
        wrapper = AdaptiveNoiseAwareLoss(
            losses.ContrastiveLoss(), num_classes, D, warmup=20, neighbour_memory_size=size
        )
        generator = torch.Generator().manual_seed(0)
        centres = torch.randn(num_classes, D, generator=generator)
        for _ in range(20):
            labels = torch.randint(num_classes, (B,), generator=generator)
            embeddings = centres[labels] + 0.5 * torch.randn(B, D, generator=generator)
            wrapper(embeddings, labels)
        values.append(wrapper.posterior(embeddings, labels.roll(1)))
    assert torch.equal(*values) != asks
    assert (wrapper.noise_model.neighbours is not None) == asks
    assert wrapper.noise_model.vote_weight != pytest.approx(0.2), "learnt, or 0"


def test_views_of_a_sample_share_the_votes_of_their_neighbours():
    wrapper = AdaptiveNoiseAwareLoss(losses.ContrastiveLoss(), K, D, num_views=2)
    for seed in range(40):
        embeddings, labels, _ = batch(seed)
        noise = torch.randn(B, D, generator=torch.Generator().manual_seed(seed))
        wrapper(torch.cat([embeddings, embeddings + noise]), labels.repeat(2))
    labels, ids = labels.repeat(2), torch.arange(B).repeat(2)
    rows = torch.cat([embeddings, embeddings + noise])
    evidence = wrapper.class_statistics.evidence(rows, labels, ids)
    belief = wrapper.noise_model.believe(evidence, labels)
    assert torch.equal(belief.trust[:B], belief.trust[B:])
    neighbours, votes = belief.answers["neighbours"]
    assert torch.equal(votes[:B], votes[B:])
    assert not torch.equal(neighbours[:B], neighbours[B:])


def test_the_least_noise_rate_reaches_the_label_model():
    wrapper = AdaptiveNoiseAwareLoss(losses.ContrastiveLoss(), K, D, noise_rate=0.4)
    for seed in range(30):
        embeddings, labels, _ = batch(seed, rate=0.0)
        wrapper.update(embeddings, labels)
    assert wrapper.noise_rate >= 0.4 - 1e-4
    with pytest.raises(ValueError, match="noise_rate must be"):
        AdaptiveNoiseAwareLoss(losses.ContrastiveLoss(), K, D, noise_rate=1.0)


@pytest.mark.parametrize(("classes", "has_one"), [(1000, True), (1001, False)])
def test_with_too_many_classes_there_is_no_second_opinion(classes, has_one):
    model = AdaptiveNoiseAwareLoss(losses.ContrastiveLoss(), classes, 2).noise_model
    assert (model.second_opinion is not None) == has_one
    assert (model.confusion_counts is not None) == has_one
