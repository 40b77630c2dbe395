"""Losses, and the parts that losses are built of, at the doors of this package."""

import copy
from typing import Any

import torch
from pytorch_metric_learning import distances, losses, miners, reducers, regularizers
from pytorch_metric_learning.utils.distributed import DistributedLossWrapper

from benchmarks.poincare_losses import make
from pml_ahsml import (
    AdaptiveMargins,
    AdaptiveNoiseAwareLoss,
    HierarchicalSimilarityMiner,
    PoincareDistance,
)
from tests.contract.outcome import WORKS, attempt, ensure
from tests.noisy_batches import B, D, K, batch, value_and_gradient, warmed

# The wrapper as a filter and nothing else, whatever its defaults are.
FILTER: dict[str, Any] = {"margins": None, "relabel": None}

# PML accepts them without a word, but the gradient is not that of the distance.
_MISUSES = {"ManifoldLoss": "takes it and reads distances as similarities"}


class _Watched(PoincareDistance):
    """Counts its calls."""

    calls = 0

    def compute_mat(self, *args: Any) -> torch.Tensor:
        self.calls += 1
        return super().compute_mat(*args)

    def pairwise_distance(self, *args: Any) -> torch.Tensor:
        self.calls += 1
        return super().pairwise_distance(*args)


def _made(cls: type, **options: Any) -> Any:
    loss = make(cls, {}, K, D, **options)
    if cls is losses.NormalizedSoftmaxLoss and not options:
        # of dot products of embeddings of this size nothing but the largest would count
        loss.distance = distances.CosineSimilarity()
    return loss


def _overlapping() -> tuple[torch.Tensor, torch.Tensor]:
    """Classes near enough to each other for every loss to have something left to do."""
    embeddings, labels, _ = batch(100)
    noise = torch.randn(B, D, generator=torch.Generator().manual_seed(1))
    return embeddings + 2 * noise, labels


def poincare(cls: type) -> str:
    """``distance=PoincareDistance()``."""
    if cls.__name__ in _MISUSES:
        return _MISUSES[cls.__name__]
    distance = _Watched()
    embeddings, labels = _overlapping()

    def run() -> Any:
        loss = _made(cls, distance=distance)
        return value_and_gradient(loss, 0.3 * embeddings, labels)

    result, refused = attempt(cls, run)
    if refused:
        return refused
    if distance.calls == 0:
        return "takes it and ignores it"
    ensure(result[1].isfinite().all() and result[1].abs().sum() > 0, "gradient")
    return WORKS


def wrapped(cls: type) -> str:
    """Inside the wrapper: exactly the loss of the trusted rows."""
    loss = _made(cls)
    wrapper, refused = attempt(cls, lambda: warmed(loss, **FILTER))
    return refused or _filters(wrapper, copy.deepcopy(loss))


def with_margins(cls: type) -> str:
    """Inside the wrapper with AHSML's margins: another value, and still nothing of wrong rows."""
    loss = _made(cls)
    wrapper, refused = attempt(
        cls, lambda: warmed(loss, **{**FILTER, "margins": AdaptiveMargins()})
    )
    if refused:
        return refused
    embeddings, labels = _overlapping()
    rows = wrapper.trust(embeddings, labels) > 0.5
    value, gradient = value_and_gradient(wrapper, embeddings, labels)
    plain = loss(embeddings[rows], labels[rows])
    ensure(value.isfinite() and gradient.isfinite().all(), "finite")
    ensure((gradient[~rows] == 0).all(), "no gradient for distrusted rows")
    ensure(not torch.isclose(value, plain, rtol=1e-4), "the margins change the value")
    return WORKS


def in_memory(cls: type) -> str:
    """In a CrossBatchMemory inside the wrapper, which then remembers trusted rows only."""
    memory, refused = attempt(
        cls, lambda: losses.CrossBatchMemory(_made(cls), D, memory_size=2 * B)
    )
    if refused:
        return refused
    wrapper, refused = attempt(cls, lambda: warmed(memory, **FILTER))
    if refused:
        return refused
    outcome = _filters(wrapper, copy.deepcopy(memory))
    _, labels, is_noisy = batch(100)
    count = int((~is_noisy).sum())
    ensure(memory.queue_idx == count, "as many rows remembered as are trusted")
    ensure(torch.equal(memory.label_memory[:count], labels[~is_noisy]), "the trusted rows")
    return outcome


def _filters(wrapper: Any, twin: Any) -> str:
    """The wrapper on a batch against a twin of the wrapped loss on its rightly labelled rows."""
    embeddings, labels, is_noisy = batch(100)
    rows = ~is_noisy
    torch.manual_seed(0)
    value, gradient = value_and_gradient(wrapper, embeddings, labels)
    torch.manual_seed(0)  # NPairsLoss and others draw pairs
    expected, expected_gradient = value_and_gradient(twin, embeddings[rows], labels[rows])
    ensure(torch.allclose(value, expected, rtol=1e-6, atol=0), f"{value} is not {expected}")
    ensure(
        torch.allclose(gradient[rows], expected_gradient, rtol=1e-5, atol=1e-8), "the same gradient"
    )
    ensure((gradient[is_noisy] == 0).all(), "no gradient for wrong labels")
    return WORKS


