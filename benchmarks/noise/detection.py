"""Which labels are wrong? Three scores beside each other, on labels that somebody really gave.

- *classifier*: the probability of the given label by a logistic regression on the features, out of
  sample (five folds). It is the score that cleanlab gives by default
  (``get_label_quality_scores(labels, probabilities)``, method "self_confidence").
- *neighbours*: the share of the ten nearest samples, by cosine, that have the same label.
- *ours*: ``trust`` after a training of the noise benchmark with sample ids, MultiSimilarityLoss.

AUROC, and average precision of finding the wrong labels, one seed. Takes some five minutes on two
cores.

Run: python -m benchmarks.noise.detection --data DIR
"""

import argparse
import functools
import multiprocessing
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import average_precision_score, roc_auc_score
from sklearn.model_selection import cross_val_predict
from torch import Tensor

from benchmarks import measuring
from benchmarks.noise.protocol import Trained, trained, trust
from benchmarks.noise.results import Job
from benchmarks.noise.suites import GIVEN_LABELS

_FOLDS, _NEIGHBOURS = 5, 10


def by_classifier(run: Trained) -> Tensor:
    """(N,) probability of the given label by a classifier that has not seen the sample."""
    labels = run.samples.labels.numpy()
    classes, columns = np.unique(labels, return_inverse=True)
    probabilities = cross_val_predict(
        LogisticRegression(max_iter=200),
        _features(run).numpy(),
        labels,
        cv=_FOLDS,
        method="predict_proba",
    )
    assert probabilities.shape[1] == len(classes)
    return torch.from_numpy(probabilities[np.arange(len(labels)), columns])


def by_neighbours(run: Trained) -> Tensor:
    """(N,) share of the nearest samples that have the same label."""
    features, labels = _features(run), run.samples.labels
    similarity = (features @ features.T).fill_diagonal_(-torch.inf)
    nearest = similarity.topk(_NEIGHBOURS).indices
    return (labels[nearest] == labels[:, None]).float().mean(1)


SCORES: dict[str, Callable[[Trained], Tensor]] = {
    "classifier": by_classifier,
    "neighbours": by_neighbours,
    "ours": trust,
}


def row(cell: tuple[str, str], data_dir: Path) -> list[str]:
    """AUROC and average precision of each score on one set of labels."""
    data, labels = cell
    run = trained(Job(data, "MultiSimilarity", f"given:{labels}", 0, "ours_ids"), data_dir)
    is_noisy = run.samples.is_noisy.numpy()
    cells = [data, labels, f"{is_noisy.mean():.2f}"]
    for score in SCORES.values():
        doubt = -score(run).numpy()
        found = average_precision_score(is_noisy, doubt)
        cells.append(f"{roc_auc_score(is_noisy, doubt):.3f} / {found:.3f}")
    return cells


def _features(run: Trained) -> Tensor:
    return torch.nn.functional.normalize(run.data.train[0], dim=1)


def main(arguments: argparse.Namespace) -> None:
    """Print the table."""
    one_row = functools.partial(row, data_dir=arguments.data)
    with multiprocessing.get_context("spawn").Pool(arguments.processes) as pool:
        rows = pool.map(one_row, GIVEN_LABELS, chunksize=1)
    head = ["data", "labels", "wrong", *(f"{name}: AUROC / AP" for name in SCORES)]
    print(measuring.table(head, rows))


def parser() -> argparse.ArgumentParser:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.noise.detection",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--data", type=Path, default=Path(os.environ.get("PML_AHSML_DATA", "../shared/data"))
    )
    parser.add_argument("--processes", type=int, default=os.cpu_count())
    return parser


if __name__ == "__main__":
    main(parser().parse_args())
