"""Scores of labels that others use: a classifier that has not seen the sample, and neighbours."""

import numpy as np
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold, cross_val_predict
from torch import Tensor

_FOLDS, _NEIGHBOURS = 5, 10


def out_of_sample(features: Tensor, labels: Tensor, num_classes: int, shuffled: bool) -> Tensor:
    """Compute (N, K) class probabilities by a classifier that has not seen the sample.

    A logistic regression on the features, five folds. The probability of the given label is the
    score that cleanlab gives by default ("self_confidence").

    Args:
        features: (N, D).
        labels: (N,) labels as given.
        num_classes: K.
        shuffled: whether folds are drawn at random. If not, each is a stretch of every label's
            samples in the order of the file. In a file that is sorted by true class, wrong labels
            of one class then lie in one fold, and the classifier is never trained on their like:
            an advantage that nobody has whose file is not sorted by the truth.
    """
    folds = StratifiedKFold(_FOLDS, shuffle=shuffled, random_state=0 if shuffled else None)
    probabilities = np.zeros((len(labels), num_classes))
    # (the classes that occur, in order)
    probabilities[:, np.unique(labels)] = cross_val_predict(
        LogisticRegression(max_iter=200),
        features.numpy(),
        labels.numpy(),
        cv=folds,
        method="predict_proba",
    )
    return torch.from_numpy(probabilities)


def of_labels(probabilities: Tensor, labels: Tensor) -> Tensor:
    """Return the (N,) probability of each label."""
    return probabilities.gather(1, labels[:, None]).squeeze(1)


def by_neighbours(features: Tensor, labels: Tensor) -> Tensor:
    """Compute the (N,) share of the ten nearest samples, by cosine, that have the same label."""
    similarity = (features @ features.T).fill_diagonal_(-torch.inf)
    nearest = similarity.topk(_NEIGHBOURS).indices
    return (labels[nearest] == labels[:, None]).float().mean(1)


def calibration_error(trust: Tensor, is_right: Tensor, bins: int = 15) -> float:
    """Compute the expected calibration error: |mean trust − share right|, over bins of trust.

    Source:
        Guo et al., On Calibration of Modern Neural Networks (ICML 2017).
    """
    places = (trust * bins).long().clamp(0, bins - 1)
    error = 0.0
    for bin_ in range(bins):
        inside = places == bin_
        if inside.any():
            gap = trust[inside].mean() - is_right[inside].to(trust).mean()
            error += float(inside.float().mean() * gap.abs())
    return error
