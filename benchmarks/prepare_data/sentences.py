"""CLINC150 and HWU64: texts, intents and splits, as arrays by name."""

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.prepare_data.sources import CLINC, HWU

Arrays = dict[str, np.ndarray[Any, Any]]

_FOLD = Path(
    "CrossValidation/autoGeneFromRealAnno/autoGene_2018_03_22-13_01_25_169/CrossValidation/KFold_1"
)
# The order in which the files of a folder were read when the benchmark was made. Which labels
# become wrong depends on it.
_HWU_ORDER = Path(__file__).with_name("hwu64_order.json")


def clinc150(folder: Path) -> Arrays:
    """Train, val and test as stored; intents outside of the 150 are left out."""
    parts = json.loads(CLINC.checked(folder, "data/data_full.json").read_text(encoding="utf-8"))
    domains = json.loads(CLINC.checked(folder, "data/domains.json").read_text(encoding="utf-8"))
    rows = [(part, *pair) for part in ("train", "val", "test") for pair in parts[part]]
    split, texts, intents = (np.array(column) for column in zip(*rows, strict=True))
    names, labels = np.unique(intents, return_inverse=True)
    domain_of = {intent: domain for domain, intents in domains.items() for intent in intents}
    domain_names, domain = np.unique([domain_of[i] for i in intents], return_inverse=True)
    return {
        "texts": texts,
        "labels": labels.astype(np.int16),
        "domains": domain.astype(np.int8),
        "split": split,
        "class_names": names,
        "domain_names": domain_names,
    }


def hwu64(folder: Path) -> Arrays:
    """Fold 1 of the cross-validation: a file for each intent."""
    order = json.loads(_HWU_ORDER.read_text(encoding="utf-8"))
    rows = []
    for part, place in (("train", "trainset"), ("test", "testset/csv")):
        for intent in order[part]:
            path = HWU.checked(folder, str(_FOLD / place / f"{intent}.csv"))
            with path.open(newline="", encoding="utf-8") as file:
                for row in csv.DictReader(file, delimiter=";"):
                    rows.append((part, row["answer_from_anno"], intent, row["scenario"]))
    split, texts, intents, scenarios = (np.array(column) for column in zip(*rows, strict=True))
    names, labels = np.unique(intents, return_inverse=True)
    scenario_names, scenario = np.unique(scenarios, return_inverse=True)
    return {
        "texts": texts,
        "labels": labels.astype(np.int16),
        "scenarios": scenario.astype(np.int8),
        "split": split,
        "class_names": names,
        "scenario_names": scenario_names,
    }
