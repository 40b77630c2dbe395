from benchmarks.noise.methods import METHODS
from benchmarks.noise.plot import plot
from benchmarks.noise.rows import rows_of
from tests.benchmarks.noise.made_results import result


def test_a_plot_is_drawn_of_all_methods(tmp_path):
    rows = rows_of([*(result(run, 0.5) for run in METHODS), result("ours", 0.72, seed=1)])
    plot(rows, tuple(METHODS), tmp_path / "plot.png")
    assert (tmp_path / "plot.png").stat().st_size > 1000


def test_missing_runs_are_left_out(tmp_path):
    plot(rows_of([result("plain", 0.5)]), ("plain", "ours"), tmp_path / "plot.png")
    assert (tmp_path / "plot.png").stat().st_size > 1000
