"""The audit as CSV and JSON."""

import csv
import json
import math

import pytest
import torch

from pml_ahsml.audit.files import cleaned_to_csv
from tests.audit.made import HOSTILE, empty_audit, made_audit


def read(path):
    with open(path, encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_csv(tmp_path):
    audit = made_audit(sample_names=tuple(f"sample {i}" for i in range(60)))
    audit.to_csv(tmp_path / "suspects.csv")
    rows = read(tmp_path / "suspects.csv")
    suspects = {row.index: row for row in audit.suspects() + audit.of_no_class()}
    assert [int(row["index"]) for row in rows] == sorted(
        suspects, key=lambda i: float(audit.trust[i])
    )
    for row in rows:
        suspect = suspects[int(row["index"])]
        assert (row["name"], row["given"], row["suggested"]) == (
            suspect.name,
            suspect.given,
            suspect.suggested,
        )
        assert float(row["trust"]) == pytest.approx(suspect.trust, rel=1e-5)
        assert float(row["confidence"]) == pytest.approx(suspect.confidence, rel=1e-5)
        assert row["is_of_no_class"] == str(suspect.is_of_no_class).lower()
        assert tuple(map(int, row["agreeing"].split())) == suspect.agreeing
        assert tuple(map(int, row["disagreeing"].split())) == suspect.disagreeing
        assert row["verdict"] == row["label"] == ""


def test_csv_limit(tmp_path):
    audit = made_audit()
    audit.to_csv(tmp_path / "some.csv", limit=4)
    audit.to_csv(tmp_path / "all.csv")
    assert read(tmp_path / "some.csv") == read(tmp_path / "all.csv")[:4]
    with pytest.raises(ValueError, match="limit must be at least 0, got -1"):
        audit.to_csv(tmp_path / "some.csv", limit=-1)


def test_names_stay_as_they_are(tmp_path):
    names = HOSTILE
    audit = made_audit(len(names), len(names), class_names=names, sample_names=names)
    audit.to_csv(tmp_path / "suspects.csv")
    for row in read(tmp_path / "suspects.csv"):
        i = int(row["index"])
        assert row["name"] == names[i]
        assert row["given"] == names[int(audit.labels[i])]
    audit.to_json(tmp_path / "audit.json")
    assert strict(tmp_path / "audit.json")["class_names"] == list(names)


def test_names_that_are_no_text_are_escaped(tmp_path):
    names = ("broken \udcff name",) * 60
    audit = made_audit(sample_names=names)
    audit.to_csv(tmp_path / "suspects.csv")
    assert {row["name"] for row in read(tmp_path / "suspects.csv")} == {r"broken \udcff name"}
    audit.to_json(tmp_path / "audit.json")
    assert strict(tmp_path / "audit.json")["samples"]["name"][0] == names[0]


@pytest.mark.parametrize("policy", ["drop", "relabel", "keep"])
def test_cleaned(tmp_path, policy):
    audit = made_audit(sample_names=tuple(f"sample {i}" for i in range(60)))
    cleaned_to_csv(audit, tmp_path / "cleaned.csv", policy)
    labels, mask = audit.cleaned(policy)
    assert read(tmp_path / "cleaned.csv") == [
        {
            "index": str(i),
            "name": f"sample {i}",
            "label": f"class {int(labels[i])}",
            "keep": "true" if mask[i] else "false",
        }
        for i in range(60)
    ]


def strict(path):
    def refuse(constant):
        raise AssertionError(f"{constant} is no JSON")

    return json.loads(path.read_text(encoding="utf-8"), parse_constant=refuse)


def test_json(tmp_path):
    audit = made_audit()
    audit.to_json(tmp_path / "audit.json")
    found = strict(tmp_path / "audit.json")
    assert found["num_samples"] == 60
    assert found["num_judged"] == int(audit.is_judged.sum())
    assert found["num_doubted"] == len(audit.suspects())
    assert found["num_of_no_class"] == len(audit.of_no_class())
    assert found["noise_rate"] == 0.25
    assert found["noise_rate_interval"] == [0.2, 0.31]
    for name, rows in (
        ("suspects", audit.suspects()),
        ("classes", audit.classes()),
        ("confusions", audit.confusions()),
        ("duplicates", audit.duplicates()),
    ):
        assert len(found[name]) == len(rows) > 0
        for got, row in zip(found[name], rows, strict=True):
            for key, value in row._asdict().items():
                expected = list(value) if isinstance(value, tuple) else value
                if isinstance(value, float):
                    expected = pytest.approx(value, rel=1e-5)
                assert got[key] == expected
    samples = found["samples"]
    assert samples["name"] is None
    assert samples["label"] == audit.labels.tolist()
    assert samples["suggested"] == audit.suggested.tolist()
    assert samples["trust"] == pytest.approx(audit.trust.tolist(), rel=1e-5)
    assert samples["confidence"] == pytest.approx(audit.confidence.tolist(), rel=1e-5)
    assert samples["is_judged"] == audit.is_judged.tolist()
    assert samples["is_of_no_class"] == audit.is_of_no_class.tolist()


def test_what_is_not_known_is_null(tmp_path):
    empty_audit().to_json(tmp_path / "audit.json")
    found = strict(tmp_path / "audit.json")
    assert found["noise_rate"] is None
    assert found["noise_rate_interval"] == [None, None]
    assert found["classes"][0]["doubted"] is None
    made_audit(trust=torch.full((60,), math.nan)).to_json(tmp_path / "audit.json")
    assert strict(tmp_path / "audit.json")["samples"]["trust"] == [None] * 60


def test_labels_of_classes_stand_beside_their_names(tmp_path):
    values = torch.tensor([2, 5, 6, 10**9, 10**15])
    plain = made_audit()
    audit = made_audit(
        labels=values[plain.labels], suggested=values[plain.suggested], class_values=values
    )
    audit.to_json(tmp_path / "audit.json")
    found = strict(tmp_path / "audit.json")
    assert found["class_labels"] == values.tolist()
    assert found["samples"]["label"] == values[plain.labels].tolist()
    for name, of in (("plain", plain), ("other", audit)):
        cleaned_to_csv(of, tmp_path / f"{name}.csv", "relabel")
        of.to_html(tmp_path / f"{name}.html")
    assert read(tmp_path / "plain.csv") == read(tmp_path / "other.csv")
    plain.to_json(tmp_path / "plain.json")
    assert strict(tmp_path / "plain.json")["class_labels"] == [0, 1, 2, 3, 4]
