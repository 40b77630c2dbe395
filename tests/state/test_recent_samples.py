import pytest
import torch

from pml_ahsml.state.recent_samples import RecentSamples


@pytest.mark.parametrize("batch_size", [1, 3, 7, 9])
def test_remembers_the_newest_and_forgets_the_oldest(batch_size):
    recent, history = RecentSamples(size=7, width=1), []
    for step in range(6):
        values = [10 * step + i for i in range(batch_size)]
        recent.push(torch.tensor(values)[:, None].float(), torch.tensor(values) + 100)
        history = [*values, *history][:7]
        vectors, labels = recent.of_age(torch.arange(len(history)))
        assert vectors.squeeze(1).tolist() == history
        assert labels.tolist() == [value + 100 for value in history]
        ages = torch.arange(len(history)).flip(0)
        assert recent.of_age(ages)[1].tolist() == [value + 100 for value in history[::-1]]
        empty = [-1] * (7 - len(history))
        assert recent.labels_by_age.tolist() == [*labels.tolist(), *empty]


def test_a_loaded_state_goes_on_where_the_saved_one_stood():
    recent, other = RecentSamples(size=5, width=2), RecentSamples(size=5, width=2)
    other.push(torch.ones(4, 2), torch.arange(4))
    vectors = torch.arange(16.0).view(8, 2)
    recent.push(vectors[:3], torch.tensor([0, 1, 2]))
    recent.push(vectors[3:6], torch.tensor([3, 4, 5]))
    other.load_state_dict(recent.state_dict())
    for memory in (recent, other):
        memory.push(vectors[6:], torch.tensor([6, 7]))
        found, labels = memory.of_age(torch.arange(5))
        assert labels.tolist() == [6, 7, 3, 4, 5]
        assert torch.equal(found, vectors[labels])


def test_no_gradient_and_no_other_precision_comes_in():
    recent = RecentSamples(size=2, width=1)
    recent.push(torch.ones(2, 1, dtype=torch.float64, requires_grad=True), torch.zeros(2).long())
    vectors, _ = recent.of_age(torch.arange(2))
    assert not vectors.requires_grad
    assert vectors.dtype == torch.float32


@pytest.mark.parametrize("name", ["size", "width"])
def test_bad_sizes_are_refused(name):
    with pytest.raises(ValueError, match=f"{name} must be at least 1, got 0"):
        RecentSamples(**{"size": 2, "width": 2, name: 0})


def test_the_newest_rows_are_those_of_the_smallest_ages():
    recent = RecentSamples(size=5, width=1)
    for start in (0, 3, 6):
        recent.push(torch.arange(start, start + 3.0)[:, None], torch.arange(start, start + 3))
        for count in range(6):
            expected = recent.of_age(torch.arange(count))
            for found, by_age in zip(recent.newest_rows(count), expected, strict=True):
                assert torch.equal(found, by_age)