# --- losses that hold losses ---------------------------------------------------------------------


def _holding(cls: type, loss: Any) -> Any:
    if cls is losses.MultipleLosses:
        return cls([loss])
    if cls is losses.CrossBatchMemory:
        return cls(loss, D, memory_size=2 * B)
    return cls(loss)


def _call_holder(holder: Any, embeddings: torch.Tensor, labels: torch.Tensor) -> Any:
    if isinstance(holder, losses.SelfSupervisedLoss):
        half = len(embeddings) // 2
        return holder(embeddings[:half], embeddings[half:])
    return holder(embeddings, labels)


def holder_with_poincare(cls: type) -> str:
    """Around a loss with a PoincareDistance."""
    holder, refused = attempt(
        cls, lambda: _holding(cls, losses.NTXentLoss(distance=PoincareDistance()))
    )
    if refused:
        return refused
    embeddings, labels, _ = batch(100, rate=0)
    embeddings = (0.2 * embeddings).requires_grad_()
    _call_holder(holder, embeddings, labels).backward()
    ensure(embeddings.grad.isfinite().all() and embeddings.grad.abs().sum() > 0, "gradient")
    return WORKS


def holder_inside(cls: type) -> str:
    """Inside the wrapper."""
    holder = _holding(cls, losses.NTXentLoss())
    wrapper, refused = attempt(cls, lambda: warmed(holder, **FILTER))
    return refused or _filters(wrapper, copy.deepcopy(holder))


def holder_around(cls: type) -> str:
    """Around the wrapper."""
    wrapper = warmed(losses.NTXentLoss(), **FILTER)
    holder, refused = attempt(cls, lambda: _holding(cls, wrapper))
    if refused:
        return refused
    if cls is DistributedLossWrapper:
        return "works (tests/distributed)"
    twin = _holding(cls, losses.NTXentLoss())
    return _filters(holder, twin)


# --- miners --------------------------------------------------------------------------------------

# Thresholds for distances in [0, 9.2].
_MINER_SETTINGS: dict[str, dict[str, Any]] = {
    "PairMarginMiner": {"pos_margin": 1, "neg_margin": 8},
    "TripletMarginMiner": {"margin": 5},
    "UniformHistogramMiner": {"num_bins": 10, "pos_per_bin": 2, "neg_per_bin": 2},
    "MultiSimilarityMiner": {"epsilon": 5},
}


def _mined(miner: Any, is_hyperbolic: bool) -> Any:
    embeddings, labels, _ = batch(100)
    if isinstance(miner, miners.EmbeddingsAlreadyPackagedAsTriplets):
        # anchor, positive and negative of each triplet in a row, by the labels as given
        rows = torch.cat(
            [
                torch.cat([(labels == k).nonzero()[:2, 0], (labels != k).nonzero()[k : k + 1, 0]])
                for k in range(K)
            ]
        )
        embeddings, labels = embeddings[rows], labels[rows]
    scaled = 0.3 * embeddings if is_hyperbolic else embeddings
    return embeddings, labels, miner(scaled, labels)


def miner_with_poincare(cls: type) -> str:
    """``distance=PoincareDistance()``: finds pairs or triplets."""
    setting = _MINER_SETTINGS.get(cls.__name__, {})
    miner, refused = attempt(cls, lambda: cls(distance=PoincareDistance(), **setting))
    if refused:
        return refused
    (_, _, mined), refused = attempt(cls, lambda: _mined(miner, True))
    if refused:
        return refused
    ensure(all(len(rows) > 0 for rows in mined), "something mined")
    return WORKS


def miner_to_wrapper(cls: type) -> str:
    """What it mines goes through the wrapper: the rows trusted and no others get a gradient."""
    embeddings, labels, mined = _mined(cls(), False)
    ensure(any(len(rows) > 0 for rows in mined), "something mined")
    loss = losses.TripletMarginLoss(margin=3)
    wrapper = warmed(loss, **FILTER)
    trusted = wrapper.trust(embeddings, labels) > 0.5
    ensure(not trusted.all() and trusted.any(), "some rows distrusted")
    kept = [trusted[rows.long()] for rows in mined]
    groups = [kept] if len(kept) == 3 else [kept[:2], kept[2:]]
    number = trusted.cumsum(0) - 1
    filtered: list[torch.Tensor] = []
    for group in groups:
        keep = torch.stack(group).all(0)
        start = len(filtered)
        members = mined[start : start + len(group)]
        filtered += [number[rows.long()[keep]] for rows in members]
    value, gradient = value_and_gradient(wrapper, embeddings, labels, mined)
    expected = loss(embeddings[trusted], labels[trusted], tuple(filtered))
    ensure(torch.equal(value, expected), f"{value} is not {expected}")
    ensure((gradient[~trusted] == 0).all(), "no gradient for distrusted rows")
    return WORKS


