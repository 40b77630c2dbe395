import pytest
import torch

from pml_ahsml.classes import class_similarity as cs
from tests import reference


def batch():
    labels = torch.tensor([0, 0, 0, 1, 1, 2, 4, 4, 4, 4])  # 2 has one sample, 3 has none
    e = torch.nn.functional.normalize(torch.randn(len(labels), 4, dtype=torch.float64))
    return e @ e.T, labels


def test_class_similarity_is_the_sum_over_pairs():
    s, labels = batch()
    within, between = cs.class_similarity(s, labels, 5)
    expected_within, expected_between = reference.class_similarity(s, labels, 5)
    for found, expected in ((within, expected_within), (between, expected_between)):
        is_there = ~found.isnan()
        torch.testing.assert_close(found[is_there], expected[is_there])
        assert expected[~is_there].isnan().all()
    assert within.isnan().tolist() == [False, False, True, True, False]
    assert between[3].isnan().all()
    assert between.diagonal().isnan().all()
    assert int(between.isnan().sum()) == 13  # class 3 in row and column, and the diagonal


def test_two_classes_get_one_margin_whatever_the_rounding():
    for _ in range(10):
        labels = torch.randint(2, (64,))
        e = torch.nn.functional.normalize(torch.randn(64, 8))
        between = cs.class_similarity(e @ e.T, labels, 2)[1]
        assert between[0, 1] == between[1, 0]
        assert cs.rescale(between, 0.2).tolist() == [[pytest.approx(0.1)] * 2] * 2


def test_margins_are_the_rescaled_similarities_around_gamma():
    s, labels = batch()
    within, between = cs.class_similarity(s, labels, 5)
    positive, negative = cs.adaptive_margins(within, between, 0.4, 0.3)
    torch.testing.assert_close(positive, 0.4 + reference.rescale(within, 0.3))
    torch.testing.assert_close(negative, 0.4 - reference.rescale(between, 0.3))
    assert positive[within.nan_to_num(-2).argmax()] == pytest.approx(0.7)
    assert positive[2] == pytest.approx(0.55)  # one sample: the middle of the range


@pytest.mark.parametrize("values", [[2.0, 2.0], [2.0], [float("nan")] * 2, [float("nan"), 1.0]])
def test_rescale_takes_the_middle_where_nothing_differs(values):
    assert cs.rescale(torch.tensor(values), 0.2).tolist() == pytest.approx([0.1] * len(values))


def test_margin_offsets_are_what_the_margins_take_off_each_pair():
    s, labels = batch()
    within, between = cs.class_similarity(s, labels, 5)
    refs = torch.tensor([4, 0, 3])
    offsets = cs.margin_offsets(within, between, labels, refs, 0.3)
    positive, negative = reference.rescale(within, 0.3), reference.rescale(between, 0.3)
    for i, a in enumerate(labels.tolist()):
        for j, b in enumerate(refs.tolist()):
            expected = positive[a] if a == b else -negative[a, b]
            assert float(offsets[i, j]) == pytest.approx(float(expected))


def test_view_margins_are_the_least_similar_pair_of_the_class():
    s, labels = batch()
    margins = cs.view_margins(s, labels, 5)
    members = [[i for i, y in enumerate(labels.tolist()) if y == k] for k in range(5)]
    least = {
        k: min(float(s[i, j]) for i in rows for j in rows if i != j)
        for k, rows in enumerate(members)
        if len(rows) > 1
    }
    mean = sum(least.values()) / len(least)
    assert margins.tolist() == pytest.approx([least.get(k, mean) for k in range(5)])
    assert cs.view_margins(s[:1, :1], labels[:1], 5).isnan().all()


def test_without_samples_no_view_margin_is_known():
    nothing = torch.zeros(0, dtype=torch.long)
    assert cs.view_margins(torch.zeros(0, 0), nothing, 3).isnan().all()
