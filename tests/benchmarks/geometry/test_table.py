import json

from benchmarks.geometry.summary import summary
from benchmarks.geometry.table import report
from tests.docs.pages import ROOT


def test_the_docs_page_matches_its_figures():
    figures = json.loads((ROOT / "docs" / "geometry.json").read_text(encoding="utf-8"))
    page = (ROOT / "docs" / "geometry.md").read_text(encoding="utf-8")
    assert report(figures, "python -m benchmarks.geometry") == page


def test_the_summary_names_the_worst_of_ours():
    timings = [
        {"way": "PoincareDistance", "kind": "random", "both_ratio": 1.2},
        {"way": "PoincareDistance", "kind": "random", "both_ratio": 1.6},
        {"way": "plain autograd", "kind": "random", "both_ratio": 9.0},
        {"way": "PoincareDistance", "kind": "collapsed", "both_ratio": 3.0},
    ]
    accuracy = [
        {"way": "PoincareDistance", "distance": 1e-7, "gradient": 3e-6},
        {"way": "plain autograd", "distance": 1e-1, "gradient": 1e-1},
    ]
    times = [
        {"way": "PoincareKNN", "seconds": 3.0},
        {"way": "FaissKNN, Euclidean", "seconds": 2.0},
    ]
    searches = {"n": 1000, "times": times, "agreement": [{"identical": 1.0}, {"identical": 0.98}]}
    figures = {
        "timings": {"rows": timings},
        "accuracy": {"rows": accuracy},
        "knn": {"rows": searches},
        "overhead": {"rows": {"steps": [{"ratio": 4.5}, {"ratio": 2.5}]}},
    }
    answers = [line.split(" | ")[1] for line in summary(figures).splitlines()[2:]]
    assert answers == [
        "1.2 to 1.6 times the time",
        "3.0 to 3.0 times the time",
        "at most 3e-06",
        "1.5 times the time",
        "98.00 %",
        "2.5 to 4.5 times the step",
    ]
