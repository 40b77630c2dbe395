import pytest

from benchmarks.noise.detection import rows
from benchmarks.noise.protocol import trained
from benchmarks.noise.results import Job


def test_a_row_has_both_figures_of_each_score(small, monkeypatch):
    def seeded(job, data_dir):
        noisy = Job(job.data, job.loss, "symmetric:0.3", job.seed, job.run)
        return trained(noisy, data_dir)

    monkeypatch.setattr(rows, "trained", seeded)
    made = rows.row(("small", "given:worst"), None)
    assert (made.data, made.noise, made.seed) == ("small", "given:worst", 0)
    assert made.wrong == pytest.approx(0.3, abs=0.01)
    for score in ("classifier", "neighbours", "ours", "audit"):
        # precision of a score that says nothing is the share of wrong labels
        assert made.wrong < getattr(made, score) < 1
        assert 0.5 < getattr(made, f"{score}_auroc") < 1
    assert 0.1 < made.predicts_given < made.predicts_true < 1
