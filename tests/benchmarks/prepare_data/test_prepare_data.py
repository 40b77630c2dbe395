"""Files of the benchmark are built from sources of the form that the public ones have."""

import importlib
import io
import json
import zipfile
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from benchmarks.prepare_data import annotator, omniglot, sentences, sources

command = importlib.import_module("benchmarks.prepare_data.__main__")


@pytest.fixture
def clinc(tmp_path, monkeypatch):
    monkeypatch.setattr(sentences, "CLINC", replace(sources.CLINC, hashes={}))
    parts = {
        "train": [["wake me", "alarm"], ["my balance", "balance"]],
        "val": [["set an alarm", "alarm"]],
        "test": [["how much do I have", "balance"]],
        "oos_train": [["who are you", "oos"]],
    }
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "data_full.json").write_text(json.dumps(parts))
    domains = {"home": ["alarm"], "banking": ["balance"]}
    (tmp_path / "data" / "domains.json").write_text(json.dumps(domains))
    return tmp_path


def test_clinc_has_its_splits_in_order_and_nothing_out_of_scope(clinc):
    made = sentences.clinc150(clinc)
    assert made["texts"].tolist() == ["wake me", "my balance", "set an alarm", "how much do I have"]
    assert made["split"].tolist() == ["train", "train", "val", "test"]
    assert made["class_names"].tolist() == ["alarm", "balance"]
    assert made["labels"].tolist() == [0, 1, 0, 1]
    assert made["domain_names"].tolist() == ["banking", "home"]
    assert made["domains"].tolist() == [1, 0, 1, 0]


def test_hwu_is_read_in_the_order_of_the_benchmark(tmp_path, monkeypatch):
    order = {"train": ["play_music", "alarm_set"], "test": ["alarm_set"]}
    (tmp_path / "order.json").write_text(json.dumps(order))
    monkeypatch.setattr(sentences, "_HWU_ORDER", tmp_path / "order.json")
    head = "answerid;scenario;intent;answer_annotation;answer_from_anno;answer_from_user\n"
    fold = tmp_path / sentences._FOLD
    for place, intent, text in (
        ("trainset", "play_music", "play some jazz"),
        ("trainset", "alarm_set", "wake me; now"),
        ("testset/csv", "alarm_set", "alarm at six"),
    ):
        (fold / place).mkdir(parents=True, exist_ok=True)
        scenario = intent.split("_")[0]
        row = f'1;{scenario};set;"[a : b]";"{text}";"Raw"\n'
        (fold / place / f"{intent}.csv").write_text(head + row)
    made = sentences.hwu64(tmp_path)
    assert made["texts"].tolist() == ["play some jazz", "wake me; now", "alarm at six"]
    assert made["labels"].tolist() == [1, 0, 0]
    assert made["scenario_names"].tolist() == ["alarm", "play"]
    assert made["split"].tolist() == ["train", "train", "test"]


def png(black_rows: int) -> bytes:
    """A drawing of 112 × 112 pixels, black from the top on."""
    pixels = np.full((112, 112), 255, dtype=np.uint8)
    pixels[:black_rows] = 0
    file = io.BytesIO()
    Image.fromarray(pixels).convert("1").save(file, "PNG")
    return file.getvalue()


def test_ink_is_the_black_share_of_each_pixel():
    made = omniglot.ink(png(6))
    assert made.shape == (28, 28)
    assert (made[0] == 255).all()
    # the second row has two black lines of four
    assert (abs(made[1].astype(int) - 128) <= 1).all()
    assert (made[2:] == 0).all()


def test_an_alphabet_that_is_in_both_archives_counts_once(tmp_path, monkeypatch):
    monkeypatch.setattr(omniglot, "OMNIGLOT", replace(sources.OMNIGLOT, hashes={}))
    for n, alphabets in enumerate((("Greek", "Latin"), ("Greek", "Tagalog")), 1):
        path = tmp_path / sources.OMNIGLOT_ARCHIVES[n - 1]
        path.parent.mkdir(exist_ok=True)
        with zipfile.ZipFile(path, "w") as archive:
            for alphabet in alphabets:
                for drawing in (1, 2):
                    name = f"small{n}/{alphabet}/character01/000{drawing}.png"
                    archive.writestr(name, png(4 * n))
    made = omniglot.omniglot8(tmp_path)
    assert made["class_names"].tolist() == [
        "Greek/character01",
        "Latin/character01",
        "Tagalog/character01",
    ]
    assert made["labels"].tolist() == [0, 0, 1, 1, 2, 2]
    assert made["alphabets"].tolist() == [0, 0, 1, 1, 2, 2]
    # Greek is that of the first archive
    assert made["images"][0][1].max() == 0


def test_a_file_that_has_changed_is_refused(tmp_path):
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "data_full.json").write_text("{}")
    with pytest.raises(
        ValueError, match="data_full.json must have SHA-256 36923c37.*, got 44136fa3"
    ):
        sentences.clinc150(tmp_path)


def test_another_folder_is_refused_by_what_it_should_be(tmp_path):
    with pytest.raises(ValueError, match="must be a checkout of https://.* got a folder without"):
        omniglot.omniglot8(tmp_path)


def test_the_file_holds_vectors_where_there_is_an_encoder(clinc, tmp_path):
    def encode(arrays):
        return np.array([[len(text), 0.5] for text in arrays["texts"]])

    recipe = replace(command.DATA["clinc150"], encode=encode)
    path = command.build(recipe, clinc, tmp_path / "out")
    assert path.name == "clinc150_minilm.npz"
    with np.load(path) as stored:
        assert stored["emb"].dtype == np.float16
        assert stored["emb"][:, 0].tolist() == [7, 10, 12, 18]
    with np.load(command.build(recipe, clinc, tmp_path / "out", with_features=False)) as stored:
        assert "emb" not in stored


def test_the_weak_classifier_knows_the_words_that_it_has_seen(tmp_path, monkeypatch):
    monkeypatch.setattr(annotator, "SHOTS", {"clinc": 2, "hwu": 1})
    words = ("alarm", "music", "light")
    truth = np.repeat(np.arange(3), 4)
    texts = np.array([f"{words[k]} please" for k in truth] + ["alarm in the test split"])
    labels, split = np.append(truth, 0), np.array(["train"] * 12 + ["test"])
    for name in ("clinc150_minilm.npz", "hwu64_minilm.npz"):
        np.savez(tmp_path / name, texts=texts, labels=labels, split=split)
    path = command.build(command.DATA["annotator"], tmp_path, tmp_path)
    assert path == tmp_path / "real" / "annotator.npz"
    with np.load(path) as made:
        assert made["clinc"].shape == made["hwu"].shape == (3, 12)
        assert (made["clinc"] == truth).all()


def test_seeds_draw_other_examples_and_unknown_words_are_guessed():
    truth = np.repeat(np.arange(2), 6)
    texts = np.array([f"word{i}" for i in range(12)])
    made = [tuple(annotator.weak_labels(texts, truth, 2, seed)) for seed in range(5)]
    assert len(set(made)) > 1
    assert made[0] == tuple(annotator.weak_labels(texts, truth, 2, 0))


def test_labels_of_the_weak_classifier_need_the_texts(tmp_path):
    with pytest.raises(ValueError, match="must hold clinc150_minilm.npz, which is built first"):
        annotator.annotator(tmp_path)
