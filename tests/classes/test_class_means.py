import pytest
import torch

from pml_ahsml.classes import class_means as cm
from tests import reference

N, D, G = 30, 4, 5


def points_and_groups():
    labels = 7 * torch.randint(0, G, (N,)) - 3  # any integers
    return torch.randn(N, D, dtype=torch.float64), cm.Groups.by(labels), torch.rand(N).double()


def naive_means(x, groups, weights):
    means = torch.zeros(G, D, dtype=torch.float64)
    for g in range(G):
        rows = [i for i in range(len(x)) if groups.of_rows[i] == g]
        total = sum(float(weights[i]) for i in rows)
        for i in rows:
            means[g] += float(weights[i]) / total * x[i]
    return means


def test_weighted_means_equal_the_loop():
    x, groups, weights = points_and_groups()
    means, totals = cm.weighted_means(x, groups, weights)
    torch.testing.assert_close(means, naive_means(x, groups, weights))
    rows = [groups.of_rows == g for g in range(G)]
    torch.testing.assert_close(totals, torch.stack([weights[of_group].sum() for of_group in rows]))


def test_robust_weights_equal_the_loop():
    x, groups, weights = points_and_groups()
    of_rows, expected = groups.of_rows, weights
    for _ in range(2):
        means, steps = naive_means(x, groups, expected), []
        for i in range(N):
            rows = [j for j in range(N) if of_rows[j] == of_rows[i]]
            distances = {j: float((x[j] - means[of_rows[j]]).norm()) for j in rows}
            steps.append(float(weights[i]) * (min(distances.values()) / distances[i]) ** 2)
        expected = torch.tensor(steps, dtype=torch.float64)
    torch.testing.assert_close(cm.robust_weights(x, groups, weights), expected, rtol=1e-9, atol=0)


def test_two_of_four_samples_outweigh_two_that_lie_elsewhere():
    # two right ones in one place and two of other classes, as far from these as from each other
    x = torch.eye(3, dtype=torch.float64)[[0, 0, 1, 2]]
    groups, ones = cm.Groups.by(torch.zeros(4)), torch.ones(4, dtype=torch.float64)
    weights = cm.robust_weights(x, groups, ones)
    assert weights[:2].tolist() == [1, 1]
    # d² from the mean is 3/8 for the right ones and 7/8 for the others, then 27/200 and 247/200
    assert weights[2:].tolist() == pytest.approx([27 / 247] * 2)


def test_samples_alone_or_all_in_one_place_count_in_full():
    x = torch.tensor([[1.0, 2.0], [3.0, 0.0], [3.0, 0.0]])
    weights = torch.tensor([0.1, 1.0, 1.0])
    groups = cm.Groups.by(torch.tensor([0, 1, 1]))
    assert torch.equal(cm.robust_weights(x, groups, weights), weights)


def test_errors_of_means_equal_the_loop_and_what_repeated_draws_show():
    x, groups, weights = points_and_groups()
    means, totals, found = cm.means_and_errors(x, groups, weights)
    for one, other in zip((means, totals), cm.weighted_means(x, groups, weights), strict=True):
        torch.testing.assert_close(one, other)
    for g in range(G):
        rows = groups.of_rows == g
        squares = (x[rows] - means[g]).square().sum(1).tolist()
        expected = reference.variance_of_mean(weights[rows].tolist(), squares)
        assert float(found[g]) == pytest.approx(expected, rel=1e-9)
    # 4,000 groups of four points with variance 1 in each of D directions
    x = torch.randn(16000, D, dtype=torch.float64)
    groups = cm.Groups.by(torch.arange(4000).repeat(4))
    weights = torch.tensor([1.0, 1.0, 0.5, 0.5], dtype=torch.float64).repeat_interleave(4000)
    means, _, errors = cm.means_and_errors(x, groups, weights)
    # of either mean over the groups the standard error is below 2 %
    assert float(errors.mean() / means.square().sum(1).mean()) == pytest.approx(1, abs=0.08)


@pytest.mark.parametrize("weights", [[1.0], [0.1], [1.0, 0.0]])
def test_one_sample_says_nothing_about_scatter(weights):
    w = torch.tensor(weights, dtype=torch.float64)
    x, groups = torch.randn(len(w), D, dtype=torch.float64), cm.Groups.by(torch.zeros(len(w)))
    assert cm.means_and_errors(x, groups, w)[2].isnan().all()


def test_rows_are_added_to_the_columns_of_their_labels():
    labels, rows = torch.randint(5, (40,)), torch.rand(40, 6)
    table = torch.rand(6, 5)
    expected = table.double()
    for label, row in zip(labels.tolist(), rows.double(), strict=True):
        expected[:, label] += row
    # the same to the last bit in any order: the rank that gathered the rows gives it
    order = torch.randperm(40)
    tables = [table.clone(), table.clone()]
    cm.Groups.by(labels).add_to_columns(tables[0], rows)
    cm.Groups.by(labels[order]).add_to_columns(tables[1], rows[order])
    torch.testing.assert_close(tables[0], expected.float())
    assert torch.equal(*tables)


def test_groups_of_some_rows_add_these_only():
    labels, rows = torch.tensor([4, 0, 4, 2]), torch.rand(4, 3)
    some = torch.tensor([2, 1])
    tables = [torch.zeros(3, 5), torch.zeros(3, 5)]
    cm.Groups.by(labels).select(some).add_to_columns(tables[0], rows[some])
    cm.Groups.by(labels[some]).add_to_columns(tables[1], rows[some])
    assert torch.equal(*tables)
    assert tables[0].any(0).tolist() == [True, False, False, False, True]