# --- reducers, regularizers, distances -----------------------------------------------------------


def _reducer(cls: type) -> Any:
    if cls is reducers.MultipleReducers:
        return cls({"pos_loss": reducers.SumReducer()})
    if cls is reducers.ClassWeightedReducer:
        return cls(torch.linspace(0.5, 2, K))
    return cls(low=0.1) if cls is reducers.ThresholdReducer else cls()


def reducer_of_wrapped(cls: type) -> str:
    """``reducer=`` of the wrapped loss."""
    # the one reducer that needs a divisor is this loss's own
    divides = cls is reducers.DivisorReducer
    make_loss = losses.MarginLoss if divides else losses.ContrastiveLoss
    distance = distances.LpDistance(normalize_embeddings=False)
    options = {} if divides else {"pos_margin": 0.1, "neg_margin": 20, "distance": distance}
    loss = make_loss(reducer=_reducer(cls), **options)
    wrapper, refused = attempt(cls, lambda: warmed(loss, **FILTER))
    if refused:
        return refused
    if cls is not reducers.DoNothingReducer:
        return _filters(wrapper, copy.deepcopy(loss))
    embeddings, labels, is_noisy = batch(100)
    rows = (~is_noisy).nonzero().squeeze(1)
    expected = loss(embeddings[rows], labels[rows])
    for name, info in wrapper(embeddings, labels).items():
        ensure(torch.equal(info["losses"], expected[name]["losses"]), "the same single losses")
        for ours, theirs in zip(info["indices"], expected[name]["indices"], strict=True):
            ensure(torch.equal(ours, rows[theirs]), "the caller's rows")
    return "works: indices are those of the caller's rows"


def reducer_of_wrapper(cls: type) -> str:
    """``reducer=`` of the wrapper itself."""
    _, refused = attempt(
        cls,
        lambda: AdaptiveNoiseAwareLoss(losses.ContrastiveLoss(), K, D, reducer=_reducer(cls)),
    )
    return refused or WORKS


def _regularizer(cls: type) -> Any:
    if cls is regularizers.SparseCentersRegularizer:
        return cls(K, 10)
    return cls()


def embedding_regularizer(cls: type) -> str:
    """``embedding_regularizer=`` of the wrapped loss sees the trusted rows."""
    loss = losses.ContrastiveLoss(embedding_regularizer=_regularizer(cls))
    embeddings, labels, is_noisy = batch(100)
    _, refused = attempt(cls, lambda: loss(embeddings[~is_noisy], labels[~is_noisy]))
    return refused or _filters(warmed(loss, **FILTER), copy.deepcopy(loss))


def weight_regularizer(cls: type) -> str:
    """``weight_regularizer=`` of the wrapped loss."""
    # the one with several centres for each class
    make_loss = losses.SoftTripleLoss if cls is regularizers.SparseCentersRegularizer else None
    make_loss = make_loss or losses.CosFaceLoss
    loss = make_loss(K, D, weight_regularizer=_regularizer(cls))
    return _filters(warmed(loss, **FILTER), copy.deepcopy(loss))


def regularizer_with_poincare(cls: type) -> str:
    """``distance=PoincareDistance()`` of the regularizer."""
    options = (
        {"num_classes": K, "centers_per_class": 10}
        if cls is regularizers.SparseCentersRegularizer
        else {}
    )
    distance = _Watched()
    result, refused = attempt(cls, lambda: cls(distance=distance, **options)(torch.randn(K, D)))
    if refused:
        return refused
    ensure(result.isfinite(), "finite")
    return "takes it and ignores it" if distance.calls == 0 else WORKS


def distance_wrapped(cls: type) -> str:
    """Distance of a wrapped loss."""
    loss = losses.NTXentLoss(distance=cls())
    return _filters(warmed(loss, **FILTER), copy.deepcopy(loss))


def distance_margins(cls: type) -> str:
    """Distance of a wrapped loss with margins."""
    loss = losses.NTXentLoss(distance=cls())
    wrapper, refused = attempt(
        cls, lambda: warmed(loss, **{**FILTER, "margins": AdaptiveMargins()})
    )
    if refused:
        return refused
    embeddings, labels, is_noisy = batch(100)
    value, gradient = value_and_gradient(wrapper, embeddings, labels)
    ensure(value.isfinite() and (gradient[is_noisy] == 0).all(), "finite, of trusted rows")
    return WORKS


def distance_miner(cls: type) -> str:
    """Distance of our miner."""
    miner, refused = attempt(cls, lambda: HierarchicalSimilarityMiner(cls()))
    if refused:
        return refused
    _, _, mined = _mined(miner, False)
    ensure(len(mined[0]) + len(mined[2]) > 0, "something mined")
    return WORKS
