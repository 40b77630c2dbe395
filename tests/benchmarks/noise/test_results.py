from benchmarks.noise.results import append_result, read_results
from tests.benchmarks.noise.made_results import result
from tests.docs.pages import ROOT


def test_results_are_stored_and_read_back(tmp_path):
    path = tmp_path / "results.csv"
    assert read_results(path) == []
    made = [result("plain", 0.5), result("ours", 0.75, seed=2)]
    for one in made:
        append_result(path, one)
    assert read_results(path) == made


def test_the_files_of_the_docs_can_be_read():
    results = read_results(ROOT / "docs" / "noise.csv")
    assert len(results) > 100
    assert len({one.job for one in results}) == len(results)
