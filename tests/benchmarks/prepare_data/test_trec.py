import json
from dataclasses import replace

import numpy as np
import pytest

from benchmarks.prepare_data import sources, trec

RULES = [
    "LOCATION\t( |^)where\tWhere is it ?",
    "LOCATION\tcountry\tWhat country is it ?",
    "HUMAN\twho\tWho is it ?",
    "NUMERIC\tmany\tHow many are there ?",
]
QUESTIONS = {
    # two votes against one; a tie; no rule fires; a tie
    "train": [
        "HUM:who knows where the country is ?",
        "NUM:how many know who it is ?",
        "ABBR:what is nato ?",
        "LOC:where are how many ?",
    ],
    "valid": ["ENTY:What country: this one ?"],
    "test": ["NUM:dist How far is Denver ?", "HUM:ind Who was Galileo ?"],
}


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setattr(trec, "TREC", replace(sources.TREC, hashes={}))
    monkeypatch.setattr(trec, "_TIES", tmp_path / "ties.json")
    (tmp_path / "ties.json").write_text(json.dumps({"majority": ["2", "5"]}))
    (tmp_path / "data" / "TREC").mkdir(parents=True)
    files = {"rule": RULES, **QUESTIONS}
    for name, lines in files.items():
        (tmp_path / "data" / "TREC" / f"{name}.txt").write_text("\n".join(lines) + "\n", "latin1")
    return tmp_path


def test_rules_vote_and_ties_are_as_drawn(folder):
    made = trec.trec_rules(folder)
    assert made["texts"].tolist() == [
        "who knows where the country is ?",
        "how many know who it is ?",
        "where are how many ?",
        "what country  this one ?",
        "How far is Denver ?",
        "Who was Galileo ?",
    ]
    names = made["class_names"]
    assert names[made["noisy"][:4, 0]].tolist() == ["LOCATION", "HUMAN", "NUMERIC", "LOCATION"]
    assert names[made["labels"]].tolist() == [
        "HUMAN",
        "NUMERIC",
        "LOCATION",
        "ENTITY",
        "NUMERIC",
        "HUMAN",
    ]
    assert made["split"].tolist() == ["train"] * 4 + ["test"] * 2
    assert (made["noisy"][4:, 0] == made["labels"][4:]).all()


def test_a_draw_that_was_no_tie_is_refused(folder):
    (folder / "ties.json").write_text(json.dumps({"majority": ["2", "0"]}))
    with pytest.raises(ValueError, match=r"ties.json must name one of the classes \[4 5\], got 0"):
        trec.trec_rules(folder)


def test_the_draws_of_the_benchmark_are_of_the_six_classes():
    draws = np.array(list(trec._ties()))
    assert len(draws) == 760
    assert set(draws) == set(range(6))
