"""Gaussian classes against loops over the equations, refitted without each sample."""

import math

import pytest
import torch

from pml_ahsml.audit.judging import class_densities
from pml_ahsml.audit.judging.beliefs import Beliefs, taken_as_given
from pml_ahsml.audit.judging.class_densities import (
    ClassDensities,
    class_sums,
    shared_covariance,
    smallest,
)
from tests.audit.judging.made import dense, gaussian_classes, soft_beliefs

N, K, D, C = 30, 6, 4, 3

# float32 sums of D squares of whitened differences: their relative rounding is some 100 times 6e-8.
CLOSE = {"rtol": 1e-4, "atol": 1e-4}


def naive_sums(points, table):
    sums = torch.zeros(table.shape[1], points.shape[1], dtype=torch.float64)
    masses = torch.zeros(table.shape[1], dtype=torch.float64)
    for i in range(len(points)):
        for k in range(table.shape[1]):
            sums[k] += table[i, k] * points[i].double()
            masses[k] += table[i, k]
    return sums, masses


def naive_covariance(points, table):
    """S = 1/C·Σ_k Σ_i q_ik·(x_i − m_k)(x_i − m_k)ᵀ/n_k."""
    sums, masses = naive_sums(points, table)
    total, seen = torch.zeros(points.shape[1], points.shape[1], dtype=torch.float64), 0
    for k in range(table.shape[1]):
        if masses[k] == 0:
            continue
        seen += 1
        for i in range(len(points)):
            residual = points[i].double() - sums[k] / masses[k]
            total += table[i, k] / masses[k] * torch.outer(residual, residual)
    return total / max(seen, 1)


def naive_log_density(points, table, i, k, left_out):
    """The density of class k, really fitted to the others, at sample i."""
    size = points.shape[1]
    means_of, covariance_of = table.clone(), table.clone()
    means_of[i] = 0
    covariance_of[left_out] = 0
    sums, masses = naive_sums(points, means_of)
    if masses[k] < 0.5:
        return -math.inf
    covariance = naive_covariance(points, covariance_of)
    covariance += 0.3 * covariance.diagonal().mean() * torch.eye(size, dtype=torch.float64)
    residual = points[i].double() - sums[k] / masses[k]
    wider = 1 + 1 / float(masses[k])
    gap = float(residual @ torch.linalg.inv(covariance) @ residual)
    return -gap / (2 * wider) - size / 2 * math.log(wider)


def test_sums_and_masses_of_classes():
    points, _ = gaussian_classes(N, K, D)
    beliefs = soft_beliefs(N, K, C)
    for found, expected in zip(
        class_sums(points, beliefs, K), naive_sums(points, dense(beliefs, K)), strict=True
    ):
        torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-12)


def test_the_covariance_is_that_around_the_means_with_equal_weight_per_class():
    points, _ = gaussian_classes(N, K, D)
    beliefs = soft_beliefs(N, K, C)
    # one class more, which nobody is of
    found = shared_covariance(points, beliefs, *class_sums(points, beliefs, K + 1))
    expected = naive_covariance(points, dense(beliefs, K + 1))
    torch.testing.assert_close(found, expected, rtol=1e-10, atol=1e-12)


