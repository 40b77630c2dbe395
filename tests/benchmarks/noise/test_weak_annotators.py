import pytest
import torch
from sklearn.cluster import KMeans

from benchmarks.noise.data import load
from benchmarks.noise.labels import noisy_labels
from benchmarks.noise.weak_annotators import ANNOTATORS, weak_labels


@pytest.fixture(scope="module")
def digits():
    return load("digits", None)


def wrong(labels, data):
    return float((labels != data.train[1]).float().mean())


@pytest.mark.parametrize("name", ANNOTATORS)
def test_labels_are_drawn_by_the_seed_and_mostly_right(digits, name):
    labels = noisy_labels(f"weak:{name}", 1, digits)
    assert labels.dtype == digits.train[1].dtype
    assert 0.01 < wrong(labels, digits) < 0.5
    assert torch.equal(labels, weak_labels(name, 1, digits))
    assert not torch.equal(labels, weak_labels(name, 2, digits))


def test_unsure_people_are_wrong_as_often_as_said(digits):
    assert wrong(weak_labels("unsure", 0, digits), digits) == pytest.approx(0.3, abs=0.03)


def test_careless_annotators_add_a_tenth_at_random(digits):
    careful, careless = (weak_labels(name, 0, digits) for name in ("three_examples", "careless"))
    # of the tenth, one of ten classes is the label that was there
    assert float((careful != careless).float().mean()) == pytest.approx(0.09, abs=0.02)


def test_clusters_have_one_label_each(digits):
    labels = weak_labels("clusters", 0, digits)
    x = torch.nn.functional.normalize(digits.train[0].flatten(1).double(), dim=1)
    clusters = torch.tensor(KMeans(30, n_init=1, random_state=0).fit_predict(x.numpy()))
    for cluster in range(30):
        assert len(labels[clusters == cluster].unique()) == 1


def test_an_annotator_that_is_not_known_is_refused(digits):
    with pytest.raises(ValueError, match="weak must be one of"):
        noisy_labels("weak:nobody", 0, digits)
