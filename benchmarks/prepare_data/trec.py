"""TREC questions, labelled by 68 hand-written rules."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from benchmarks.prepare_data.sentences import Arrays
from benchmarks.prepare_data.sources import TREC

# Class k of the file has name k. The keys are those of the questions, the names those of the rules.
CLASSES = {
    "DESC": "DESCRIPTION",
    "ENTY": "ENTITY",
    "HUM": "HUMAN",
    "ABBR": "ABBREVIATION",
    "LOC": "LOCATION",
    "NUM": "NUMERIC",
}
_FOLDER = "data/TREC"
# Where several classes have the most votes, one of them was drawn. The draws of the benchmark, in
# order, since the generator that made them is not known.
_TIES = Path(__file__).with_name("trec_ties.json")

Question = tuple[str, int]  # text and true class
Rule = tuple[re.Pattern[str], int]


def trec_rules(folder: Path) -> Arrays:
    """Questions on which a rule fires (train, valid), and all of the test set."""
    rules, ties = list(_rules(folder)), _ties()
    texts, truth, given, split = [], [], [], []
    for part in ("train", "valid"):
        for text, label in _questions(folder, part):
            votes = np.bincount(
                [k for pattern, k in rules if pattern.search(text)], minlength=len(CLASSES)
            )
            if votes.any():
                texts.append(text)
                truth.append(label)
                given.append(majority(votes, ties))
                split.append("train")
    for text, label in _questions(folder, "test"):
        texts.append(text)
        truth.append(label)
        given.append(label)
        split.append("test")
    return {
        "texts": np.array(texts),
        "labels": np.array(truth),
        "noisy": np.array(given)[:, None],
        "noisy_kinds": np.array(["majority"]),
        "split": np.array(split),
        "class_names": np.array(list(CLASSES.values())),
    }


def majority(votes: np.ndarray, ties: Iterator[int]) -> int:
    """The class with the most votes; of several the next one of ``ties``."""
    leaders = np.flatnonzero(votes == votes.max())
    if len(leaders) == 1:
        return int(leaders[0])
    drawn = next(ties)
    if drawn not in leaders:
        raise ValueError(f"{_TIES.name} must name one of the classes {leaders}, got {drawn}")
    return drawn


def _ties() -> Iterator[int]:
    return map(int, "".join(json.loads(_TIES.read_text(encoding="utf-8"))["majority"]))


def _rules(folder: Path) -> Iterator[Rule]:
    """A rule a line: class, pattern, and the question that it was written for."""
    index = {name: k for k, name in enumerate(CLASSES.values())}
    with TREC.checked(folder, f"{_FOLDER}/rule.txt").open(encoding="latin1") as lines:
        for line in lines:
            name, pattern, _ = line.strip().split("\t", 2)
            yield re.compile(pattern), index[name]


def _questions(folder: Path, part: str) -> Iterator[Question]:
    """A question a line, after its class: "LOC:where …", in the test set "LOC:city Where …"."""
    index = {key: k for k, key in enumerate(CLASSES)}
    with TREC.checked(folder, f"{_FOLDER}/{part}.txt").open(encoding="latin1") as lines:
        for line in lines:
            key, _, rest = line.partition(":")
            if part == "test":
                yield " ".join(rest.split()[1:]), index[key]
            else:
                # as the repository of the rules reads them: a colon is where a line is split
                yield rest.replace(":", " ").lower().strip(), index[key]