def test_the_covariance_is_the_same_in_blocks(monkeypatch):
    points, _ = gaussian_classes(N, K, D)
    beliefs = soft_beliefs(N, K, C)
    sums, masses = class_sums(points, beliefs, K)
    whole = shared_covariance(points, beliefs, sums, masses)
    monkeypatch.setattr(class_densities, "_BLOCK", 7 * D)
    in_blocks = shared_covariance(points, beliefs, sums, masses)
    torch.testing.assert_close(in_blocks, whole, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("block", [1 << 24, 5 * C * D])
def test_log_densities_are_those_refitted_without_the_sample(monkeypatch, block):
    monkeypatch.setattr(class_densities, "NEAR_BLOCK", block)
    points, _ = gaussian_classes(N, K, D)
    beliefs = soft_beliefs(N, K, C)
    rows = torch.tensor([3, 8, 29, 0])
    found = ClassDensities(points, beliefs, K).log_densities(beliefs.classes[rows], rows)
    table = dense(beliefs, K)
    expected = [
        [naive_log_density(points, table, i, k, rows) for k in beliefs.classes[i].tolist()]
        for i in rows.tolist()
    ]
    torch.testing.assert_close(found.double(), torch.tensor(expected).double(), **CLOSE)


def test_log_densities_of_all_classes_while_labels_are_taken_as_given():
    points, labels = gaussian_classes(N, K, D)
    labels[labels == 5] = 4
    labels[0] = 5  # the only one of its class
    beliefs = taken_as_given(labels[:, None], labels)
    rows, classes = torch.tensor([0, 1, 17]), torch.arange(K).expand(3, -1)
    found = ClassDensities(points, beliefs, K).log_densities(classes, rows)
    table = dense(beliefs, K)
    expected = [
        [naive_log_density(points, table, i, k, rows) for k in range(K)] for i in (0, 1, 17)
    ]
    torch.testing.assert_close(found.double(), torch.tensor(expected).double(), **CLOSE)
    assert found[0, 5] == -torch.inf
    assert found[1, 5] > -torch.inf


def test_small_shares_of_a_sample_are_left_out():
    points, _ = gaussian_classes(3, 3, D)
    weights = torch.tensor([[0.9995, 0.0005], [0.5, 0.5], [1.0, 0.0]])
    fitted = ClassDensities(points, Beliefs(torch.tensor([[0, 1]] * 3), weights), 2)
    torch.testing.assert_close(
        fitted.masses, torch.tensor([2.4995, 0.5]).double(), rtol=1e-6, atol=0
    )


def test_the_nearest_classes_hold_the_label_and_are_ascending(monkeypatch):
    points, classes = gaussian_classes(N, K, D)
    labels = (classes + 3) % K
    beliefs = taken_as_given(classes[:, None], classes)
    monkeypatch.setattr(class_densities, "_BLOCK", 7 * K)
    found = ClassDensities(points, beliefs, K).nearest(labels[:, None], C)
    table = dense(beliefs, K)
    covariance = naive_covariance(points, table)
    covariance += 0.3 * covariance.diagonal().mean() * torch.eye(D, dtype=torch.float64)
    inverse = torch.linalg.inv(covariance)
    sums, masses = naive_sums(points, table)
    for i in range(N):
        gaps = []
        for k in range(K):
            residual = points[i].double() - sums[k] / masses[k]
            gaps.append(float(residual @ inverse @ residual))
        gaps[int(labels[i])] = -1.0
        assert found[i].tolist() == sorted(sorted(range(K), key=gaps.__getitem__)[:C])


def test_a_class_without_samples_is_in_question_last_of_all():
    points, classes = gaussian_classes(N, K, D)
    beliefs = taken_as_given(classes[:, None], classes)
    found = ClassDensities(points, beliefs, K + 1).nearest(classes[:, None], K)
    assert not (found == K).any()


def test_classes_that_are_wanted_are_among_the_nearest_however_far_they_are():
    points, classes = gaussian_classes(N, K, D)
    beliefs = taken_as_given(classes[:, None], classes)
    densities = ClassDensities(points, beliefs, K)
    farthest = [k for k in range(K) if k not in densities.nearest(classes[:, None], K - 1)[0]]
    wanted = torch.stack([classes, torch.full((N,), farthest[0])], 1)
    wanted[:, 1] = wanted[:, 1].where(wanted[:, 1] != classes, (classes + 1) % K)
    found = densities.nearest(wanted, 2)
    assert torch.equal(found, wanted.sort(1).values)


@pytest.mark.parametrize("width", [5, 64, 163])
def test_the_smallest_values_are_found_in_parts(width):
    values = torch.rand(40, width, generator=torch.Generator().manual_seed(0))
    # two of the smallest in one part, and one in the columns that are in no part
    values[0, [0, width // 2, width - 1]] = torch.tensor([-1.0, -2.0, -3.0])
    values[1, 3:] = torch.inf
    found = smallest(values, 3).sort(1).values
    assert torch.equal(found, values.topk(3, largest=False).indices.sort(1).values)
