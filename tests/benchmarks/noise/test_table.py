from dataclasses import replace

from benchmarks.noise.rows import rows_of
from benchmarks.noise.suites import RUNS
from benchmarks.noise.table import table
from tests.benchmarks.noise.made_results import result


def test_a_row_says_what_each_run_has_and_what_ours_recovers():
    scores = {"plain": 0.55, "prism": 0.6, "ours": 0.75, "clean_only": 0.85}
    text = table(rows_of(result(run, score) for run, score in scores.items()), RUNS)
    head, _, row, *summaries = text.splitlines()
    assert head == (
        "| data | loss | noise | plain | prism | ours | clean_only | ours: recovered | "
        "noise rate (seen) | AUROC |"
    )
    assert row == (
        "| clinc | SupCon | near:0.4 | 0.550 | 0.600 | 0.750 | 0.850 | 0.67 | 0.400 (0.410) | "
        "0.980 |"
    )
    assert summaries == [
        "",
        "ours recovers 0.67 in the mean (median 0.67, worst 0.67 of 1 rows).",
        "",
        "prism recovers 0.17 in the mean (median 0.17, worst 0.17 of 1 rows).",
    ]


def test_summaries_give_means_by_loss():
    scores = {"plain": 0.5, "ours": 0.7, "clean_only": 0.9}
    of_one = [result(run, score) for run, score in scores.items()]
    of_other = [replace(of, loss="Triplet") for of in of_one if of.run != "ours"]
    of_other.append(replace(result("ours", 0.9), loss="Triplet"))
    text = table(rows_of([*of_one, *of_other]), ("plain", "ours", "clean_only"))
    assert "worst 0.50 of 2 rows; SupCon 0.50, Triplet 1.00)." in text


def test_runs_on_clean_labels_show_no_noise_rate():
    text = table(rows_of([result("clean_only_margins", 0.5)]), ("clean_only_margins",))
    assert text.splitlines()[0] == "| data | loss | noise | clean_only_margins |"


def test_what_was_not_measured_stays_empty():
    text = table(rows_of([result("plain", 0.5), result("ours", 0.6)]), RUNS)
    assert "| 0.500 |  | 0.600 |  |  | 0.400 (0.410) | 0.980 |" in text
    assert "recovers" not in text
