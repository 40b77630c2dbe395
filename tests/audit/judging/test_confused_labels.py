"""The confusions of classes against a loop over the equation."""

import math

import pytest
import torch

from pml_ahsml.audit.judging import confused_labels
from pml_ahsml.audit.judging.beliefs import taken_as_given
from pml_ahsml.audit.judging.confused_labels import Confusions
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


@pytest.mark.parametrize("block", [1 << 20, 4 * C])
def test_confusions_are_counted_from_beliefs(monkeypatch, block):
    monkeypatch.setattr(confused_labels, "_BLOCK", block)
    beliefs = soft_beliefs(N, K, C)
    labels = beliefs.classes[torch.arange(N), torch.arange(N) % C]
    table = dense(beliefs, K)
    rate = 1 - float(table[torch.arange(N), labels].sum()) / N
    expected = naive(table, labels, rate)
    torch.testing.assert_close(
        expected.sum(1), torch.ones(K, dtype=torch.float64), rtol=1e-12, atol=0
    )
    found = Confusions(beliefs.classes, labels, K).log_probabilities(beliefs.weights)
    wanted = expected[beliefs.classes, labels[:, None]].log()
    torch.testing.assert_close(found.double(), wanted, rtol=1e-5, atol=1e-5)


def test_before_anything_is_known_a_fifth_of_the_labels_is_wrong():
    classes = torch.tensor([[0, 1, 3]])
    found = Confusions(classes, torch.tensor([3]), 4).log_probabilities(None).exp()
    torch.testing.assert_close(found, torch.tensor([[0.05, 0.05, 0.85]]))


def test_no_label_is_impossible_even_if_all_are_believed():
    labels = torch.arange(N) % K
    classes = torch.arange(K).expand(N, -1)
    weights = taken_as_given(classes, labels).weights
    found = Confusions(classes, labels, K).log_probabilities(weights)
    others = found[classes != labels[:, None]].double()
    # ten samples of each class, and the lowest noise rate of .001
    expected = math.log(2 * 0.001 / K / (10 + 2))
    torch.testing.assert_close(others, torch.full_like(others, expected), rtol=1e-5, atol=0)


def test_of_very_many_classes_only_the_pairs_in_question_are_kept():
    num_classes = 1_000_000_000
    classes = torch.tensor([[3, 7, num_classes - 1], [3, 7, num_classes - 1], [0, 3, 7]])
    labels = torch.tensor([7, 7, 0])
    confusions = Confusions(classes, labels, num_classes)
    assert len(confusions.classes) == 6
    weights = torch.tensor([[0.5, 0.5, 0.0], [0.0, 1.0, 0.0], [0.8, 0.2, 0.0]])
    found = confusions.log_probabilities(weights).exp()
    # class 7 has 1.5 samples labelled 7, of 1.5 in all; class 3 has .5 of .7
    rate = 1 - (0.5 + 1.0 + 0.8) / 3
    seven = (1.5 + 2 * (1 - rate)) / (1.5 + 2)
    torch.testing.assert_close(found[0, :2], torch.tensor([0.5 / 2.7, seven]), rtol=1e-5, atol=0)
