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


def test_what_was_not_measured_stays_empty():
    text = table(rows_of([result("plain", 0.5), result("ours", 0.6)]), RUNS)
    assert "| 0.500 |  | 0.600 |  |  | 0.400 (0.410) | 0.980 |" in text
    assert "recovers" not in text
