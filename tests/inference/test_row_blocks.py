import numpy as np
import pytest
import torch

from pml_ahsml import PoincareDistance
from pml_ahsml.hyperbolic.polar import polar_coordinates, row_norms
from pml_ahsml.inference import row_blocks


@pytest.fixture
def rows(monkeypatch):
    monkeypatch.setattr(row_blocks, "_ELEMENTS", 12)
    return torch.randn(10, 4)


def test_blocks_are_views_of_all_rows_in_order(rows):
    blocks = row_blocks.row_blocks(rows)
    assert [len(block) for block in blocks] == [3, 3, 3, 1]
    assert torch.equal(torch.cat(blocks), rows)
    assert blocks[0].data_ptr() == rows.data_ptr()
    assert [len(block) for block in row_blocks.row_blocks(rows[:, :0])] == [10]
    assert [len(block) for block in row_blocks.row_blocks(rows[:0])] == [0]
    # wider than a block
    assert len(row_blocks.row_blocks(rows.view(2, 20))) == 2


def test_norms_are_those_of_all_rows(rows):
    assert torch.equal(row_blocks.norms(rows), row_norms(rows))
    assert row_blocks.norms(rows.half()).dtype == torch.float64


def test_arrays_share_their_memory(rows, tmp_path):
    array = rows.numpy()
    assert row_blocks.as_rows(array).data_ptr() == array.ctypes.data
    array.flags.writeable = False
    assert torch.equal(row_blocks.as_rows(array), rows)
    np.save(tmp_path / "rows.npy", array)
    file = np.load(tmp_path / "rows.npy", mmap_mode="r")
    assert row_blocks.is_kept_as_given(file)
    assert row_blocks.is_kept_as_given(file[2:])
    assert not row_blocks.is_kept_as_given(array)
    assert row_blocks.is_kept_as_given(array.astype(np.float16))


def test_rows_are_copied_only_to_normalise_them(rows):
    assert row_blocks.as_seen(PoincareDistance(), rows) is rows
    seen = row_blocks.as_seen(PoincareDistance(normalize_embeddings=True), rows.half())
    assert seen.dtype == torch.float32
    torch.testing.assert_close(seen.norm(dim=1), torch.ones(10))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_search_by_block_finds_what_a_search_at_once_finds(rows, dtype, monkeypatch):
    monkeypatch.setattr(row_blocks.nc, "_BLOCK_ROWS", 3)
    monkeypatch.setattr(row_blocks.nc, "_BLOCK_ELEMENTS", 6)
    x = polar_coordinates(row_norms(rows), 0.1, 2.3, False)
    found = [
        row_blocks.product_search(rows, x, 1.5, dtype, 4, by_block)(rows, x)
        for by_block in (True, False)
    ]
    torch.testing.assert_close(found[0][0], found[1][0], rtol=1e-6, atol=1e-6)
    assert torch.equal(found[0][1], found[1][1])
    assert found[0][0].dtype == dtype
