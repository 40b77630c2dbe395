"""The tables of an audit, against loops over the samples."""

import math

import pytest
import torch

from tests.audit.made import empty_audit, made_audit


@pytest.fixture(params=range(3))
def audit(request):
    names = tuple(f"sample {i}" for i in range(60))
    return made_audit(seed=request.param, sample_names=names if request.param else None)


def doubted(audit) -> list[int]:
    return [
        i for i in range(len(audit.labels)) if bool(audit.is_judged[i]) and audit.trust[i] < 0.5
    ]


def check_rows(audit, rows, expected):
    assert [row.index for row in rows] == sorted(expected, key=lambda i: float(audit.trust[i]))
    for row in rows:
        i, labels = row.index, audit.labels.tolist()
        near = [j for j in audit.neighbours[i].tolist() if j >= 0]
        assert row.name == ("" if audit.sample_names is None else f"sample {i}")
        assert row.given == f"class {labels[i]}"
        assert row.suggested == f"class {int(audit.suggested[i])}"
        assert (row.trust, row.confidence) == (float(audit.trust[i]), float(audit.confidence[i]))
        assert row.agreeing == tuple(j for j in near if labels[j] == labels[i])
        assert row.disagreeing == tuple(j for j in near if labels[j] != labels[i])
        assert row.is_of_no_class is bool(audit.is_of_no_class[i])


def test_suspects(audit):
    check_rows(audit, audit.suspects(), doubted(audit))


def test_samples_of_no_class(audit):
    check_rows(audit, audit.of_no_class(), audit.is_of_no_class.nonzero().flatten().tolist())


def test_a_sample_that_is_not_judged_is_no_suspect():
    audit = made_audit()
    nobody = made_audit(is_judged=torch.zeros(60, dtype=torch.bool))
    assert len(audit.suspects()) > 0
    assert nobody.suspects() == []


def test_a_trust_of_one_half_is_no_doubt():
    audit = made_audit(2, trust=torch.tensor([0.5, 0.4999]), is_judged=torch.tensor([True, True]))
    assert [row.index for row in audit.suspects()] == [1]


def test_equal_trust_keeps_the_order_of_the_data():
    audit = made_audit(trust=torch.zeros(60), is_judged=torch.ones(60, dtype=torch.bool))
    assert [row.index for row in audit.suspects()] == list(range(60))


def test_limit(audit):
    assert audit.suspects(3) == audit.suspects()[:3]
    assert audit.suspects(0) == []
    assert audit.suspects(10_000) == audit.suspects()
    assert audit.of_no_class(1) == audit.of_no_class()[:1]


@pytest.mark.parametrize("table", ["suspects", "of_no_class"])
def test_limit_is_checked(table):
    with pytest.raises(ValueError, match="limit must be at least 0, got -1"):
        getattr(made_audit(), table)(-1)
    with pytest.raises(TypeError, match="limit must be an integer, got float"):
        getattr(made_audit(), table)(2.5)


def test_confusions(audit):
    expected: dict[tuple[str, str], int] = {}
    for i in doubted(audit):
        given, suggested = int(audit.labels[i]), int(audit.suggested[i])
        if given != suggested:
            pair = (f"class {given}", f"class {suggested}")
            expected[pair] = expected.get(pair, 0) + 1
    rows = audit.confusions()
    assert {(row.given, row.suggested): row.count for row in rows} == expected
    assert all(row.reverse == expected.get((row.suggested, row.given), 0) for row in rows)
    assert [row.count for row in rows] == sorted(expected.values(), reverse=True)


def test_classes(audit):
    rows = audit.classes()
    assert sorted(row.name for row in rows) == [f"class {k}" for k in range(5)]
    for row in rows:
        k = int(row.name.split()[1])
        members = [i for i in range(60) if audit.labels[i] == k]
        bad = [i for i in doubted(audit) if audit.labels[i] == k]
        assert row.size == len(members)
        assert row.doubted == pytest.approx(len(bad) / len(members), rel=1e-12)
        others = [int(audit.suggested[i]) for i in bad if audit.suggested[i] != k]
        most = int(row.confused_with.split()[1])
        assert others.count(most) == max(others.count(j) for j in range(5))
        assert row.missing == sum(
            int(audit.suggested[i]) == k and int(audit.labels[i]) != k for i in doubted(audit)
        )
    shares = [row.doubted for row in rows]
    assert shares == sorted(shares, reverse=True)


def test_an_empty_class_stands_at_the_end():
    audit = made_audit(labels=torch.zeros(60, dtype=torch.long) + 3)
    first, *others = audit.classes()
    assert (first.name, first.size) == ("class 3", 60)
    assert all(math.isnan(row.doubted) and row.size == 0 for row in others)


def test_of_equal_shares_the_larger_class_is_first():
    labels = torch.tensor([0] + [1] * 59)
    audit = made_audit(
        labels=labels, trust=torch.zeros(60), is_judged=torch.ones(60, dtype=torch.bool)
    )
    assert [row.name for row in audit.classes()[:2]] == ["class 1", "class 0"]


def test_classes_of_one_name_are_told_apart():
    audit = made_audit(
        3,
        3,
        class_names=("same", "same", "other"),
        labels=torch.tensor([0, 1, 2]),
        suggested=torch.tensor([2, 1, 2]),
        trust=torch.tensor([0.1, 0.9, 0.9]),
        is_judged=torch.ones(3, dtype=torch.bool),
    )
    assert [(row.name, row.doubted, row.confused_with) for row in audit.classes()] == [
        ("same", 1.0, "other"),
        ("same", 0.0, ""),
        ("other", 0.0, ""),
    ]


def test_duplicates(audit):
    rows = audit.duplicates()
    assert [row.similarity for row in rows] == sorted(
        audit.duplicate_similarity.tolist(), reverse=True
    )
    assert [(row.first, row.second) for row in rows] == [(1, 4), (0, 3), (2, 5)]
    for row in rows:
        assert row.first_label == f"class {int(audit.labels[row.first])}"
        assert row.second_label == f"class {int(audit.labels[row.second])}"


def test_without_samples():
    audit = empty_audit()
    assert audit.suspects() == audit.confusions() == audit.duplicates() == []
    assert [row.size for row in audit.classes()] == [0, 0, 0]
