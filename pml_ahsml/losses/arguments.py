"""Argument checks of the wrapper and of the loss it wraps."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ..checks import (
    ValueCheck,
    check_count,
    check_flag,
    finite_rows,
    labels_in_range,
    to_tensor,
)
from ..classes.class_means import LabelOrder
from ..classes.class_statistics import ClassStatistics
from ..distances import HyperbolicDistance
from ..labels.clean_samples import CleanSamples
from ..labels.label_noise_model import LabelNoiseModel
from ..labels.second_opinion import SecondOpinion
from ..labels.witnesses import MOST_CLASSES
from ..labels.witnesses.neighbour_memory import SHORTEST_MEMORY, NeighbourMemory
from ..state.module_with_tables import ModuleWithTables
from . import view_pairs, wrapped_loss
from .batch import Batch
from .loss_traits import traits_of
from .queue_positions import WithQueues
from .row_selection import IndicesTuple
from .sample_identity import check_sample_ids

# With fewer remembered samples per class, voting is not worth its time.
_FEWEST_OF_A_CLASS = 10

_OF_THE_WRAPPED_LOSS = ("distance", "reducer", "embedding_regularizer", "embedding_reg_weight")


@dataclass(frozen=True)
class Arguments:
    """Checks the arguments of a call against the options of the wrapper.

    Args:
        loss: the wrapped loss.
        num_classes: K.
        embedding_size: D.
        num_views: V, views of each sample in a batch.
        needs_ref_labels: whether references need labels, because margins depend on them.
        num_samples: training set size S, or None if samples have no ids.
        state: the module whose numbers are read together with those that the checks need.
    """

    loss: torch.nn.Module
    num_classes: int
    embedding_size: int
    num_views: int
    needs_ref_labels: bool
    num_samples: int | None
    state: ModuleWithTables

    def batch(
        self,
        embeddings: Tensor,
        labels: Tensor | None,
        indices_tuple: IndicesTuple | None = None,
        ref_emb: Tensor | None = None,
        ref_labels: Tensor | None = None,
        enqueue_mask: Tensor | None = None,
        view_ids: Tensor | None = None,
        sample_ids: Tensor | None = None,
    ) -> Batch:
        """Return the checked arguments of a call; an error names the one that is wrong."""
        if ref_emb is embeddings and ref_labels is labels:
            # PML tells this by object identity and skips self-comparisons, as without references
            ref_emb = ref_labels = None
        labels, checks = self._labels(embeddings, labels)
        if ref_emb is not None:
            wrapped_loss.check_takes_references(self.loss)
            if ref_labels is not None:
                ref_labels, more = self._labels(ref_emb, ref_labels, ("ref_emb", "ref_labels"))
                checks += more
            else:
                checks.append(finite_rows("ref_emb", ref_emb, self.embedding_size))
                if self.needs_ref_labels:
                    raise ValueError("ref_labels must be given where margins are used, got None")
        if enqueue_mask is not None:
            wrapped_loss.check_enqueue_mask(self.loss, enqueue_mask, len(embeddings))
            enqueue_mask = enqueue_mask.to(embeddings.device)
        if view_ids is not None:
            view_ids, check = view_pairs.check_view_ids(view_ids, labels)
            checks.append(check)
        elif self.num_views > 1:
            view_ids, check = view_pairs.ids_by_layout(labels, self.num_views)
            checks.append(check)
        if sample_ids is not None:
            sample_ids, more = check_sample_ids(sample_ids, labels, self.num_samples)
            checks += more
        elif self.num_samples is not None:
            raise ValueError(
                f"sample_ids must be given with num_samples={self.num_samples}, got None; "
                "BatchGetter(loss) takes them from an IndexedDataset in a PML trainer"
            )
        order = LabelOrder.of(labels)
        (repetitions,) = self._read(checks, order.is_again.sum())
        refs, ids = (ref_emb, ref_labels), (view_ids, sample_ids)
        groups = order.groups(labels, int(repetitions))
        return Batch(embeddings, labels, indices_tuple, *refs, enqueue_mask, *ids, groups)

    def labels(self, embeddings: Tensor, labels: Tensor | None) -> Tensor:
        """Check embeddings and labels; return the labels as indices on the same device."""
        labels, checks = self._labels(embeddings, labels)
        for check in checks:
            check.now()
        return labels

    def _labels(
        self,
        embeddings: Tensor,
        labels: Tensor | None,
        names: tuple[str, str] = ("embeddings", "labels"),
    ) -> tuple[Tensor, list[ValueCheck]]:
        """Check what the host knows; return the labels on the same device, and checks of values."""
        finite = finite_rows(names[0], embeddings, self.embedding_size)
        if labels is None:
            raise ValueError(
                f"{names[1]} must be given, because the wrapper judges labels, got None; for pairs "
                "or triplets without labels use the loss without the wrapper"
            )
        # convert to indices: torch would take uint8 for a mask
        labels, in_range = labels_in_range(names[1], labels, len(embeddings), self.num_classes)
        return labels.to(embeddings.device), [finite, in_range]

    def _read(self, checks: list[ValueCheck], number: Tensor) -> list[float]:
        """Make the checks and return the number, all by one read."""
        here = [check.numbers.device == number.device for check in checks]
        numbers = [check.numbers for check, is_here in zip(checks, here, strict=True) if is_here]
        first, *others = self.state.read_numbers(number, *numbers)
        read = iter(others)
        for check, is_here in zip(checks, here, strict=True):
            # what is on the CPU takes no wait
            check.verify(next(read) if is_here else check.numbers.tolist())
        return first


def check_can_be_wrapped(loss: torch.nn.Module, num_views: int) -> None:
    """Raise for a wrapper, and for views in an unreduced loss with a separate view term."""
    name = type(loss).__name__
    if isinstance(loss, WithQueues):
        raise ValueError(f"loss must not be wrapped already, got {name}")
    if num_views > 1 and traits_of(loss).has_view_term and wrapped_loss.is_unreduced(loss):
        raise ValueError(
            f"num_views must be 1 for a {name} with a DoNothingReducer, whose "
            f"terms cannot be added, got {num_views}"
        )


def to_classes(classes: Tensor | Sequence[int] | None) -> Tensor | None:
    """Convert classes to a tensor; None stands for all classes."""
    if classes is None or isinstance(classes, Tensor):
        return classes
    wanted = to_tensor("classes", classes)
    # an empty list has no integer dtype
    return wanted if len(wanted) else wanted.long()


def check_base_options(options: dict[str, Any]) -> dict[str, Any]:
    """Check the options for PML's base class; those of the wrapped loss are errors."""
    for name in _OF_THE_WRAPPED_LOSS:
        if name in options:
            raise ValueError(
                f"{name} must be given to the wrapped loss, got it for AdaptiveNoiseAwareLoss"
            )
    collects = options.get("collect_stats")
    return (
        options
        if collects is None
        else {**options, "collect_stats": check_flag("collect_stats", collects)}
    )


