"""The confusions of classes against a loop over the equation."""

import math

import pytest
import torch

from pml_ahsml.audit.judging import confused_labels
from pml_ahsml.audit.judging.beliefs import taken_as_given
from pml_ahsml.audit.judging.confused_labels import log_confusions
from tests.audit.judging.made import dense, soft_beliefs

N, K, C = 50, 5, 3


def naive(table, labels, rate):
    """(K, K) T_ky = (J_ky + 2·((1 − ε)·[k = y] + ε/K)) / (Σ_y J_ky + 2)."""
    joint = torch.zeros(K, K, dtype=torch.float64)
    for i, y in enumerate(labels.tolist()):
        for k in range(K):
            joint[k, y] += table[i, k]
    confusions = torch.zeros(K, K, dtype=torch.float64)
    for k in range(K):
        for y in range(K):
            prior = (1 - rate) * (k == y) + rate / K
            confusions[k, y] = (joint[k, y] + 2 * prior) / (joint[k].sum() + 2)
    return confusions


def test_confusions_are_counted_from_beliefs():
    beliefs = soft_beliefs(N, K, C)
    labels = beliefs.classes[torch.arange(N), torch.arange(N) % C]
    table = dense(beliefs, K)
    rate = 1 - float(table[torch.arange(N), labels].sum()) / N
    expected = naive(table, labels, rate)
    torch.testing.assert_close(
        expected.sum(1), torch.ones(K, dtype=torch.float64), rtol=1e-12, atol=0
    )
    found = log_confusions(beliefs, beliefs.classes, labels, K)
    wanted = expected[beliefs.classes, labels[:, None]].log()
    torch.testing.assert_close(found.double(), wanted, rtol=1e-5, atol=1e-5)


def test_before_anything_is_known_a_fifth_of_the_labels_is_wrong():
    classes = torch.tensor([[0, 1, 3]])
    found = log_confusions(None, classes, torch.tensor([3]), 4).exp()
    torch.testing.assert_close(found, torch.tensor([[0.05, 0.05, 0.85]]))


def test_no_label_is_impossible_even_if_all_are_believed():
    labels = torch.arange(N) % K
    classes = torch.arange(K).expand(N, -1)
    found = log_confusions(taken_as_given(classes, labels), classes, labels, K)
    others = found[classes != labels[:, None]].double()
    # ten samples of each class, and the lowest noise rate of .001
    expected = math.log(2 * 0.001 / K / (10 + 2))
    torch.testing.assert_close(others, torch.full_like(others, expected), rtol=1e-5, atol=0)


@pytest.mark.parametrize("with_counts", [False, True])
def test_with_too_many_classes_for_a_table_all_confusions_are_alike(monkeypatch, with_counts):
    beliefs = soft_beliefs(N, K, C)
    labels = beliefs.classes[:, 0]
    monkeypatch.setattr(confused_labels, "_MOST_CLASSES", K if with_counts else K - 1)
    found = log_confusions(beliefs, beliefs.classes, labels, K)
    own = beliefs.classes == labels[:, None]
    assert (len(found[~own].unique()) > 1) == with_counts
    if not with_counts:
        rate = 1 - float(beliefs.of(labels).mean())
        torch.testing.assert_close(found[own].exp(), torch.full((N,), 1 - rate + rate / K))
