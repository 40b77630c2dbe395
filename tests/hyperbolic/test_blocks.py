import pytest
import torch

from pml_ahsml.hyperbolic import blocks as b

CPU = torch.device("cpu")


@pytest.mark.parametrize(("rows", "columns"), [(7, 3), (7, 100), (1, 1), (0, 3)])
def test_blocks_hold_every_row_once_and_no_more_than_asked_for(rows, columns):
    slices = list(b.blocks(rows, columns, CPU, elements=10))
    assert [row for block in slices for row in range(block.start, block.stop)] == list(range(rows))
    # a row that is too long is a block of its own
    assert all((block.stop - block.start) * columns <= max(10, columns) for block in slices)


def test_rows_without_columns_give_no_blocks():
    assert list(b.blocks(5, 0, CPU, 10)) == []


@pytest.mark.parametrize("columns", [3, 1 << 15, 1 << 22])
def test_parts_for_float64_are_small(columns):
    rows = torch.arange(0, 600, 2)
    parts = list(b.wide_parts(rows, torch.empty(600, columns, device="meta")))
    assert torch.equal(torch.cat(parts), rows)
    assert all(len(part) <= 128 for part in parts)
    assert all(len(part) * columns <= max(1 << 21, columns) for part in parts)
    assert list(b.wide_parts(rows[:0], torch.zeros(600, 3))) == []


def test_taking_all_rows_makes_no_copy():
    matrix = torch.randn(4, 2)
    assert b.take_rows(matrix, torch.arange(4)) is matrix
    assert torch.equal(b.take_rows(matrix, torch.tensor([1, 3])), matrix[1::2])