def hyperbolic_distance(loss: torch.nn.Module) -> HyperbolicDistance | None:
    """Return the hyperbolic distance of a loss, which its class statistics share, or None."""
    distance = getattr(wrapped_loss.inner_loss(loss), "distance", None)
    return distance if isinstance(distance, HyperbolicDistance) else None


def find_scale(loss: torch.nn.Module, embeddings: Tensor) -> None:
    """Let the hyperbolic distance of a loss find its scale, before samples are judged by it."""
    distance = hyperbolic_distance(loss)
    if distance is not None:
        distance.find_scale(embeddings)


def new_statistics(loss: torch.nn.Module, num_classes: int, embedding_size: int) -> ClassStatistics:
    """Create class statistics with a loss's hyperbolic distance, or centred ones if it has none."""
    distance = hyperbolic_distance(loss)
    return ClassStatistics(num_classes, embedding_size, distance, centred=distance is None)


def check_same_geometry(loss: torch.nn.Module, statistics: ClassStatistics) -> None:
    """Raise unless the class statistics fit the distance of a new loss."""
    wanted = statistics.distance if statistics.keeps_norm else None
    if hyperbolic_distance(loss) is not wanted:
        distance = getattr(wrapped_loss.inner_loss(loss), "distance", None)
        raise ValueError(
            "loss must have the hyperbolic distance of the loss before it, or none if that had "
            f"none, because class statistics use it, got {type(loss).__name__} with "
            f"{type(distance).__name__}"
        )


def choose_neighbours(num_classes: int, embedding_size: int, size: int) -> NeighbourMemory | None:
    """Create the memory for k-NN voting; None if it is turned off or classes are too many."""
    size = check_count("neighbour_memory_size", size, minimum=0)
    if 0 < size < SHORTEST_MEMORY:
        raise ValueError(
            f"neighbour_memory_size must be 0 or at least {SHORTEST_MEMORY}, got {size}"
        )
    if size < _FEWEST_OF_A_CLASS * num_classes:
        return None
    return NeighbourMemory(num_classes, embedding_size, size)


def new_noise_model(
    num_classes: int,
    embedding_size: int,
    neighbour_memory_size: int,
    warmup: int | None,
    class_counts: Tensor | None,
    noise_rate: float | None,
    num_samples: int | None,
    clean_ids: Tensor | Sequence[int] | None = None,
    *,
    max_counted_classes: int = MOST_CLASSES,
) -> LabelNoiseModel:
    """Create the label model with the parts that suit the number of classes."""
    neighbours = choose_neighbours(num_classes, embedding_size, neighbour_memory_size)
    clean_samples = None
    if clean_ids is not None:
        if num_samples is None:
            raise ValueError("num_samples must be given where clean_ids are, got None")
        clean_samples = CleanSamples(num_samples, clean_ids)
    # without ids, it has not been measured with more classes
    is_asked = num_samples is not None or num_classes <= MOST_CLASSES
    opinion = SecondOpinion(num_classes, embedding_size, num_samples) if is_asked else None
    return LabelNoiseModel(
        num_classes,
        warmup=warmup,
        class_counts=class_counts,
        neighbours=neighbours,
        max_counted_classes=max_counted_classes,
        second_opinion=opinion,
        noise_rate=noise_rate,
        clean_samples=clean_samples,
    )


def check_not_transformed(embeddings: Tensor) -> None:
    """Raise inside torch.func.grad and similar transforms, in which nothing can be learnt."""
    try:
        embeddings.data_ptr()
    except RuntimeError:
        raise ValueError(
            "embeddings must be an ordinary tensor when the wrapper learns, got one inside a "
            "transform of torch.func: take gradients by backward() or torch.autograd.grad, or call "
            "eval() first, so that the wrapped loss sees all rows"
        ) from None
