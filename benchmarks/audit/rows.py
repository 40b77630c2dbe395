"""One row: an audit of a data set's frozen features, told nothing, against the truth."""

import time
from dataclasses import dataclass
from pathlib import Path

import torch
from sklearn.metrics import average_precision_score
from torch import Tensor

from benchmarks.audit import scores
from benchmarks.noise.data import load
from benchmarks.noise.labels import NO_NOISE, noisy_labels
from pml_ahsml import audit_labels

_CHANCE = ("symmetric:0.5", "near:0.4", "pair:0.2", NO_NOISE)

#: (data set, labels): labels that somebody really gave, then chance noise and none
ROWS = (
    ("clinc", "given:annotator"),
    ("hwu", "given:annotator"),
    ("trec", "given:majority"),
    ("hausa", "given:distant"),
    ("cifar10n", "given:worst"),
    ("cifar10n", "given:random1"),
    ("cifar10n", "given:aggregate"),
    *((data, noise) for data in ("clinc", "hwu", "digits") for noise in _CHANCE),
)


@dataclass(frozen=True)
class Row:
    """What an audit found, and what other scores find; nan where no label is wrong."""

    data: str
    noise: str
    samples: int
    wrong: float  # true share of wrong labels
    ours: float  # average precision of finding the wrong labels
    classifier: float  # … by a classifier, random folds
    classifier_in_order: float  # … folds in the order of the file
    neighbours: float  # … by ten neighbours
    doubted: float  # share of labels with trust below one half
    precision: float  # share of those that are wrong
    suggested_right: float  # share of the wrong ones found whose suggested class is right
    noise_rate: float
    lowest: float
    highest: float
    calibration_error: float
    seconds: float


def row(cell: tuple[str, str], data_dir: Path) -> Row:
    """Audit one data set, with labels of one kind and of seed 0."""
    torch.set_num_threads(1)
    data_name, noise = cell
    data = load(data_name, data_dir)
    inputs, truth = data.train
    labels = noisy_labels(noise, 0, data)
    features = torch.nn.functional.normalize(inputs.flatten(1), dim=1)
    started = time.perf_counter()
    audit = audit_labels(features, labels)
    seconds = time.perf_counter() - started
    is_wrong, doubted = labels != truth, audit.is_doubted
    found = doubted & is_wrong
    lowest, highest = audit.noise_rate_interval

    def by_classifier(shuffled: bool) -> float:
        probabilities = scores.out_of_sample(features, labels, data.num_classes, shuffled)
        return _precision(scores.of_labels(probabilities, labels), is_wrong)

    return Row(
        data=data_name,
        noise=noise,
        samples=len(labels),
        wrong=float(is_wrong.double().mean()),
        ours=_precision(audit.trust, is_wrong),
        classifier=by_classifier(True),
        classifier_in_order=by_classifier(False),
        neighbours=_precision(scores.by_neighbours(features, labels), is_wrong),
        doubted=float(doubted.double().mean()),
        precision=_mean(is_wrong[doubted]) if is_wrong.any() else float("nan"),
        suggested_right=_mean(audit.suggested[found] == truth[found]),
        noise_rate=audit.noise_rate,
        lowest=lowest,
        highest=highest,
        calibration_error=scores.calibration_error(audit.trust, ~is_wrong),
        seconds=seconds,
    )


def _precision(trust: Tensor, is_wrong: Tensor) -> float:
    if not is_wrong.any():
        return float("nan")
    return float(average_precision_score(is_wrong, -trust))


def _mean(values: Tensor) -> float:
    return float(values.double().mean()) if len(values) else float("nan")
