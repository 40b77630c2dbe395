from dataclasses import replace

import numpy as np
import pytest

from benchmarks.prepare_data import hausa, sources

ROWS = {
    "train_clean": ["\tlafiya a Kano\tHealth", '\t"zabe" a Abuja\tPolitics'],
    "train_clean_noisy_labels": ["0\tlafiya a Kano\tWorld", '1\t"zabe" a Abuja\tPolitics'],
    "test": ["\tduniya\tWorld"],
    "dev": ["\tlafiya\tHealth"],
}


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setattr(hausa, "HAUSA", replace(sources.HAUSA, hashes={}))
    monkeypatch.setattr(hausa, "word_vectors", lambda texts, num_train: np.eye(4)[: len(texts)])
    (tmp_path / "data" / "hausa_newsclass").mkdir(parents=True)
    for part, rows in ROWS.items():
        numbered = part == "train_clean_noisy_labels"
        lines = ["\tnews_title\tlabel" if numbered else "news_title\tlabel"]
        lines += rows if numbered else [row.removeprefix("\t") for row in rows]
        path = tmp_path / "data" / "hausa_newsclass" / f"{part}.tsv"
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return tmp_path


def test_titles_have_both_labels_and_the_dev_set_comes_last(folder):
    made = hausa.hausa_distant(folder)
    assert made["class_names"].tolist() == ["health", "politics", "world"]
    # (a quotation mark is part of a title)
    assert made["texts"].tolist() == ["lafiya a Kano", '"zabe" a Abuja', "duniya", "lafiya"]
    assert made["labels"].tolist() == [0, 1, 2, 0]
    assert made["noisy"][:, 0].tolist() == [2, 1, 2, 0]
    assert made["split"].tolist() == ["train", "train", "test", "test"]
    assert made["emb"].dtype == np.float16


def test_vectors_know_only_words_of_the_training_titles():
    train = [
        f"{first} {second}" for first in ("lafiya", "zabe") for second in ("kano", "abuja", "")
    ]
    vectors = hausa.word_vectors([*train, "lafiya xyzw", "xyzw"], len(train), size=3)
    assert np.linalg.norm(vectors[:-1], axis=1) == pytest.approx(1)
    # an unknown word says nothing, so this title is the one without it
    assert vectors[-2] == pytest.approx(vectors[2])
    assert vectors[-2] @ vectors[0] > vectors[-2] @ vectors[3] + 0.3
    assert (vectors[-1] == 0).all()
