"""Compares three scores that find wrong labels, on real label errors.

- *classifier*: the out-of-sample probability of the given label by a logistic regression on the
  features (five folds). It is cleanlab's default score
  (``get_label_quality_scores(labels, probabilities)``, method "self_confidence").
- *neighbours*: the share of the ten nearest samples, by cosine, that have the same label.
- *ours*: ``trust`` after a training of the noise benchmark with sample ids, MultiSimilarityLoss.

The table gives AUROC and average precision of finding the wrong labels, with one seed, and how
often the classifier predicts the given and the true label out of sample. It takes about five
minutes on two cores.

Run: python -m benchmarks.noise.detection --data DIR
"""

import argparse
import functools
import multiprocessing
import os
from pathlib import Path

import torch
from sklearn.metrics import average_precision_score, roc_auc_score
from torch import Tensor

from benchmarks import measuring
from benchmarks.audit import scores
from benchmarks.noise.protocol import Trained, trained, trust
from benchmarks.noise.results import Job
from benchmarks.noise.suites import GIVEN_LABELS

# As in cleanlab: the folds of CleanLearning, and the neighbours of Datalab.
HEAD = [
    "data",
    "labels",
    "wrong",
    "classifier: AUROC / AP",
    "neighbours: AUROC / AP",
    "ours: AUROC / AP",
    "classifier predicts given / true label",
]


def row(cell: tuple[str, str], data_dir: Path) -> list[str]:
    """Make the row of one set of labels: AUROC and average precision of each score."""
    data, labels = cell
    run = trained(Job(data, "MultiSimilarity", f"given:{labels}", 0, "ours_ids"), data_dir)
    given, truth, is_noisy = run.samples.labels, run.data.train[1], run.samples.is_noisy
    features = _features(run)
    # as in the tables of earlier versions, folds are stretches of the file
    probabilities = scores.out_of_sample(features, given, run.data.num_classes, shuffled=False)
    cells = [data, labels, f"{is_noisy.float().mean():.2f}"]
    by_classifier = scores.of_labels(probabilities, given)
    for score in (by_classifier, scores.by_neighbours(features, given), trust(run)):
        found = average_precision_score(is_noisy, -score)
        cells.append(f"{roc_auc_score(is_noisy, -score):.3f} / {found:.3f}")
    predicted = probabilities.argmax(1)
    agreed = [f"{(predicted == labels).double().mean():.2f}" for labels in (given, truth)]
    return [*cells, " / ".join(agreed)]


def _features(run: Trained) -> Tensor:
    return torch.nn.functional.normalize(run.data.train[0], dim=1)


def main(arguments: argparse.Namespace) -> None:
    """Print the table."""
    one_row = functools.partial(row, data_dir=arguments.data)
    with multiprocessing.get_context("spawn").Pool(arguments.processes) as pool:
        rows = pool.map(one_row, GIVEN_LABELS, chunksize=1)
    print(measuring.table(HEAD, rows))


def parser() -> argparse.ArgumentParser:
    """Make the parser of the command line."""
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
