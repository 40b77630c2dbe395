"""The labels of a weak classifier, as of an annotator who has seen few examples."""

from pathlib import Path

import numpy as np
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression

from benchmarks.prepare_data.sentences import Arrays

# examples of each intent that it has seen, by data set
SHOTS = {"clinc": 5, "hwu": 10}
_FILES = {"clinc": "clinc150_minilm.npz", "hwu": "hwu64_minilm.npz"}
_SEEDS = (0, 1, 2)


def annotator(folder: Path) -> Arrays:
    """Three sets of labels for the training rows of each data set, from the files in ``folder``."""
    made = {}
    for name, file_name in _FILES.items():
        path = folder / file_name
        if not path.exists():
            raise ValueError(f"{folder} must hold {file_name}, which is built first, got none")
        with np.load(path) as stored:
            rows = stored["split"] != "test"
            texts, truth = stored["texts"][rows], stored["labels"][rows]
        sets = [weak_labels(texts, truth, SHOTS[name], seed) for seed in _SEEDS]
        made[name] = np.stack(sets).astype(np.int16)
    return made


def weak_labels(texts: np.ndarray, truth: np.ndarray, shots: int, seed: int) -> np.ndarray:
    """(N,) what a classifier of words says that was trained on ``shots`` samples of each class."""
    random = np.random.default_rng(seed)
    seen = np.concatenate(
        [random.choice(np.flatnonzero(truth == k), shots, replace=False) for k in np.unique(truth)]
    )
    vectorizer = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True)
    words = vectorizer.fit_transform(texts[seen])
    classifier = LogisticRegression(C=30, max_iter=2000).fit(words, truth[seen])
    return np.asarray(classifier.predict(vectorizer.transform(texts)))
