"""Makes the noisy labels of a row."""

from typing import Any

import torch
from torch import Tensor

from benchmarks.noise.data import Benchmark
from benchmarks.noise.weak_annotators import weak_labels
from pml_ahsml import inject_label_noise
from pml_ahsml.data.noise_kinds import mean_similarity

NO_NOISE = "none:0"

# given:NAME stands for real labels from the source NAME
_GIVEN = "given"

# weak:NAME stands for labels from the annotator NAME
_WEAK = "weak"

# Kinds that depend on the similarity of samples or classes.
_BY_SIMILARITY = ("near", "pair", "instance")


def noisy_labels(noise: str, seed: int, data: Benchmark) -> Tensor:
    """Make the training labels of a row, the same for all its runs.

    Args:
        noise: kind:rate, given:NAME or weak:NAME. The kind is one of ``inject_label_noise``, or
            "one_way": every second class loses twice the rate of its samples to its nearest class,
            and none go the other way. given:NAME takes the real labels from the source NAME,
            weak:NAME those of an annotator in ``weak_annotators``.
        seed: seed of the noise; for given labels, it chooses the set.
        data: the data set.
    """
    inputs, labels = data.train
    if noise == NO_NOISE:
        return labels
    kind, number = noise.split(":")
    if kind == _GIVEN:
        if number not in data.given:
            raise ValueError(f"noise must be given by one of {sorted(data.given)}, got {number!r}")
        return data.given[number][seed % len(data.given[number])]
    if kind == _WEAK:
        return weak_labels(number, seed, data)
    rate = float(number)
    options: dict[str, Any] = {"rate": rate, "kind": kind}
    if kind == "one_way":
        matrix = one_way_matrix(rate, inputs.flatten(1), labels, data.num_classes)
        options = {"rate": None, "kind": "transition", "transition_matrix": matrix}
    elif kind in _BY_SIMILARITY:
        options["embeddings"] = inputs.flatten(1)
    return inject_label_noise(
        labels,
        num_classes=data.num_classes,
        generator=torch.Generator().manual_seed(seed),
        **options,
    )[0]


def one_way_matrix(rate: float, inputs: Tensor, labels: Tensor, num_classes: int) -> Tensor:
    """Compute the (K, K) probabilities that a sample of class k is labelled y."""
    similarity = mean_similarity(inputs, labels, num_classes)
    similarity.fill_diagonal_(-torch.inf)
    matrix = torch.eye(num_classes)
    confused = torch.arange(0, num_classes, 2)
    matrix[confused, confused] -= 2 * rate
    matrix[confused, similarity.argmax(1)[confused]] = 2 * rate
    return matrix
