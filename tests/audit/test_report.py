"""The audit as a text."""

import re

import pytest
import torch

from tests.audit.made import HOSTILE, empty_audit, made_audit


def test_it_says_how_many_labels_are_wrong_and_where():
    audit = made_audit()
    text = audit.report()
    assert text.startswith("Label audit: 60 samples in 5 classes\n")
    assert re.search(r"noise rate +25\.0% \(90 % interval 20\.0% to 31\.0%\)", text)
    doubted, judged = int(audit.is_doubted.sum()), int(audit.is_judged.sum())
    assert re.search(
        rf"labels doubted +{doubted} of {judged} judged \({doubted / judged:.1%}\)", text
    )
    assert re.search(rf"not judged +{60 - judged}", text)
    assert re.search(rf"fit no class +{int(audit.is_of_no_class.sum())}\n", text)
    assert re.search(r"near-duplicates +3 pairs", text)
    worst, pair = audit.classes()[0], audit.confusions()[0]
    assert re.search(
        rf"{worst.doubted:.0%} +\d+ of {worst.size}  {worst.name} +rather {worst.confused_with}\n",
        text,
    )
    assert re.search(rf"{pair.count}  {pair.given} → {pair.suggested}", text)
    assert 'audit.cleaned("drop")' in text


@pytest.mark.parametrize("seed", range(3))
def test_it_fits_a_screen_whatever_the_names(seed):
    names = HOSTILE[:20]
    text = made_audit(5000, len(names), class_names=names, seed=seed).report()
    lines = text.split("\n")
    assert len(lines) <= 24
    assert max(map(len, lines)) <= 80
    assert all(line.isprintable() for line in lines)


def test_nothing_to_tell():
    right = made_audit(
        trust=torch.ones(60),
        is_judged=torch.ones(60, dtype=torch.bool),
        is_of_no_class=torch.zeros(60, dtype=torch.bool),
        duplicate_pairs=torch.empty(0, 2, dtype=torch.long),
        duplicate_similarity=torch.empty(0),
    )
    text = right.report()
    assert "0 of 60 judged (0.0%)" in text
    for absent in ("Classes with", "Classes confused", "no class", "near-duplicates", "not judged"):
        assert absent not in text


def test_without_samples():
    assert "noise rate         nan%" in empty_audit().report()
