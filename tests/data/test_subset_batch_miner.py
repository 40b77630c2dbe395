import pytest
import torch

from pml_ahsml.data import BatchGetter, SubsetBatchMiner

DATA, LABELS, INDICES = (
    torch.randn(4, 2),
    torch.tensor([5, 6, 5, 6]),
    torch.tensor([40, 41, 42, 43]),
)


def test_the_indices_follow_the_selection():
    getter = BatchGetter()
    data, labels = getter((DATA, (LABELS, INDICES)))
    for selected in (torch.tensor([3, 0]), torch.tensor([True, False, False, True])):
        getter((DATA, (LABELS, INDICES)))
        rows = SubsetBatchMiner(lambda e, y, selected=selected: selected, getter)(data, labels)
        assert torch.equal(data[rows], data[selected])
        assert torch.equal(getter.indices, INDICES[selected])


def test_an_image_is_kept_with_all_its_views():
    getter = BatchGetter()
    data, labels = getter(([DATA, -DATA], (LABELS, INDICES)))
    rows = SubsetBatchMiner(lambda e, y: torch.tensor([6, 1, 5]), getter)(data, labels)
    assert torch.equal(data[rows], torch.cat([DATA[[1, 2]], -DATA[[1, 2]]]))
    assert getter.indices.tolist() == [41, 42, 41, 42]


def test_works_without_indices():
    getter = BatchGetter()
    data, labels = getter((DATA, LABELS))
    rows = SubsetBatchMiner(lambda e, y: torch.tensor([2]), getter)(data, labels)
    assert rows.tolist() == [2]
    assert getter.indices is None


def test_bad_options_are_refused():
    with pytest.raises(TypeError, match="miner must be callable, got int"):
        SubsetBatchMiner(3, BatchGetter())
    with pytest.raises(TypeError, match="getter must be a BatchGetter, got NoneType"):
        SubsetBatchMiner(abs, None)
