"""What the page shows, against loops over the samples."""

import math

import numpy as np
import pytest
import torch

from pml_ahsml.audit.page_data import page_data
from tests.audit.made import HOSTILE, empty_audit, made_audit

NAMES = tuple(f"sample {i}" for i in range(60))
TEXTS = [f"text {i}" for i in range(60)]


def test_summary():
    audit = made_audit()
    assert page_data(audit, None, None, 7)["summary"] == {
        "samples": 60,
        "judged": int(audit.is_judged.sum()),
        "doubted": int(audit.is_doubted.sum()),
        "of_no_class": int(audit.is_of_no_class.sum()),
        "duplicates": 3,
        "noise_rate": 0.25,
        "interval": [0.2, 0.31],
        "to_look_at": int((audit.is_doubted | audit.is_of_no_class).sum()),
    }


def test_histogram():
    trust = torch.tensor([0.0, 0.049, 0.05, 0.5, 0.999, 1.0, 0.3])
    is_judged = torch.tensor([True] * 6 + [False])
    counts = page_data(made_audit(7, trust=trust, is_judged=is_judged), None, None, 0)["histogram"]
    assert {place: count for place, count in enumerate(counts) if count} == {
        0: 2,
        1: 1,
        10: 1,
        19: 2,
    }
    assert len(counts) == 20


@pytest.mark.parametrize("seed", range(2))
def test_cards(seed):
    audit = made_audit(k=8, seed=seed, sample_names=NAMES)
    data = page_data(audit, None, TEXTS, 12)
    both = {row.index: row for row in audit.suspects() + audit.of_no_class()}
    order = sorted(both, key=lambda i: float(audit.trust[i]))
    assert [card["index"] for card in data["cards"]] == order[:12]
    for card in data["cards"]:
        i = card["index"]
        near = [j for j in audit.neighbours[i].tolist() if j >= 0]
        labels = [int(audit.labels[j]) for j in near]
        assert card["neighbours"] == [j for j in audit.neighbours[i].tolist()[:5] if j >= 0]
        assert card["near"] == len(near)
        assert card["agree"] == labels.count(int(audit.labels[i]))
        assert card["support"] == labels.count(int(audit.suggested[i]))
        assert card["suggested"] == int(audit.suggested[i])
        assert card["trust"] == pytest.approx(float(audit.trust[i]), abs=5e-5)
        assert card["confidence"] == pytest.approx(float(audit.confidence[i]), abs=5e-5)
        assert card["doubted"] is bool(audit.is_doubted[i])
        assert card["no_class"] is bool(audit.is_of_no_class[i])
    # no more and no less than what is shown
    shown = {card["index"] for card in data["cards"]}
    shown |= {j for card in data["cards"] for j in card["neighbours"]} | set(range(6))
    assert set(data["samples"]) == {str(i) for i in shown}
    for i, sample in data["samples"].items():
        assert sample == {
            "label": int(audit.labels[int(i)]),
            "name": f"sample {i}",
            "text": f"text {i}",
        }


def test_tables():
    audit = made_audit()
    data = page_data(audit, None, None, 0)
    names = audit.class_names
    assert data["class_names"] == list(names)
    assert [
        (names[k], size, doubted / size, names[most], missing)
        for k, size, doubted, most, missing in data["classes"]
    ] == [
        (row.name, row.size, row.doubted, row.confused_with, row.missing) for row in audit.classes()
    ]
    assert [(names[a], names[b], *counts) for a, b, *counts in data["confusions"]] == [
        tuple(row) for row in audit.confusions()
    ]
    assert data["num_confusions"] == len(audit.confusions())
    assert [(i, j) for i, j, _ in data["duplicates"]] == [(1, 4), (0, 3), (2, 5)]
    assert data["tree"][0][2] == 5
    assert data["cards"] == []


def test_a_class_without_doubt_is_confused_with_none():
    audit = made_audit(trust=torch.ones(60))
    assert {most for _, _, _, most, _ in page_data(audit, None, None, 5)["classes"]} == {-1}


def test_without_a_tree_and_without_samples():
    assert page_data(made_audit(class_distances=None), None, None, 5)["tree"] == []
    data = page_data(empty_audit(), None, None, 5)
    assert data["cards"] == data["tree"] == []
    assert data["summary"]["noise_rate"] is None
    assert data["summary"]["interval"] == [None, None]


def test_numbers_that_are_not_known():
    audit = made_audit(confidence=torch.full((60,), math.nan))
    assert {card["confidence"] for card in page_data(audit, None, None, 9)["cards"]} == {None}


def test_images():
    images = np.zeros((60, 200, 100), dtype=np.uint8)
    data = page_data(made_audit(), images, None, 4)
    assert data["has_images"]
    assert not data["has_few_pixels"]
    for sample in data["samples"].values():
        assert sample["image"].startswith("data:image/png;base64,")
    assert page_data(made_audit(), images[:, :8, :8], None, 4)["has_few_pixels"]
    assert not page_data(made_audit(), None, None, 4)["has_images"]


def test_long_names_and_texts_are_cut():
    audit = made_audit(sample_names=("n" * 10_000,) * 60)
    for sample in page_data(audit, None, ["t" * 10_000] * 60, 4)["samples"].values():
        assert sample["name"] == "n" * 199 + "…"
        assert sample["text"] == "t" * 599 + "…"


def test_ticks_of_two_audits_are_told_apart():
    first, again, other = (made_audit(seed=seed) for seed in (0, 0, 1))
    ids = [
        page_data(audit, None, None, limit)["id"]
        for audit in (first, again, other)
        for limit in (1, 2)
    ]
    assert len(set(ids)) == 2
    assert ids[0] == ids[3]


def test_hostile_names_are_data():
    audit = made_audit(len(HOSTILE), len(HOSTILE), class_names=HOSTILE, sample_names=HOSTILE)
    data = page_data(audit, None, list(HOSTILE), 100)
    assert data["class_names"] == list(HOSTILE)
    for i, sample in data["samples"].items():
        assert sample["text"][:500] == HOSTILE[int(i)][:500]
