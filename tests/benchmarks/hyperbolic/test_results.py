import math

from benchmarks.hyperbolic.results import Job, append_results, read_results
from benchmarks.hyperbolic.suites import SUITES, jobs_of
from tests.benchmarks.hyperbolic.made_results import made


def test_results_come_back_from_the_file(tmp_path):
    path = tmp_path / "results.csv"
    assert read_results(path) == []
    first, second = made("own", 0, at_rim=float("nan")), made("lorentz", 1)
    append_results(path, [first])
    append_results(path, [second])
    back = read_results(path)
    assert math.isnan(back[0].at_rim)
    assert back[1] == second
    assert back[0].job == first.job == Job("hwu", "SupCon", "none:0", 128, 0, "own", 0)


def test_a_suite_has_both_ways_of_each_row_and_no_run_twice():
    for suite in SUITES:
        jobs = jobs_of(suite, (0, 1))
        assert len(set(jobs)) == len(jobs)
        rows = {(job.data, job.loss, job.noise, job.size, job.seed) for job in jobs}
        ways = {job.way for job in jobs}
        assert "lorentz" in ways
        assert len(jobs) == len(rows) * len(ways)
    assert len(jobs_of("clean", (0,))) == 24
    assert len(jobs_of("noisy", (0,))) == 12
