from benchmarks.noise.detection.rows import Row
from benchmarks.noise.pages.detection import auroc_table, found_table, predicted_table

ROW = Row(
    data="trec",
    noise="given:majority",
    seed=0,
    wrong=0.47,
    classifier=0.485,
    neighbours=0.434,
    ours=0.823,
    audit=0.8,
    classifier_auroc=0.9,
    neighbours_auroc=0.5,
    ours_auroc=0.8999,
    audit_auroc=0.85,
    predicts_given=0.784,
    predicts_true=0.456,
)


def test_the_best_precision_of_a_row_is_bold():
    line = found_table([ROW]).splitlines()[2]
    assert line == "| TREC, rules | .47 | .485 | .434 | **.823** | .800 |"


def test_scores_that_look_equal_are_both_bold():
    line = auroc_table([ROW]).splitlines()[2]
    assert line == "| TREC, rules | .47 | **.900** | .500 | **.900** | .850 |"


def test_how_often_the_classifier_predicts_the_given_and_the_true_label():
    lines = predicted_table([ROW]).splitlines()
    assert lines[0] == "| data, labels | predicts the given label | predicts the true label |"
    assert lines[2] == "| TREC, rules | .78 | .46 |"
