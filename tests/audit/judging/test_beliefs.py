"""Beliefs about the classes in question."""

import torch

from pml_ahsml.audit.judging.beliefs import Beliefs, frequencies, taken_as_given
from tests.audit.judging.made import dense, soft_beliefs


def test_the_belief_in_a_class_is_found_in_whatever_column_it_stands():
    beliefs = soft_beliefs(30, 7, 3)
    labels = beliefs.classes[:, 1]
    assert torch.equal(beliefs.of(labels).double(), dense(beliefs, 7)[torch.arange(30), labels])


def test_the_likeliest_class_is_that_of_the_table():
    beliefs = soft_beliefs(30, 7, 3)
    weights, classes = beliefs.likeliest()
    table = dense(beliefs, 7)
    assert torch.equal(classes, table.argmax(1))
    assert torch.equal(weights.double(), table.max(1).values)


def test_taken_as_given_all_weight_is_on_the_label():
    classes = torch.tensor([[0, 2, 5], [1, 2, 3]])
    beliefs = taken_as_given(classes, torch.tensor([5, 1]))
    assert beliefs.weights.tolist() == [[0, 0, 1], [1, 0, 0]]


def test_without_some_rows_the_others_stay_and_the_beliefs_themselves_too():
    beliefs = soft_beliefs(5, 4, 2)
    before = beliefs.weights.clone()
    others = beliefs.without(torch.tensor([1, 4]))
    assert others.weights[[1, 4]].sum() == 0
    assert torch.equal(others.weights[[0, 2, 3]], before[[0, 2, 3]])
    assert torch.equal(beliefs.weights, before)


def test_frequencies_are_the_mean_of_the_table():
    beliefs = soft_beliefs(30, 7, 3)
    expected = dense(beliefs, 7).mean(0)
    torch.testing.assert_close(frequencies(beliefs, 7).double(), expected, rtol=1e-6, atol=0)
    nothing = Beliefs(beliefs.classes, torch.zeros(30, 3))
    assert frequencies(nothing, 7).tolist() == [0] * 7
