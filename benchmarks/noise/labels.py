"""The wrong labels of a row."""

from typing import Any

import torch
from torch import Tensor

from benchmarks.noise.data import Benchmark
from pml_ahsml import inject_label_noise
from pml_ahsml.data.noise_kinds import mean_similarity

NO_NOISE = "none:0"

# given:NAME, labels that somebody really gave
_GIVEN = "given"

# Kinds that ask which samples or classes are alike.
_BY_SIMILARITY = ("near", "pair", "instance")


def noisy_labels(noise: str, seed: int, data: Benchmark) -> Tensor:
    """The training labels of a row, the same for all its runs.

    Args:
        noise: kind:rate, with a kind of ``inject_label_noise`` or "one_way": of every second class
            twice the rate is labelled as the class nearest to it, and nothing the other way round;
            or given:NAME, the labels that NAME gave.
        seed: of the wrong labels; of given ones, which set of those that there are.
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
    """(K, K) how often a sample of class k is labelled y."""
    similarity = mean_similarity(inputs, labels, num_classes)
    similarity.fill_diagonal_(-torch.inf)
    matrix = torch.eye(num_classes)
    confused = torch.arange(0, num_classes, 2)
    matrix[confused, confused] -= 2 * rate
    matrix[confused, similarity.argmax(1)[confused]] = 2 * rate
    return matrix
