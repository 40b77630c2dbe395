import pytest
import torch

from pml_ahsml.labels.sample_table import SampleRows, SampleTable, one_row_each

S, K, D = 6, 3, 2


def rows(count: int) -> SampleRows:
    return SampleRows(
        torch.randn(count, D).half().float(),
        torch.arange(count) % K,
        torch.full((count,), 0.125),
    )


def test_a_sample_has_not_been_seen_before_it_is_stored():
    found = SampleTable(S, K, D).rows(torch.tensor([5, 0]))
    assert found.labels.tolist() == [-1, -1]
    assert found.embeddings.abs().sum() == 0
    assert found.weights.abs().sum() == 0


def test_rows_are_those_that_were_stored_last():
    table, first, second = SampleTable(S, K, D), rows(3), rows(2)
    table.store(torch.tensor([4, 1, 2]), first)
    table.store(torch.tensor([2, 0]), second)
    found = table.rows(torch.tensor([4, 1, 2, 0]))
    for part, a, b in zip(found, first, second, strict=True):
        assert torch.equal(part, torch.cat([a[:2], b]))


def test_the_last_row_of_each_sample_is_kept():
    assert one_row_each(torch.tensor([3, 1, 3, 5, 1, 3])).tolist() == [4, 5, 3]
    assert one_row_each(torch.tensor([3, 1, 3, 5, 1, 3]), 3).tolist() == [4, 5, 3]
    assert one_row_each(torch.zeros(0).long()).tolist() == []


def test_some_ids_are_evenly_spaced():
    table = SampleTable(10, K, D)
    assert table.some_ids(10, 7).tolist() == list(range(10))
    # every third of ten, from another one on each time
    assert [table.some_ids(4, n).tolist() for n in range(3)] == [[0, 3, 6, 9], [1, 4, 7], [2, 5, 8]]


def test_uses_the_documented_memory():
    state = SampleTable(1000, 300, 128).state_dict()
    size = sum(t.element_size() * t.numel() for name, t in state.items() if name != "changes")
    assert size == 1000 * (2 * 128 + 12)


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("labels", torch.full((S,), K), "lie in"),
        ("weights", torch.full((S,), 1.5), "lie in"),
        ("embeddings", torch.full((S, D), torch.nan), "nan"),
    ],
)
def test_an_impossible_state_is_refused(name, value, message):
    table = SampleTable(S, K, D)
    with pytest.raises(ValueError, match=f"{name} must .*{message}"):
        table.load_state_dict({**table.state_dict(), name: value})


@pytest.mark.parametrize("name", ["num_samples", "num_classes", "embedding_size"])
def test_options_outside_of_their_range_are_errors(name):
    options = {"num_samples": S, "num_classes": K, "embedding_size": D}
    with pytest.raises(ValueError, match=f"{name} must be at least"):
        SampleTable(**{**options, name: 0})
