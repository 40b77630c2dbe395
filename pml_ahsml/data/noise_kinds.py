"""The kinds of label noise: one function each, and the registry that names them.

To add a kind, write its function and add a line to ``KINDS``. The function takes a ``NoiseTask``
and the options of its entry as keywords, checks these options, and returns the noisy labels, (N,)
int64. It works on the CPU, whatever torch's default device.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from ..checks import check_labels
from .noise_options import (
    check_leads_to,
    checked_embeddings,
    checked_similarity,
    checked_transition_matrix,
    checked_vector,
)

Generator = torch.Generator | None

# "near" noise draws from this many classes, between "pair" (1) and "symmetric" (all others).
_NEAR_CLASSES = 5

# Samples of a dissolved class that stay together in "small_cluster" noise: a batch of PML's
# MPerClassSampler with m=4 can hold a whole group.
_GROUP_SIZE = 4


@dataclass(frozen=True)
class NoiseTask:
    """What every kind of noise works on. All tensors are on the CPU.

    Args:
        clean: (N,) int64, the clean labels.
        count: number of labels to make wrong; 0 if an option determines it.
        classes: (C,) ascending, the classes that wrong labels may come from: those in ``clean``, or
            all K if the user gave ``num_classes``.
        num_classes: K, larger than every label.
        generator: the source of randomness.
    """

    clean: Tensor
    count: int
    classes: Tensor
    num_classes: int
    generator: Generator

    def places(self) -> Tensor:
        """Find the clean labels in ``classes``, (N,); raise if there is only one class."""
        if len(self.clean) and len(self.classes) < 2:
            raise ValueError(
                "labels must hold at least 2 classes, because wrong labels come from the classes "
                f"that occur, got {len(self.classes)}"
            )
        return torch.searchsorted(self.classes, self.clean)


@dataclass(frozen=True)
class NoiseKind:
    """A kind of noise and the options of ``inject_label_noise`` that it takes.

    Args:
        draw: ``draw(task, **options)`` returns the noisy labels.
        one_of: names of its options; the user gives one of them.
        is_optional: whether the user may give none.
        sets_rate: whether an option determines how many labels are wrong; the rate must then be
            None.
    """

    draw: Callable[..., Tensor]
    one_of: tuple[str, ...] = ()
    is_optional: bool = False
    sets_rate: bool = False


def symmetric(task: NoiseTask) -> Tensor:
    """Give ``count`` random samples another class, each class equally likely."""
    places = task.places()
    chosen = _choose(task)
    # an offset of 1 … C−1 around the circle of classes reaches every other class equally often
    offset = _random_integers(task, 1, len(task.classes), task.count)
    return _replace(task, chosen, task.classes[(places[chosen] + offset) % len(task.classes)])


def near(
    task: NoiseTask, class_similarity: Tensor | None = None, embeddings: Tensor | None = None
) -> Tensor:
    """Give ``count`` random samples one of the classes most similar to theirs."""
    return _neighbours(task, _NEAR_CLASSES, class_similarity, embeddings)


def pair(
    task: NoiseTask, class_similarity: Tensor | None = None, embeddings: Tensor | None = None
) -> Tensor:
    """Give ``count`` random samples the class most similar to theirs."""
    return _neighbours(task, 1, class_similarity, embeddings)


def small_cluster(task: NoiseTask) -> Tensor:
    """Split random classes into small groups; each group joins a class that is kept."""
    places, count, num_classes = task.places(), task.count, len(task.classes)
    order = torch.randperm(num_classes, generator=task.generator, device="cpu")
    sizes = torch.bincount(places, minlength=num_classes)[order]
    before = sizes.cumsum(0) - sizes  # samples of the classes dissolved before each one
    dissolved, kept = order[before < count], order[before >= count]
    if count > 0 and len(kept) == 0:
        raise ValueError(
            f"rate must leave a class for small_cluster noise, got {count} of {len(places)} samples"
        )
    noisy = places.clone()
    for k in dissolved.tolist():
        rows = (places == k).nonzero().squeeze(1)
        rows = rows[torch.randperm(len(rows), generator=task.generator, device="cpu")][:count]
        count -= len(rows)
        for group in rows.split(_GROUP_SIZE):
            noisy[group] = kept[_random_integers(task, 0, len(kept), 1)]
    return task.classes[noisy]


def open_set(task: NoiseTask, open_classes: Tensor | None = None) -> Tensor:
    """Give all samples of the open classes a random class that is kept."""
    if open_classes is None:
        outside = _choose_open_classes(task)
    else:
        outside = checked_vector("open_classes", open_classes)
        check_labels("open_classes", outside, len(outside), task.num_classes)
    is_open = torch.zeros(task.num_classes, dtype=torch.bool, device="cpu")
    is_open[outside] = True
    occurs = torch.bincount(task.clean, minlength=task.num_classes) > 0
    kept = (occurs & ~is_open).nonzero().squeeze(1)
    if len(kept) == 0 and len(task.clean) > 0:
        raise ValueError(f"open_classes must leave a class, got all {task.num_classes} classes")
    chosen = is_open[task.clean].nonzero().squeeze(1)
    if len(chosen) == 0:
        return task.clean.clone()
    return _replace(task, chosen, kept[_random_integers(task, 0, len(kept), len(chosen))])


def instance(task: NoiseTask, embeddings: Tensor) -> Tensor:
    """Give ``count`` samples their nearest other class; ambiguous samples are the most likely."""
    rows, means = _rows_and_means(
        checked_embeddings(embeddings, len(task.clean)), task.clean, task.num_classes
    )
    absent = torch.bincount(task.clean, minlength=task.num_classes) == 0
    if task.count > 0 and int((~absent).sum()) < 2:
        raise ValueError("labels must hold at least 2 classes for instance noise, got 1")
    similarity = (rows @ means.T).masked_fill(absent, -torch.inf)
    own = similarity.gather(1, task.clean[:, None])
    others, nearest = similarity.scatter(1, task.clean[:, None], -torch.inf).max(1)
    lead = others - own.squeeze(1)
    # Gumbel trick: the largest log-weights plus Gumbel noise are draws without replacement
    uniform = torch.rand(len(lead), generator=task.generator, dtype=lead.dtype, device="cpu")
    gumbel = -(-uniform.clamp_min(torch.finfo(lead.dtype).tiny).log()).log()
    spread = lead.std(unbiased=False).clamp_min(torch.finfo(lead.dtype).eps) if len(lead) else 1
    chosen = (lead / spread + gumbel).topk(task.count).indices
    return _replace(task, chosen, nearest[chosen])


def transition(task: NoiseTask, transition_matrix: Tensor) -> Tensor:
    """Draw each label from the row of its class."""
    matrix = checked_transition_matrix(transition_matrix, task.num_classes)
    check_leads_to(matrix, task.clean.unique(), task.classes)
    drawn = task.clean.clone()
    for k in task.clean.unique().tolist():
        rows = task.clean == k
        drawn[rows] = torch.multinomial(
            matrix[k], int(rows.sum()), replacement=True, generator=task.generator
        )
    return drawn


KINDS = {
    "symmetric": NoiseKind(symmetric),
    "near": NoiseKind(near, one_of=("class_similarity", "embeddings")),
    "pair": NoiseKind(pair, one_of=("class_similarity", "embeddings")),
    "small_cluster": NoiseKind(small_cluster),
    "open_set": NoiseKind(open_set, one_of=("open_classes",), is_optional=True, sets_rate=True),
    "instance": NoiseKind(instance, one_of=("embeddings",)),
    "transition": NoiseKind(transition, one_of=("transition_matrix",), sets_rate=True),
}


def mean_similarity(embeddings: Tensor, labels: Tensor, num_classes: int) -> Tensor:
    """Compute the (K, K) cosines between the class means of the normalised rows."""
    _, means = _rows_and_means(embeddings, labels, num_classes)
    return means @ means.T


def _rows_and_means(embeddings: Tensor, labels: Tensor, num_classes: int) -> tuple[Tensor, Tensor]:
    """Normalised rows (N, D) and normalised class means (K, D), 0 for classes without a row."""
    rows = torch.nn.functional.normalize(embeddings.detach().cpu().double())
    sums = rows.new_zeros(num_classes, rows.shape[1])
    sums.index_add_(0, labels.cpu().long(), rows)
    return rows, torch.nn.functional.normalize(sums)


def _neighbours(
    task: NoiseTask,
    num_neighbours: int,
    class_similarity: Tensor | None,
    embeddings: Tensor | None,
) -> Tensor:
    classes = task.classes
    if embeddings is not None:
        embeddings = checked_embeddings(embeddings, len(task.clean))
        classes = task.clean.unique()  # classes without samples have no embeddings
    places = replace(task, classes=classes).places()
    if embeddings is not None:
        similarity = mean_similarity(embeddings, places, len(classes))
    else:
        assert class_similarity is not None  # inject_label_noise checks that one is given
        similarity = checked_similarity(class_similarity, classes, task.num_classes)
    chosen = _choose(task)
    similarity = similarity.clone().fill_diagonal_(-torch.inf)
    nearest = similarity.topk(min(num_neighbours, len(classes) - 1)).indices
    which = _random_integers(task, 0, nearest.shape[1], task.count)
    return _replace(task, chosen, classes[nearest[places[chosen], which]])


def _choose_open_classes(task: NoiseTask) -> Tensor:
    """Choose random whole classes, as long as they bring their samples closer to ``count``."""
    order = torch.randperm(task.num_classes, generator=task.generator, device="cpu")
    sizes = torch.bincount(task.clean, minlength=task.num_classes)[order]
    total, chosen = 0, []
    for k, size in zip(order.tolist(), sizes.tolist(), strict=True):
        if size > 0 and abs(total + size - task.count) < abs(total - task.count):
            total += size
            chosen.append(k)
    if task.count > 0 and not chosen:
        raise ValueError(
            "rate must amount to at least half a class for open_set noise, got "
            f"{task.count} of {len(task.clean)} samples"
        )
    return torch.tensor(chosen, dtype=torch.long, device="cpu")


def _choose(task: NoiseTask) -> Tensor:
    """Choose ``count`` random rows."""
    return torch.randperm(len(task.clean), generator=task.generator, device="cpu")[: task.count]


def _random_integers(task: NoiseTask, low: int, high: int, count: int) -> Tensor:
    """Draw ``count`` random integers in [low, high)."""
    return torch.randint(low, high, (count,), generator=task.generator, device="cpu")


def _replace(task: NoiseTask, rows: Tensor, labels: Tensor) -> Tensor:
    """Return the clean labels with new labels at some rows."""
    noisy = task.clean.clone()
    noisy[rows] = labels
    return noisy
