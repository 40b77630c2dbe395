import pytest
import torch

from benchmarks.noise.data import load
from benchmarks.noise.labels import NO_NOISE, noisy_labels


@pytest.fixture(scope="module")
def digits():
    return load("digits", None)


@pytest.mark.parametrize("kind", ["symmetric", "near", "pair", "instance"])
def test_as_many_labels_are_wrong_as_the_row_says(digits, kind):
    labels = noisy_labels(f"{kind}:0.2", 1, digits)
    share = (labels != digits.train[1]).float().mean()
    assert float(share) == pytest.approx(0.2, abs=1e-3)
    assert torch.equal(labels, noisy_labels(f"{kind}:0.2", 1, digits))
    assert not torch.equal(labels, noisy_labels(f"{kind}:0.2", 2, digits))


def test_without_noise_labels_are_right(digits):
    assert torch.equal(noisy_labels(NO_NOISE, 0, digits), digits.train[1])


def test_a_kind_that_is_not_known_is_refused(digits):
    with pytest.raises(ValueError, match="kind must be"):
        noisy_labels("sideways:0.2", 0, digits)


def test_one_way_noise_goes_one_way(digits):
    truth = digits.train[1]
    labels = noisy_labels("one_way:0.2", 0, digits)
    for k in range(10):
        wrong = labels[(truth == k) & (labels != k)]
        if k % 2:
            assert len(wrong) == 0
        else:
            assert len(wrong.unique()) == 1
            assert len(wrong) / (truth == k).sum() == pytest.approx(0.4, abs=0.1)
