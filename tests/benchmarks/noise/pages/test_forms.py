from dataclasses import replace

import pytest

from benchmarks.noise.pages.forms import by_loss_table, losses_table, parts_table, rows_table
from benchmarks.noise.pages.selection import Selection
from benchmarks.noise.rows import rows_of
from tests.benchmarks.noise.made_results import result


class Chosen(Selection):
    """Rows that stand in no file."""

    def __init__(self, results):
        super().__init__("none", [])
        object.__setattr__(self, "results", results)

    def rows(self):
        return rows_of(self.results)


SCORES = {"plain": 0.5, "prism": 0.6, "ours": 0.7, "clean_only": 0.9}
RUNS = tuple(SCORES)
OF_ONE = [result(run, score) for run, score in SCORES.items()]
OF_OTHER = [
    replace(result(run, score), loss="Triplet")
    for run, score in {"plain": 0.5, "prism": 0.4, "ours": 1.0, "clean_only": 0.9}.items()
]


def test_a_row_has_the_noise_rates_and_the_best_run_in_bold():
    head, _, row = rows_table(Chosen(OF_ONE), RUNS).splitlines()
    assert head == (
        "| data, labels | loss | wrong, found | plain | PRISM (told) | ours | right only |"
    )
    # made_results: .41 were seen, .40 found
    assert row == "| CLINC, near 40 % | SupCon | .41, .40 | .500 | .600 | **.700** | .900 |"


def test_right_labels_only_are_never_the_best_run_and_ties_are_all_bold():
    tied = [result("plain", 0.7), result("ours", 0.7), result("clean_only", 0.9)]
    row = rows_table(Chosen(tied), ("plain", "ours", "clean_only")).splitlines()[2]
    assert row.endswith("| **.700** | **.700** | .900 |")


def test_what_is_recovered_stands_by_loss_and_over_all_rows():
    lines = by_loss_table(Chosen([*OF_ONE, *OF_OTHER]), ("prism", "ours")).splitlines()
    assert lines[0] == "| recovered | rows | PRISM (told) | ours |"
    assert lines[2:] == [
        "| SupConLoss, mean | 1 | .25 | .50 |",
        "| TripletMarginLoss, mean | 1 | −.25 | 1.25 |",
        "| all, mean | 2 | .00 | .88 |",
        "| all, median | 2 | .00 | .88 |",
        "| worst row | 2 | −.25 | .50 |",
    ]


def test_rows_in_which_nothing_is_to_be_recovered_do_not_count():
    small = [replace(one, noise="pair:0.2", map_at_r=0.5) for one in OF_ONE]
    lines = by_loss_table(Chosen([*OF_ONE, *small]), ("ours",)).splitlines()
    assert lines[2:] == [
        "| all, mean | 1 | .50 |",
        "| all, median | 1 | .50 |",
        "| worst row | 1 | .50 |",
    ]


def test_parts_are_means_of_the_rows_of_a_column():
    columns = [("one", Chosen(OF_ONE)), ("both", Chosen([*OF_ONE, *OF_OTHER]))]
    lines = parts_table(columns, ("plain", "ours", "trust")).splitlines()
    assert lines[0] == "| run | one | both |"
    assert lines[2:] == [
        "| `plain` | .500 | .500 |",
        "| `ours` | .700 | .850 |",
        "| `trust` |  |  |",
    ]


def test_rows_that_a_file_does_not_hold_are_an_error():
    with pytest.raises(ValueError, match="noise_real.csv must hold runs of clinc pair:0.2 SupCon"):
        Selection("noise_real", [("clinc", "pair:0.2")], ["SupCon"]).rows()


def test_rows_come_in_the_order_asked_for_with_the_seeds_asked_for():
    cells = [("hwu", "given:annotator"), ("clinc", "given:annotator")]
    rows = Selection("noise_real", cells, ["SupCon"], seeds=[1]).rows()
    assert [row.data for row in rows] == ["hwu", "clinc"]
    assert [one.seed for one in rows[0].results["plain"]] == [1]


def test_losses_have_what_the_wrapper_found():
    lines = losses_table(Chosen([*OF_ONE, *OF_OTHER])).splitlines()
    assert lines[0] == (
        "| loss | plain | ours | right only | recovered | wrong, found | AUROC of trust |"
    )
    assert lines[2:] == [
        "| SupCon | .500 | **.700** | .900 | .50 | .41, .40 | .980 |",
        "| TripletMargin | .500 | **1.000** | .900 | 1.25 | .41, .40 | .980 |",
    ]
