"""One row: four scores of the labels of a data set, against the truth."""

from dataclasses import dataclass
from pathlib import Path

import torch
from sklearn.metrics import average_precision_score, roc_auc_score
from torch import Tensor

from benchmarks.audit import scores
from benchmarks.noise.protocol import audited_trust, trained, trust
from benchmarks.noise.results import Job


@dataclass(frozen=True)
class Row:
    """How well each score finds the wrong labels of a data set."""

    data: str
    noise: str  # given:NAME
    seed: int
    wrong: float  # true share of wrong labels
    classifier: float  # average precision by a logistic regression, out of sample
    neighbours: float  # … by ten neighbours
    ours: float  # … by trust after a training
    audit: float  # … by the trust of an audit of this training
    classifier_auroc: float
    neighbours_auroc: float
    ours_auroc: float
    audit_auroc: float
    predicts_given: float  # how often the classifier predicts the given label, out of sample
    predicts_true: float  # how often it predicts the true one


def row(cell: tuple[str, str], data_dir: Path, seed: int = 0) -> Row:
    """Train on a set of labels with sample ids, and score the labels in four ways."""
    data, noise = cell
    run = trained(Job(data, "MultiSimilarity", noise, seed, "ours_ids"), data_dir)
    given, truth, is_noisy = run.samples.labels, run.data.train[1], run.samples.is_noisy
    features = torch.nn.functional.normalize(run.data.train[0], dim=1)
    # as in the tables of earlier versions, folds are stretches of the file
    probabilities = scores.out_of_sample(features, given, run.data.num_classes, shuffled=False)
    by_classifier = scores.of_labels(probabilities, given)
    by_neighbours = scores.by_neighbours(features, given)
    by_trust, by_audit = trust(run), audited_trust(run)
    predicted = probabilities.argmax(1)
    return Row(
        data=data,
        noise=noise,
        seed=seed,
        wrong=_share(is_noisy),
        classifier=_precision(is_noisy, by_classifier),
        neighbours=_precision(is_noisy, by_neighbours),
        ours=_precision(is_noisy, by_trust),
        audit=_precision(is_noisy, by_audit),
        classifier_auroc=_auroc(is_noisy, by_classifier),
        neighbours_auroc=_auroc(is_noisy, by_neighbours),
        ours_auroc=_auroc(is_noisy, by_trust),
        audit_auroc=_auroc(is_noisy, by_audit),
        predicts_given=_share(predicted == given),
        predicts_true=_share(predicted == truth),
    )


def _precision(is_noisy: Tensor, score: Tensor) -> float:
    return float(average_precision_score(is_noisy, -score))


def _auroc(is_noisy: Tensor, score: Tensor) -> float:
    return float(roc_auc_score(is_noisy, -score))


def _share(chosen: Tensor) -> float:
    return float(chosen.double().mean())
