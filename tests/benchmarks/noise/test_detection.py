from benchmarks.noise import detection
from benchmarks.noise.protocol import trained
from benchmarks.noise.results import Job


def test_a_row_has_the_share_of_wrong_labels_and_both_figures_of_each_score(small, monkeypatch):
    monkeypatch.setattr(
        detection, "trained", lambda job, _: trained(_with_noise(job, "symmetric:0.3"), None)
    )
    cells = detection.row(("small", "worst"), None)
    assert cells[:3] == ["small", "worst", "0.30"]
    for cell in cells[3:6]:
        auroc, found = map(float, cell.split(" / "))
        assert 0.5 < auroc < 1
        assert 0.3 < found < 1
    given, true = map(float, cells[6].split(" / "))
    assert 0.1 < given < true < 1
    assert len(cells) == len(detection.HEAD)


def _with_noise(job, noise):
    return Job(job.data, job.loss, noise, job.seed, job.run)
