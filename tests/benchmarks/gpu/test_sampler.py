import pytest
import torch

from benchmarks.gpu.sampler import Sampler


@pytest.mark.parametrize("wrong", [0.0, 0.5])
def test_batches_hold_labels_as_given(wrong, generator):
    sampler = Sampler(40, 50, wrong)
    assert float((sampler.labels != sampler.truth).double().mean()) == pytest.approx(
        wrong, abs=0.05
    )
    for _ in range(5):
        rows = sampler.draw(generator)
        assert len(rows.unique()) == 128
        assert sampler.labels[rows].unique(return_counts=True)[1].tolist() == [4] * 32


def test_a_label_of_few_samples_gives_those(generator):
    rows = Sampler(32, 3, 0.0).draw(generator)
    assert rows.sort().values.tolist() == list(range(96))


def test_batches_depend_on_the_generator_only():
    sampler = Sampler(40, 8, 0.5)
    first, second = (torch.Generator().manual_seed(3) for _ in range(2))
    assert torch.equal(sampler.draw(first), sampler.draw(second))
    assert not torch.equal(sampler.draw(first), sampler.draw(torch.Generator().manual_seed(3)))
