import math

import pytest
import torch

from pml_ahsml.hyperbolic import hyperboloid
from pml_ahsml.hyperbolic import nearest_rows as nr
from tests.near_origin import SCALES, D, euclidean, near_origin


@pytest.mark.parametrize("block", [(7, 40), (1, 1), (3, 4), (7, 3)])
@pytest.mark.parametrize("count", [1, 5, 40])
def test_the_largest_entries_are_those_of_the_whole_matrix_in_any_blocks(block, count):
    matrix = torch.randn(7, 40)
    shapes = []

    def entries(rows, columns):
        shapes.append(matrix[rows, columns].shape)
        return matrix[rows, columns]

    values, columns = nr.largest_entries(entries, 7, 40, count, block)
    expected = matrix.topk(count)
    assert torch.equal(values, expected.values)
    assert torch.equal(columns, expected.indices)
    assert all(height <= block[0] and width <= block[1] for height, width in shapes)
    assert sum(height * width for height, width in shapes) == matrix.numel()


def test_larger_entries_replace_those_to_start_from():
    matrix = torch.tensor([[1.0, 3.0, -torch.inf], [0.0, 0.0, 0.5]])
    start = torch.tensor([[2.0, -torch.inf]] * 2), torch.tensor([[9, 0]] * 2)
    values, columns = nr.largest_entries(
        lambda rows, columns: matrix[rows, columns], 2, 3, 2, (1, 2), start
    )
    assert values.tolist() == [[3.0, 2.0], [2.0, 0.5]]
    assert columns.tolist() == [[1, 9], [9, 2]]


def test_empty_matrices_have_no_largest_entries():
    values, columns = nr.largest_entries(lambda r, c: torch.empty(0, 5)[r, c], 0, 5, 2, (4, 5))
    assert values.shape == columns.shape == (0, 2)
    assert nr.nearest_rows(torch.empty(0, 3), torch.ones(4, 3), 2).shape == (0, 2)


@pytest.mark.parametrize("block", [4096, 3])
def test_nearest_rows_are_those_of_the_smallest_geodesic_distance(block, monkeypatch):
    monkeypatch.setattr(nr, "_ROWS", block)
    generator = torch.Generator().manual_seed(0)
    tangent = torch.randn(30, 4, generator=generator, dtype=torch.float64)
    points = hyperboloid.hyperboloid_lift(tangent, 0.1)
    rows = nr.nearest_rows(points[:10], points[10:], 5)
    factors = hyperboloid.factors_of(points[10:])
    assert torch.equal(nr.nearest_rows(points[:10], points[10:], 5, factors), rows)
    for i in range(10):
        distances = []
        for j in range(10, 30):
            x, y = points[i].tolist(), points[j].tolist()
            inner = x[0] * y[0] - sum(a * b for a, b in zip(x[1:], y[1:], strict=True))
            distances.append(math.acosh(inner))
        assert rows[i].tolist() == sorted(range(20), key=distances.__getitem__)[:5]


@pytest.mark.parametrize(("c", "norm"), SCALES)
def test_neighbours_near_the_origin_are_the_nearest(c, norm):
    u, v = near_origin(50, norm), near_origin(500, norm)
    points, others = (hyperboloid.hyperboloid_lift(rows, c).float() for rows in (u, v))
    found = nr.nearest_rows(points, others, 10)
    expected = euclidean(u, v).argsort(1)[:, :10]
    assert (found == expected).float().mean() > 0.99  # float32 cannot tell all of them apart
    # beside points that lie elsewhere
    far = hyperboloid.hyperboloid_lift(torch.ones(3, D, dtype=torch.float64), 1.0).float()
    mixed = nr.nearest_rows(torch.cat([far, points]), torch.cat([others, far]), 10)
    assert torch.equal(mixed[3:], found)
    assert (mixed[:3, :3] >= 500).all()
