import pytest
import torch

from pml_ahsml.data import IndexedDataset, TwoViewDataset

SAMPLES = [(torch.full((3,), float(i)), 10 + i) for i in range(5)]


class Jittered(torch.utils.data.Dataset):
    """A data set whose own transform is random."""

    def __len__(self):
        return len(SAMPLES)

    def __getitem__(self, index):
        data, label = SAMPLES[index]
        return data + 0.1 * torch.rand(3), label


def test_the_transform_makes_both_views():
    dataset = TwoViewDataset(SAMPLES, lambda x: x + 0.1 * torch.rand(3))
    (first, second), label = dataset[3]
    assert label == 13
    assert not torch.equal(first, second)
    for view in (first, second):
        assert ((view >= 3) & (view <= 3.1)).all()
    assert len(dataset) == 5


def test_the_strong_transform_makes_the_second_view():
    (weak, strong), _ = TwoViewDataset(SAMPLES, lambda x: x + 1, lambda x: -x)[2]
    assert torch.equal(weak, torch.full((3,), 3.0))
    assert torch.equal(strong, torch.full((3,), -2.0))


def test_without_a_transform_each_sample_is_loaded_twice():
    (first, second), label = TwoViewDataset(Jittered())[4]
    assert label == 14
    assert not torch.equal(first, second)
    assert ((first >= 4) & (second >= 4)).all()


def test_goes_inside_an_indexed_data_set():
    (first, second), (label, index) = IndexedDataset(TwoViewDataset(Jittered()))[4]
    assert (label, index) == (14, 4)
    assert not torch.equal(first, second)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ((SAMPLES, "flip"), TypeError, "transform must be callable, got str"),
        ((SAMPLES, None, abs), ValueError, "transform must be given with strong_transform"),
        ((SAMPLES, abs, 1), TypeError, "strong_transform must be callable, got int"),
    ],
)
def test_bad_options_are_refused(arguments, error, message):
    with pytest.raises(error, match=message):
        TwoViewDataset(*arguments)


def test_samples_that_are_not_pairs_are_refused():
    with pytest.raises(ValueError, match="must be pairs"):
        TwoViewDataset([(1, 2, 3)], abs)[0]
