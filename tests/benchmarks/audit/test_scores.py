import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold

from benchmarks.audit import scores


@pytest.fixture
def samples():
    """Features of 4 classes, and labels of which some are wrong."""
    generator = torch.Generator().manual_seed(0)
    labels = torch.randint(4, (200,), generator=generator)
    points = torch.eye(4)[labels] + 0.3 * torch.randn(200, 4, generator=generator)
    labels[::10] = (labels[::10] + 1) % 4
    return torch.nn.functional.normalize(points, dim=1), labels


def test_neighbours_are_counted_one_by_one(samples):
    features, labels = samples
    found = scores.by_neighbours(features, labels)
    for i in range(0, len(labels), 20):
        similarity = features.double() @ features[i].double()
        similarity[i] = -2
        nearest = similarity.topk(10).indices
        expected = float((labels[nearest] == labels[i]).double().mean())
        assert float(found[i]) == pytest.approx(expected)


@pytest.mark.parametrize("shuffled", [False, True])
def test_a_classifier_gives_probabilities_of_samples_that_it_has_not_seen(samples, shuffled):
    features, labels = (part.numpy() for part in samples)
    found = scores.out_of_sample(*samples, num_classes=5, shuffled=shuffled)
    folds = StratifiedKFold(5, shuffle=shuffled, random_state=0 if shuffled else None)
    train, test = next(iter(folds.split(features, labels)))
    model = LogisticRegression(max_iter=200).fit(features[train], labels[train])
    expected = np.zeros((len(test), 5))
    expected[:, model.classes_] = model.predict_proba(features[test])
    np.testing.assert_allclose(found[test], expected, rtol=1e-6)


def test_the_probability_of_a_label_is_that_of_its_column():
    probabilities = torch.tensor([[0.1, 0.9], [0.7, 0.3]])
    found = scores.of_labels(probabilities, torch.tensor([1, 0]))
    torch.testing.assert_close(found, torch.tensor([0.9, 0.7]))


def test_the_calibration_error_is_the_mean_gap_between_trust_and_share_right():
    trust = torch.tensor([0.9, 0.9, 0.9, 0.9, 0.3, 0.3])
    is_right = torch.tensor([True, True, True, False, False, False])
    # four samples off by .15, two by .3
    expected = (4 * 0.15 + 2 * 0.3) / 6
    assert scores.calibration_error(trust, is_right) == pytest.approx(expected)
    assert scores.calibration_error(torch.ones(3), torch.ones(3).bool()) == 0
