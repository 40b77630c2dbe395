import torch

from pml_ahsml.losses.batch import Batch
from pml_ahsml.losses.row_selection import RowSelection

EMBEDDINGS, LABELS = torch.randn(4, 2), torch.tensor([0, 0, 1, 1])
ROWS = torch.tensor([True, False, True, True])


def test_selects_everything_that_has_rows():
    mined = (torch.tensor([0, 1]), torch.tensor([2, 3]))
    refs, ref_rows = torch.randn(3, 2), torch.tensor([False, True, True])
    batch = Batch(
        EMBEDDINGS,
        LABELS,
        (torch.tensor([0, 1]), torch.tensor([2, 2]), torch.tensor([3]), torch.tensor([1])),
        refs,
        torch.tensor([1, 0, 0]),
        LABELS > 0,
    )
    selected = batch.select(RowSelection(ROWS, ref_rows))
    assert torch.equal(selected.embeddings, EMBEDDINGS[ROWS])
    assert selected.labels.tolist() == [0, 1, 1]
    assert [rows.tolist() for rows in selected.indices_tuple] == [[0], [1], [2], [0]]
    assert torch.equal(selected.ref_emb, refs[1:])
    assert selected.ref_labels.tolist() == [0, 0]
    assert selected.enqueue_mask.tolist() == [False, True, True]
    assert torch.equal(batch.labels, LABELS)
    alone = Batch(EMBEDDINGS, LABELS, (*mined, mined[1])).select(RowSelection(ROWS))
    assert alone.ref_emb is None
    assert [rows.tolist() for rows in alone.indices_tuple] == [[0], [1], [1]]


def test_rows_that_are_merely_enqueued_are_no_queries():
    assert Batch(EMBEDDINGS, LABELS).num_queries == 4
    assert Batch(EMBEDDINGS, LABELS, enqueue_mask=ROWS).num_queries == 1


def test_tells_an_empty_tuple_from_none():
    empty = torch.tensor([], dtype=torch.long)
    assert Batch(EMBEDDINGS, LABELS, (empty,) * 3).has_empty_tuple
    assert not Batch(EMBEDDINGS, LABELS, (empty, empty, LABELS, LABELS)).has_empty_tuple
    assert not Batch(EMBEDDINGS, LABELS).has_empty_tuple
