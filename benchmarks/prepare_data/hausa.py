"""Titles of Hausa news, labelled by lists of names."""

import csv
from pathlib import Path

import numpy as np
from scipy.sparse import hstack
from sklearn.decomposition import TruncatedSVD
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.preprocessing import normalize

from benchmarks.prepare_data.sentences import Arrays
from benchmarks.prepare_data.sources import HAUSA

_FOLDER = "data/hausa_newsclass"


def hausa_distant(folder: Path) -> Arrays:
    """Titles with both labels for training; test and dev set, in this order, for testing."""
    train, given = _rows(folder, "train_clean"), _rows(folder, "train_clean_noisy_labels")
    test = _rows(folder, "test") + _rows(folder, "dev")
    names, labels = np.unique([name for _, name in train + test], return_inverse=True)
    index = {str(name): k for k, name in enumerate(names)}
    noisy = [index[name] for _, name in given + test]
    texts = [text for text, _ in train + test]
    return {
        "emb": word_vectors(texts, len(train)).astype(np.float16),
        "texts": np.array(texts),
        "labels": labels,
        "noisy": np.array(noisy)[:, None],
        "noisy_kinds": np.array(["distant"]),
        "split": np.array(["train"] * len(train) + ["test"] * len(test)),
        "class_names": names,
    }


def word_vectors(texts: list[str], num_train: int, size: int = 300) -> np.ndarray:
    """(N, size) vectors of norm 1: TF-IDF of words and parts of words, then the largest directions.

    Words must occur in two titles, parts of three to five letters in three. All is fitted to the
    first ``num_train`` titles.
    """
    counts = []
    for options in (
        {"min_df": 2},
        {"analyzer": "char_wb", "ngram_range": (3, 5), "min_df": 3},
    ):
        vectorizer = TfidfVectorizer(sublinear_tf=True, **options).fit(texts[:num_train])
        counts.append(vectorizer.transform(texts))
    together = hstack(counts).tocsr()
    directions = TruncatedSVD(size, random_state=0).fit(together[:num_train])
    return np.asarray(normalize(directions.transform(together)))


def _rows(folder: Path, part: str) -> list[tuple[str, str]]:
    """(title, class) of each line; the file of noisy labels has a number before them."""
    path = HAUSA.checked(folder, f"{_FOLDER}/{part}.tsv")
    with path.open(newline="", encoding="utf-8") as file:
        lines = list(csv.reader(file, delimiter="\t", quoting=csv.QUOTE_NONE))
    return [(line[-2], line[-1].lower()) for line in lines[1:]]
