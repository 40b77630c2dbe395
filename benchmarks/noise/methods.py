"""The ways to train on wrong labels, by their names in the tables."""

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from pytorch_metric_learning import miners
from torch import Tensor

from benchmarks.noise.data import EMBEDDING_SIZE
from benchmarks.noise.losses import HYPERBOLIC, LOSSES
from benchmarks.noise.mined import Mined
from benchmarks.noise.prism import Prism
from pml_ahsml import (
    AdaptiveMargins,
    AdaptiveNoiseAwareLoss,
    ClassStatistics,
    HierarchicalSimilarityMiner,
    Relabelling,
)
from pml_ahsml.losses.arguments import new_noise_model


@dataclass(frozen=True)
class Told:
    """What a method may know about its training set.

    Args:
        class_counts: (K,) samples per label.
        noise_rate: the true share of wrong labels in a batch: its mean over classes.
        clean_ids: (M,) some samples whose labels are right.
    """

    class_counts: Tensor
    noise_rate: float
    clean_ids: Tensor

    @property
    def num_classes(self) -> int:
        """K, the number of classes."""
        return len(self.class_counts)

    @property
    def num_samples(self) -> int:
        """S, the size of the training set."""
        return int(self.class_counts.sum())


@dataclass(frozen=True)
class Method:
    """A way to train.

    Args:
        make_loss: makes the loss of the training from the plain loss and what is told.
        num_views: augmented views of each sample in a batch.
        is_ours: whether the loss is an AdaptiveNoiseAwareLoss.
        clean_only: whether to train without the samples whose labels are wrong, as a reference.
        cleaned: whether to train without the samples that an audit of the inputs would drop.
        is_hyperbolic: whether the plain loss has a PoincareDistance.
        needs_pairs: whether the plain loss must form pairs, not triplets.
        has_ids: whether the loss gets sample ids.
    """

    make_loss: Callable[[torch.nn.Module, Told], torch.nn.Module]
    num_views: int = 1
    is_ours: bool = False
    clean_only: bool = False
    cleaned: bool = False
    is_hyperbolic: bool = False
    needs_pairs: bool = False
    has_ids: bool = False

    def loss(self, name: str, told: Told) -> torch.nn.Module:
        """Make the loss of that name, as this method uses it."""
        plain = (HYPERBOLIC if self.is_hyperbolic else LOSSES)[name](told.num_classes)
        return self.make_loss(plain, told)


def _plain(loss: torch.nn.Module, _: Told) -> torch.nn.Module:
    return loss


def _prism(loss: torch.nn.Module, told: Told) -> Prism:
    return Prism(loss, told.num_classes, EMBEDDING_SIZE, told.noise_rate)


def wrap(loss: torch.nn.Module, told: Told, **options: Any) -> AdaptiveNoiseAwareLoss:
    """Wrap a loss in an AdaptiveNoiseAwareLoss with these options."""
    return AdaptiveNoiseAwareLoss(loss, told.num_classes, EMBEDDING_SIZE, **options)


def _wrap_and_tell_counts(loss: torch.nn.Module, told: Told) -> AdaptiveNoiseAwareLoss:
    return wrap(loss, told, class_counts=told.class_counts)


def _wrap_with_ids(loss: torch.nn.Module, told: Told) -> AdaptiveNoiseAwareLoss:
    return wrap(loss, told, num_samples=told.num_samples)


def _wrap_and_tell_clean_ids(loss: torch.nn.Module, told: Told) -> AdaptiveNoiseAwareLoss:
    return wrap(loss, told, num_samples=told.num_samples, clean_ids=told.clean_ids)


def _wrap_and_tell_noise_rate(loss: torch.nn.Module, told: Told) -> AdaptiveNoiseAwareLoss:
    return wrap(loss, told, num_samples=told.num_samples, noise_rate=told.noise_rate)


class _WithoutCounts(AdaptiveNoiseAwareLoss):
    """Does not count how often each class is labelled as another."""

    _new_noise_model = staticmethod(functools.partial(new_noise_model, max_counted_classes=0))


