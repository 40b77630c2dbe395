"""An audit, put together from an opinion on every label."""

from dataclasses import dataclass

import torch
from torch import Tensor

from .arguments import Classes
from .judging.unusual_samples import contradicting_duplicates, far_from_all
from .label_audit import LabelAudit

# With more classes, a tree of them has too many leaves to look at.
_MOST_OF_A_TREE = 2000


@dataclass(frozen=True)
class Opinion:
    """What is thought of every label, whoever thinks it.

    Args:
        trust: (N,) probability that each label is right.
        suggested: (N,) likeliest class.
        confidence: (N,) probability of the likeliest class.
        is_judged: (N,) bool.
        noise_rate: expected share of wrong labels.
        noise_rate_interval: its bounds.
    """

    trust: Tensor
    suggested: Tensor
    confidence: Tensor
    is_judged: Tensor
    noise_rate: float
    noise_rate_interval: tuple[float, float]


def assembled(
    points: Tensor,
    labels: Tensor,
    opinion: Opinion,
    neighbours: Tensor,
    classes: Classes,
    sample_names: tuple[str, ...] | None,
) -> LabelAudit:
    """Add to an opinion what does not depend on it: neighbours, duplicates, distances of classes.

    Args:
        points: (N, D), rows of norm 1.
        labels: (N,) numbers of the classes of the labels as given.
        opinion: on each of them.
        neighbours: (N, k) rows of the nearest other samples, -1 for none.
        classes: the K classes. The audit shows their values, where they have any.
        sample_names: N names, or None.
    """
    pairs, cosines = contradicting_duplicates(points, labels, neighbours)
    distances = None
    if len(classes.names) <= _MOST_OF_A_TREE:
        means = class_means(points, opinion.suggested, len(classes.names))
        distances = torch.cdist(means, means)
    values = classes.values
    return LabelAudit(
        labels=labels if values is None else values[labels],
        trust=opinion.trust,
        suggested=opinion.suggested if values is None else values[opinion.suggested],
        confidence=opinion.confidence,
        is_judged=opinion.is_judged,
        is_of_no_class=far_from_all(points, neighbours),
        noise_rate=opinion.noise_rate,
        noise_rate_interval=opinion.noise_rate_interval,
        neighbours=neighbours,
        duplicate_pairs=pairs,
        duplicate_similarity=cosines,
        class_distances=distances,
        class_names=classes.names,
        sample_names=sample_names,
        class_values=values,
    )


def class_means(points: Tensor, classes: Tensor, num_classes: int) -> Tensor:
    """Mean of the samples of each class.

    Args:
        points: (N, D).
        classes: (N,).
        num_classes: K.

    Returns:
        (K, D); nan for classes without samples.

    Example:
        >>> class_means(torch.tensor([[1.0], [3.0]]), torch.tensor([1, 1]), 2)
        tensor([[nan],
                [2.]])
    """
    sums = torch.zeros(num_classes, points.shape[1], dtype=torch.float64)
    counts = torch.bincount(classes, minlength=num_classes)
    return (sums.index_add_(0, classes, points.double()) / counts[:, None]).float()
