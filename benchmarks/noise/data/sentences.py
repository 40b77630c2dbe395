"""Sentences labelled by intent, as frozen embeddings or as word counts."""

import csv
from pathlib import Path

import numpy as np
import torch
from sklearn.decomposition import TruncatedSVD
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.preprocessing import normalize

from .benchmark import Benchmark, feature_noise, mlp, stored_splits

# Components of a sentence whose words are counted; MiniLM's embeddings have 384.
_COMPONENTS = 300


def encoded_sentences(path: Path, epochs: int) -> Benchmark:
    """Load frozen embeddings of size 384, with the test split as stored."""
    train, test = stored_splits(np.load(path))
    return Benchmark(train, test, epochs, lambda: mlp(384, 512), feature_noise(train[0]))


def word_counts(folder: Path) -> Benchmark:
    """Load weighted counts of words and pairs of words, reduced to 300 components."""
    splits = []
    for part in ("train", "test"):
        with (folder / f"{part}.csv").open(newline="", encoding="utf-8") as file:
            splits.append([(row["text"], row["category"]) for row in csv.DictReader(file)])
    (texts, names), (test_texts, test_names) = (zip(*split, strict=True) for split in splits)
    vectorizer = TfidfVectorizer(sublinear_tf=True, ngram_range=(1, 2), min_df=2)
    counts = vectorizer.fit_transform(texts)
    components = TruncatedSVD(min(_COMPONENTS, counts.shape[1]), random_state=0).fit(counts)
    x, test_x = (
        torch.tensor(normalize(components.transform(c)), dtype=torch.float32)
        for c in (counts, vectorizer.transform(test_texts))
    )
    classes, y = np.unique(names, return_inverse=True)
    test_y = np.searchsorted(classes, test_names)
    return Benchmark(
        (x, torch.tensor(y)),
        (test_x, torch.tensor(test_y)),
        epochs=10,
        make_net=lambda: mlp(x.shape[1], 512),
        augment=feature_noise(x),
    )