class _WithoutCentre(AdaptiveNoiseAwareLoss):
    """Takes directions from the origin, not from the running mean of all embeddings."""

    @staticmethod
    def _new_statistics(
        loss: torch.nn.Module, num_classes: int, embedding_size: int
    ) -> ClassStatistics:
        return ClassStatistics(num_classes, embedding_size)


def _wrap_without_counts(loss: torch.nn.Module, told: Told) -> AdaptiveNoiseAwareLoss:
    return _WithoutCounts(loss, told.num_classes, EMBEDDING_SIZE)


def _wrap_without_centre(loss: torch.nn.Module, told: Told) -> AdaptiveNoiseAwareLoss:
    return _WithoutCentre(loss, told.num_classes, EMBEDDING_SIZE)


def _mined(make_miner: Callable[[], miners.BaseMiner]) -> Method:
    return Method(lambda loss, _: Mined(loss, make_miner()))


def _ours(*, clean_only: bool = False, is_hyperbolic: bool = False, **options: Any) -> Method:
    margins = options.get("margins")
    return Method(
        functools.partial(wrap, **options),
        num_views=options.get("num_views", 1),
        is_ours=True,
        clean_only=clean_only,
        is_hyperbolic=is_hyperbolic,
        needs_pairs=isinstance(margins, AdaptiveMargins) and margins.view_margin,
    )


_MARGINS, _ALL_MARGINS = AdaptiveMargins(), AdaptiveMargins(view_margin=True)

# "ours" is what a user gets; the methods after it add or remove one part.
METHODS: dict[str, Method] = {
    "plain": Method(_plain),
    "prism": Method(_prism),
    "ours": _ours(),
    "ours_ids": Method(_wrap_with_ids, is_ours=True, has_ids=True),
    "ours_clean_ids": Method(_wrap_and_tell_clean_ids, is_ours=True, has_ids=True),
    "ours_told": Method(_wrap_and_tell_noise_rate, is_ours=True, has_ids=True),
    "trust": _ours(relabel=None, margins=None),
    "no_margins": _ours(margins=None),
    "all_margins": _ours(margins=_MARGINS),
    "no_relabelling": _ours(relabel=Relabelling(confidence=1.0)),
    "no_memory": _ours(replay_memory=0),
    "no_threshold": _ours(trust_threshold=0.5),
    "no_neighbours": _ours(neighbour_memory_size=0),
    "no_counts": Method(_wrap_without_counts, is_ours=True),
    "no_centre": Method(_wrap_without_centre, is_ours=True),
    "ours_class_counts": Method(_wrap_and_tell_counts, is_ours=True),
    "ours_views": _ours(num_views=2),
    "ours_views_all_margins": _ours(num_views=2, margins=_ALL_MARGINS),
    "ahsml_margins": _ours(warmup=None, margins=_MARGINS),
    "ahsml_views": _ours(warmup=None, num_views=2, margins=None),
    "ahsml_views_margins": _ours(warmup=None, num_views=2, margins=_MARGINS),
    "ahsml_views_all_margins": _ours(warmup=None, num_views=2, margins=_ALL_MARGINS),
    "hyperbolic": _ours(is_hyperbolic=True),
    "clean_only_margins": _ours(clean_only=True, warmup=None, margins=_MARGINS),
    "cleaned": Method(_plain, cleaned=True),
    "clean_only": Method(_plain, clean_only=True),
    "multi_similarity_miner": _mined(miners.MultiSimilarityMiner),
    "easy_hard_miner": _mined(miners.BatchEasyHardMiner),
    "fixed_margin_miner": _mined(lambda: HierarchicalSimilarityMiner(gamma=0.5)),
    "hierarchical_miner": _mined(HierarchicalSimilarityMiner),
}
OURS = tuple(name for name, method in METHODS.items() if method.is_ours)
MINERS = tuple(name for name in METHODS if name.endswith("_miner"))
