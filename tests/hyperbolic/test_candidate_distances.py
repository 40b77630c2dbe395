import pytest
import torch

from pml_ahsml.hyperbolic import blocks
from pml_ahsml.hyperbolic import candidate_distances as cd
from pml_ahsml.hyperbolic.polar import polar_coordinates, row_norms
from tests import reference
from tests.largest_tensor import LargestTensor

N, D, K, C = 6, 3, 4, 0.5


def points():
    """Rows, references of which the first N are near to them, and candidates of each row.

    The nearest one of row i is at 10^−(i+1) in column i mod K, that of the last row is itself.
    """
    e = torch.nn.functional.normalize(torch.randn(N, D)) * torch.linspace(0.2, 2.0, N)[:, None]
    steps = torch.tensor([10.0 ** -(i + 1) for i in range(N - 1)] + [0.0])
    near = e + steps[:, None] * torch.nn.functional.normalize(torch.randn(N, D))
    f = torch.cat([near, torch.randn(5, D)])
    others = torch.stack([N + torch.randperm(5)[: K - 1] for _ in range(N)])
    candidates = torch.cat([torch.arange(N)[:, None], others], 1)
    return e, f, torch.stack([row.roll(i) for i, row in enumerate(candidates)])


def found(e, f, candidates):
    x, y = (polar_coordinates(row_norms(rows), C, 10.0, False) for rows in (e, f))
    return cd.candidate_distances(e, f, x, y, candidates, C)


# of all rows at once, and of one at a time
@pytest.mark.parametrize("block", [1 << 19, 1])
def test_distances_equal_the_loop(monkeypatch, block):
    monkeypatch.setattr(cd, "_BLOCK_ELEMENTS", block)
    monkeypatch.setattr(blocks, "_PAIR_ELEMENTS", block)
    e, f, candidates = points()
    distances = found(e, f, candidates)
    assert distances.dtype == torch.float64
    expected = torch.tensor(
        [
            [reference.poincare_distance(e[i].double(), f[j].double(), C) for j in candidates[i]]
            for i in range(N)
        ],
        dtype=torch.float64,
    )
    # the loop, too, has ten digits only of a distance of 1e-5
    torch.testing.assert_close(distances, expected, rtol=1e-9, atol=1e-15)
    assert (distances == 0).nonzero().tolist() == [[N - 1, (N - 1) % K]]


@pytest.mark.parametrize(("rows", "wanted"), [(0, K), (N, 0)])
def test_empty_inputs_are_no_error(rows, wanted):
    e, f, candidates = points()
    assert found(e[:rows], f, candidates[:rows, :wanted]).shape == (rows, wanted)


def test_candidates_of_a_few_rows_at_a_time_are_gathered():
    rows, wanted, d = 4000, 20, 32  # 20 MB in float64 if all were gathered at once
    e, f = torch.randn(rows, d), torch.randn(50, d)
    candidates = torch.randint(50, (rows, wanted))
    x, y = (polar_coordinates(row_norms(t), C, 10.0, False) for t in (e, f))
    with LargestTensor() as largest:
        cd.candidate_distances(e, f, x, y, candidates, C)
    assert rows * wanted <= largest.elements <= 1 << 19 < rows * wanted * d
