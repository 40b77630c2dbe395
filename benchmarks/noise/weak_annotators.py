"""Labels from annotators that know a data set a little: weak models and hurried people.

Their mistakes depend on the sample, lie close together, and are alike. They decided when the second
opinion is heard, and nothing else of the method.
"""

from collections.abc import Callable

import numpy as np
import torch
from scipy.optimize import brentq
from scipy.special import softmax
from sklearn.cluster import KMeans
from sklearn.linear_model import LogisticRegression
from torch import Tensor

from benchmarks.noise.data import Benchmark

# Generators of noise and of networks start from the seed itself.
_FIRST_SEED = 100

_UNSURE_RATE = 0.3


def weak_labels(name: str, seed: int, data: Benchmark) -> Tensor:
    """Label the training set as an annotator would.

    Args:
        name: one of ``ANNOTATORS``.
        seed: seed of what the annotator knows.
        data: the data set, with its right labels.

    Returns:
        (N,) labels.
    """
    if name not in ANNOTATORS:
        raise ValueError(f"weak must be one of {sorted(ANNOTATORS)}, got {name!r}")
    inputs, truth = data.train
    x = inputs.flatten(1).numpy().astype(np.float64)
    x /= np.linalg.norm(x, axis=1, keepdims=True)
    y = truth.numpy()
    labels = ANNOTATORS[name](x, y, np.random.default_rng(_FIRST_SEED + seed), seed)
    return torch.as_tensor(labels).to(truth)


def _poor_features(x: np.ndarray, y: np.ndarray, rng: np.random.Generator, _: int) -> np.ndarray:
    """A linear classifier on 48 random projections, from ten right labels a class."""
    projected = x @ rng.normal(size=(x.shape[1], 48))
    some = _few(y, 10, rng)
    return _classifier(1).fit(projected[some], y[some]).predict(projected)


def _three_examples(x: np.ndarray, y: np.ndarray, rng: np.random.Generator, _: int) -> np.ndarray:
    """The label of the nearest of three examples of each class."""
    some = _few(y, 3, rng)
    return y[some][(x @ x[some].T).argmax(1)]


def _unsure(x: np.ndarray, y: np.ndarray, rng: np.random.Generator, _: int) -> np.ndarray:
    """People who err on hard samples: labels drawn by a classifier's odds, three in ten wrong."""
    some = _few(y, 40, rng)
    classifier = _classifier(10).fit(x[some], y[some])
    odds = classifier.decision_function(x)
    own = np.searchsorted(classifier.classes_, y)[:, None]

    def too_many_wrong(log_sharpness: float) -> float:
        p = softmax(odds * np.exp(log_sharpness), axis=1)
        return float(1 - np.take_along_axis(p, own, 1).mean() - _UNSURE_RATE)

    low, high = np.log(0.05), np.log(20)
    # a classifier that errs more often than that is as sharp as can be
    log_sharpness = high if too_many_wrong(high) > 0 else brentq(too_many_wrong, low, high)
    p = softmax(odds * np.exp(log_sharpness), axis=1)
    drawn = (p.cumsum(1) > rng.random((len(y), 1))).argmax(1)
    return np.asarray(classifier.classes_[drawn])


def _clusters(x: np.ndarray, y: np.ndarray, rng: np.random.Generator, seed: int) -> np.ndarray:
    """Three clusters for each class, labelled as a whole after a look at five samples."""
    count = 3 * (int(y.max()) + 1)
    clusters = KMeans(count, n_init=1, random_state=seed).fit_predict(x)
    labels = np.empty_like(y)
    for cluster in range(count):
        rows = np.flatnonzero(clusters == cluster)
        if len(rows):
            seen = rng.choice(rows, min(5, len(rows)), replace=False)
            labels[rows] = np.bincount(y[seen]).argmax()
    return labels


def _careless(x: np.ndarray, y: np.ndarray, rng: np.random.Generator, seed: int) -> np.ndarray:
    """Three examples of each class, and a tenth of all labels at random."""
    labels = _three_examples(x, y, np.random.default_rng(_FIRST_SEED + seed), seed).copy()
    is_random = rng.random(len(y)) < 0.1
    labels[is_random] = rng.integers(0, int(y.max()) + 1, is_random.sum())
    return labels


def _few(y: np.ndarray, count: int, rng: np.random.Generator) -> np.ndarray:
    """Rows of some samples of each class."""
    rows = [np.flatnonzero(y == k) for k in range(int(y.max()) + 1)]
    return np.concatenate(
        [rng.choice(own, min(count, len(own)), replace=False) for own in rows if len(own)]
    )


def _classifier(weight: float) -> LogisticRegression:
    return LogisticRegression(max_iter=300, C=weight)


Annotator = Callable[[np.ndarray, np.ndarray, np.random.Generator, int], np.ndarray]
ANNOTATORS: dict[str, Annotator] = {
    "poor_features": _poor_features,
    "three_examples": _three_examples,
    "unsure": _unsure,
    "clusters": _clusters,
    "careless": _careless,
}
