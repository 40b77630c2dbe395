import pytest
import torch

from pml_ahsml.losses.row_selection import RowSelection


def naive(group, masks):
    """Keep what has all its rows, and count the kept rows before each."""
    kept = [
        rows
        for rows in zip(*group, strict=True)
        if all(m[r] for m, r in zip(masks, rows, strict=True))
    ]
    return [[sum(m[:r]) for m, r in zip(masks, rows, strict=True)] for rows in kept]


def random_rows(n: int, size: int) -> torch.Tensor:
    return torch.randint(size, (n,))


@pytest.mark.parametrize("with_ref", [True, False])
@pytest.mark.parametrize("length", [3, 4])
def test_tuples_are_filtered_and_renumbered(with_ref, length):
    query, ref = torch.rand(9) < 0.6, torch.rand(7) < 0.6
    selection = RowSelection(query, ref if with_ref else None)
    other = ref if with_ref else query
    n_ref = len(other)
    q, r = query.tolist(), other.tolist()
    if length == 3:
        tuples = (random_rows(50, 9), random_rows(50, n_ref), random_rows(50, n_ref))
        groups = [(tuples, [q, r, r])]
    else:
        tuples = (random_rows(30, 9), random_rows(30, n_ref))
        tuples += (random_rows(40, 9), random_rows(40, n_ref))
        groups = [(tuples[:2], [q, r]), (tuples[2:], [q, r])]
    filtered = selection.filter_indices_tuple(tuples)
    expected = [naive([t.tolist() for t in group], masks) for group, masks in groups]
    assert all(rows for rows in expected)
    start = 0
    for rows in expected:
        width = len(rows[0])
        actual = torch.stack(filtered[start : start + width], 1)
        assert actual.tolist() == rows
        start += width
    assert start == length


def test_restoring_undoes_the_renumbering():
    query, ref = torch.tensor([1, 0, 1, 1]).bool(), torch.tensor([0, 1, 1]).bool()
    selection = RowSelection(query, ref)
    a, p, n = torch.tensor([0, 2, 3]), torch.tensor([1, 2, 1]), torch.tensor([2, 1, 1])
    filtered = selection.filter_indices_tuple((a, p, n))
    losses = {
        "triplets": {"losses": 1, "indices": filtered, "reduction_type": "triplet"},
        "elements": {"losses": 2, "indices": torch.arange(3), "reduction_type": "element"},
        "reduced": {"losses": 3, "indices": None, "reduction_type": "already_reduced"},
    }
    restored = selection.restore_indices(losses, ref_is_memory=False)
    for actual, expected in zip(restored["triplets"]["indices"], (a, p, n), strict=True):
        assert torch.equal(actual, expected)
    assert restored["elements"]["indices"].tolist() == [0, 2, 3]
    assert restored["reduced"]["indices"] is None
    memory = selection.restore_indices(losses, ref_is_memory=True)["triplets"]["indices"]
    assert torch.equal(memory[0], a)
    assert torch.equal(memory[1], filtered[1])
    assert losses["triplets"]["indices"] is filtered


def test_empty_lists_stay_empty():
    selection = RowSelection(torch.tensor([True, False]))
    empty = torch.tensor([])  # float, as some of PML's miners return it
    assert all(len(rows) == 0 for rows in selection.filter_indices_tuple((empty,) * 4))


def test_keeps_all():
    yes, no = torch.ones(3, dtype=torch.bool), torch.tensor([True, False])
    assert RowSelection(yes).keeps_all
    assert RowSelection(yes, yes).keeps_all
    assert not RowSelection(no).keeps_all
    assert not RowSelection(yes, no).keeps_all


def test_other_lengths_are_refused():
    with pytest.raises(ValueError, match="indices_tuple must be .* got 2 tensors"):
        RowSelection(torch.tensor([True])).filter_indices_tuple((torch.tensor([0]),) * 2)
