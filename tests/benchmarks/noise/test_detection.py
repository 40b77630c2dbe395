import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold

from benchmarks.noise import detection
from benchmarks.noise.protocol import trained
from benchmarks.noise.results import Job


@pytest.fixture
def run(small):
    return trained(Job("small", "MultiSimilarity", "symmetric:0.3", 0, "ours_ids"), None)


def test_neighbours_are_counted_one_by_one(run):
    features = torch.nn.functional.normalize(run.data.train[0], dim=1).double()
    labels, found = run.samples.labels, detection.by_neighbours(run)
    for i in range(0, len(labels), 50):
        similarity = features @ features[i]
        similarity[i] = -2
        nearest = similarity.topk(10).indices
        assert float(found[i]) == pytest.approx(
            float((labels[nearest] == labels[i]).double().mean())
        )


def test_a_classifier_gives_probabilities_of_samples_that_it_has_not_seen(run):
    found = detection.out_of_sample(run)
    features = torch.nn.functional.normalize(run.data.train[0], dim=1).numpy()
    labels = run.samples.labels.numpy()
    train, test = next(iter(StratifiedKFold(5).split(features, labels)))
    model = LogisticRegression(max_iter=200).fit(features[train], labels[train])
    expected = np.zeros((len(test), 32))
    expected[:, model.classes_] = model.predict_proba(features[test])
    np.testing.assert_allclose(found[test], expected, rtol=1e-6)


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
