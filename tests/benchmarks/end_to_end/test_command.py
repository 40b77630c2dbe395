import importlib

import pytest

from benchmarks.end_to_end import training
from benchmarks.noise.results import Job, read_results
from benchmarks.noise.suites import GIVEN_LABELS
from tests.benchmarks.end_to_end.conftest import WHO

command = importlib.import_module("benchmarks.end_to_end.__main__")
RUNS = ("plain", "ours_ids")


def wanted():
    return [Job("photos", "MultiSimilarity", WHO, 0, run) for run in RUNS]


def test_four_runs_for_each_kind_of_labels_of_one_seed():
    jobs = command.jobs()
    assert len(set(jobs)) == len(jobs) == 8
    assert {job.noise for job in jobs} == {
        f"given:{who}" for data, who in GIVEN_LABELS if data == "cifar10n"
    }
    assert len({(job.data, job.loss, job.seed) for job in jobs}) == 1


def test_finished_runs_are_not_repeated_and_leave_no_checkpoint(small, tmp_path, monkeypatch):
    monkeypatch.setattr(training, "_STEPS_BETWEEN_CHECKPOINTS", 2)
    command.make_missing(wanted(), small, 4, tmp_path, "some")
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "some.csv",
        "some_curve.csv",
    ]
    assert [result.job for result in read_results(tmp_path / "some.csv")] == wanted()
    monkeypatch.setattr(command, "train", lambda *_: 1 / 0)
    command.make_missing(wanted(), small, 4, tmp_path, "some")


def test_each_run_has_a_checkpoint_of_its_own(small, tmp_path, monkeypatch):
    used = []

    def cut_off(*arguments):
        used.append(arguments[-1])
        raise KeyboardInterrupt

    monkeypatch.setattr(command, "train", cut_off)
    for longer in (1, 2):
        for job in command.jobs():
            with pytest.raises(KeyboardInterrupt):
                command.make_missing([job], small, 1, tmp_path, command.stem(longer))
    assert len(set(used)) == 16


def test_longer_trainings_have_files_of_their_own(tmp_path):
    assert [command.stem(n) for n in (1, 2)] == ["end_to_end", "end_to_end_2_times"]
    words = ["--longer", "0", "--data", str(tmp_path), "--output", str(tmp_path)]
    with pytest.raises(ValueError, match="longer must be at least 1, got 0"):
        command.main(command.parser().parse_args(words))
