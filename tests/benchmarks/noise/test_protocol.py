import itertools
import math
from dataclasses import replace

import pytest
import torch

from benchmarks.noise.data import load
from benchmarks.noise.methods import OURS
from benchmarks.noise.protocol import Samples, batches, num_steps, told_about, train
from benchmarks.noise.results import Job


@pytest.mark.parametrize("run", ["plain", "ours", "ours_ids"])
def test_a_run_is_the_same_when_it_is_made_again(small, run):
    job = Job("small", "SupCon", "symmetric:0.4", 1, run)
    first, second = (replace(train(job, None), seconds=0.0) for _ in range(2))
    assert repr(first) == repr(second)  # nan is not equal to itself
    assert first.job == job


@pytest.mark.parametrize("run", ["plain", "prism", "ours_ids", "ours_views", "hyperbolic"])
def test_figures_that_a_method_does_not_have_are_nan(small, run):
    result = train(Job("small", "SupCon", "symmetric:0.4", 1, run), None)
    assert 0 < result.map_at_r < result.precision_at_1 <= 1
    assert result.noise_rate_seen == pytest.approx(0.4, abs=0.05)
    assert math.isfinite(result.noise_rate) == (run in OURS)
    assert math.isfinite(result.trust_auroc) == (run in OURS)


def test_clean_only_runs_see_no_wrong_label(small):
    result = train(Job("small", "SupCon", "symmetric:0.4", 1, "clean_only"), None)
    assert result.noise_rate_seen == 0


def test_without_noise_trust_has_no_auroc(small):
    result = train(Job("small", "SupCon", "none:0", 1, "ours"), None)
    assert result.noise_rate < 0.3
    assert math.isnan(result.trust_auroc)


def test_longer_multiplies_the_steps():
    data = load("digits", None)
    assert num_steps(data) == data.epochs * (len(data.train[1]) // 128)
    assert num_steps(data, 3) == 3 * num_steps(data)


def test_batches_hold_four_samples_of_a_class():
    labels = torch.arange(64).repeat_interleave(10)
    for rows in itertools.islice(batches(labels), 12):
        assert labels[rows].bincount().unique().tolist() in ([0, 4], [4])


def test_with_few_classes_a_batch_holds_more_samples_of_each():
    labels = torch.arange(10).repeat_interleave(40)
    counts = labels[next(batches(labels))].bincount().sort().values
    assert counts.tolist() == [11, *[13] * 9]


def test_the_told_noise_rate_is_that_of_class_balanced_batches():
    labels = torch.tensor([0] * 8 + [2] * 2)
    is_noisy = torch.tensor([True] + [False] * 7 + [True, False])
    told = told_about(Samples(torch.zeros(10, 1), labels, is_noisy), num_classes=4)
    assert told.noise_rate == pytest.approx((1 / 8 + 1 / 2) / 2)
    assert told.class_counts.tolist() == [8, 0, 2, 0]


def test_every_tenth_right_label_is_told():
    is_noisy = torch.arange(40) % 4 == 0
    samples = Samples(torch.zeros(40, 1), torch.arange(40) % 2, is_noisy)
    assert told_about(samples, num_classes=2).clean_ids.tolist() == [1, 14, 27]
