from dataclasses import replace

from benchmarks.end_to_end.data import STEPS
from benchmarks.end_to_end.network import SIZE
from benchmarks.end_to_end.table import end_to_end_table
from benchmarks.noise.data import BATCH_SIZE
from benchmarks.noise.rows import rows_of
from tests.benchmarks.noise.made_results import result
from tests.docs.pages import ROOT

SCORES = {"plain": 0.5, "prism": 0.6, "ours_ids": 0.7, "clean_only": 0.9}


def made():
    runs = [result(run, score, noise="given:worst") for run, score in SCORES.items()]
    return [replace(one, precision_at_1=one.map_at_r + 0.05) for one in runs]


def test_a_kind_of_labels_has_a_line_for_each_measure():
    head, _, *lines = end_to_end_table(rows_of(made())).splitlines()
    assert head == (
        "| labels | wrong | found | AUROC of trust |  | plain | PRISM (told) | ours, with ids | "
        "right only | recovered, PRISM (told) | recovered, ours, with ids |"
    )
    start = "| people, worst of three | .41 | .40 | .98 |"
    assert lines == [
        f"{start} MAP@R | .500 | .600 | **.700** | .900 | .25 | .50 |",
        f"{start} precision@1 | .550 | .650 | **.750** | .950 |  |  |",
    ]


def test_nothing_is_recovered_where_wrong_labels_do_no_harm():
    harmless = [replace(one, map_at_r=0.5) for one in made()]
    line = end_to_end_table(rows_of(harmless)).splitlines()[2]
    assert line.endswith("| **.500** | **.500** | **.500** | .500 |  |  |")


def test_the_page_says_how_long_the_training_is():
    page = (ROOT / "docs" / "results" / "end_to_end.md").read_text(encoding="utf-8")
    assert f"{STEPS} steps of {BATCH_SIZE} photos" in page
    assert f"32 pixels, enlarged to {SIZE}" in page
