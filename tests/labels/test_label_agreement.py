import math

import torch

from pml_ahsml.classes.class_means import Groups
from pml_ahsml.labels import label_agreement as lr


def test_within_share_is_the_ratio_of_pairwise_distances():
    torch.manual_seed(0)
    x, y = torch.randn(20, 3, dtype=torch.float64), torch.randint(4, (20,))
    # a variance is half the mean squared distance of two draws; weighted by the freedom of a group
    inside, freedom = 0.0, 0
    for k in range(4):
        rows = x[y == k]
        n = len(rows)
        pairs = sum(float((a - b).square().sum()) for a in rows for b in rows)
        inside += pairs / (2 * n)
        freedom += n - 1
    total = sum(float((a - b).square().sum()) for a in x for b in x) / (2 * 20 * 19)
    expected = inside / freedom / total
    assert math.isclose(lr.within_share(x, Groups.by(y)), expected, rel_tol=1e-12)


def test_within_share_is_one_for_arbitrary_labels_and_nan_without_pairs():
    torch.manual_seed(0)
    x = torch.randn(4000, 3, dtype=torch.float64)
    assert abs(lr.within_share(x, Groups.by(torch.randint(5, (4000,)))) - 1) < 0.01
    assert math.isnan(lr.within_share(x, Groups.by(torch.arange(4000))))
    assert math.isnan(lr.within_share(torch.ones(4, 2), Groups.by(torch.tensor([0, 0, 1, 1]))))


def test_nearer_share_counts_classes_and_not_columns():
    d = torch.tensor([[3.0, 1.0, 2.0, torch.inf], [0.0, 1.0, 2.0, torch.inf]])
    seen = torch.tensor([1.0, 1.0, 1.0, 0.0])
    assert lr.nearer_share(d, seen, torch.tensor([0, 0])).tolist() == [1.0, 0.0]
    stands_for = torch.tensor([[1.0, 1.0, 7.0, 0.0]]).expand(2, 4)
    assert lr.nearer_share(d, stands_for, torch.tensor([2, 1])).tolist() == [1 / 8, 1 / 8]
