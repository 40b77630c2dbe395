"""Labels from annotators that know a data set a little: models, rules of thumb, hurried people.

Their mistakes depend on the sample, lie close together, and are alike. The method was not developed
on them, except for the second condition of the second opinion's weight; see research/log.md.
"""

from collections.abc import Callable

import numpy as np
import torch
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
    odds -= odds.max(1, keepdims=True)
    own = np.searchsorted(classifier.classes_, y)
    low, high = 0.05, 20.0
    for _ in range(20):
        sharpness = (low * high) ** 0.5
        p = np.exp(odds * sharpness)
        p /= p.sum(1, keepdims=True)
        if 1 - p[np.arange(len(y)), own].mean() > _UNSURE_RATE:
            low = sharpness
        else:
            high = sharpness
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
