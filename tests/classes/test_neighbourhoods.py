import pytest
import torch

from pml_ahsml.classes.neighbourhoods import Neighbourhoods, class_spacing
from tests.neighbourhoods import all_neighbours

K = 7


def test_spacing_is_the_mean_distance_to_the_nearest():
    points = torch.randn(K, 3, dtype=torch.float64)
    d = torch.cdist(points, points)
    rows = [sorted(float(d[k, j]) for j in range(K) if j != k) for k in range(K)]
    for neighbours in (2, 9):
        nearest = [row[:neighbours] for row in rows]
        expected = sum(map(sum, nearest)) / sum(map(len, nearest))
        assert float(class_spacing(all_neighbours(d), neighbours)) == pytest.approx(expected)


def test_spacing_of_lists_is_that_of_their_first_entries():
    distances = torch.tensor([[1.0, 3.0, 9.0], [2.0, 0.0, 0.0], [0.0, 0.0, 0.0]])
    weights = torch.tensor([[1.0, 1.0, 5.0], [1.0, 0.0, 0.0], [0.0, 0.0, 0.0]])
    lists = Neighbourhoods(distances, weights)
    assert float(class_spacing(lists, 2)) == pytest.approx((1 + 3 + 2) / 3)
