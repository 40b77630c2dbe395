import math

import pytest
import torch

from benchmarks.end_to_end import training
from benchmarks.noise.results import Job
from tests.benchmarks.end_to_end.conftest import WHO


def job(run):
    return Job("photos", "MultiSimilarity", WHO, 0, run)


@pytest.mark.parametrize("run", ["plain", "prism", "ours_ids", "clean_only"])
def test_a_run_that_was_cut_off_ends_where_it_would_have_ended(run, small, tmp_path, monkeypatch):
    steps = {"prism": 56, "ours_ids": 32}.get(run, 8)  # beyond the warm-up of each
    monkeypatch.setattr(training, "_STEPS_BETWEEN_CHECKPOINTS", steps - 5)
    whole, progress = training.fine_tuned(job(run), small, steps, tmp_path / "whole.pt")
    training.fine_tuned(job(run), small, steps - 3, tmp_path / "cut.pt")
    torch.manual_seed(99)
    resumed, rest = training.fine_tuned(job(run), small, steps, tmp_path / "cut.pt")
    for name, value in whole.net.state_dict().items():
        assert torch.equal(value, resumed.net.state_dict()[name]), name
    assert progress.seen == rest.seen
    assert repr(progress.curve) == repr(rest.curve)  # (nan is nan there)
    assert len(rest.seen) == rest.step == steps


def test_a_checkpoint_is_taken_up_and_not_begun_anew(small, tmp_path, monkeypatch):
    monkeypatch.setattr(training, "_STEPS_BETWEEN_CHECKPOINTS", 4)
    training.fine_tuned(job("plain"), small, 4, tmp_path / "run.pt")
    taken = []
    monkeypatch.setattr(training, "save", lambda _, __, progress: taken.append(progress.step))
    training.fine_tuned(job("plain"), small, 8, tmp_path / "run.pt")
    assert taken == [8]


def test_a_wrapped_loss_leaves_its_curve_and_figures(small, tmp_path):
    result, curve = training.train(job("ours_ids"), small, 60, tmp_path / "run.pt")
    assert result.job == job("ours_ids")
    assert [point.step for point in curve] == list(range(1, 61))
    assert math.isnan(curve[0].noise_rate)
    assert curve[-1].noise_rate == pytest.approx(result.noise_rate, abs=0.05)
    assert curve[-1].right_trust > curve[-1].wrong_trust
    assert result.trust_auroc > 0.8
    assert 0.2 < result.noise_rate_seen < 0.5


def test_asking_for_the_curve_changes_nothing(small, tmp_path, monkeypatch):
    asked, _ = training.fine_tuned(job("ours_ids"), small, 30, tmp_path / "asked.pt")
    monkeypatch.setattr(training, "_point", lambda *_: ())
    silent, _ = training.fine_tuned(job("ours_ids"), small, 30, tmp_path / "silent.pt")
    for name, value in asked.net.state_dict().items():
        assert torch.equal(value, silent.net.state_dict()[name]), name


def test_right_labels_only_means_that_no_batch_has_a_wrong_one(small, tmp_path):
    result, curve = training.train(job("clean_only"), small, 3, tmp_path / "run.pt")
    assert result.noise_rate_seen == 0
    assert curve == []
    assert math.isnan(result.trust_auroc)
