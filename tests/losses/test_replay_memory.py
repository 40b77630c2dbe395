import math
from collections import Counter

import pytest
import torch

from pml_ahsml.losses.replay_memory import ReplayMemory, count_of, occurrence


def test_hands_out_the_newest_of_each_class():
    memory, history = ReplayMemory(20, 1), []
    for step in range(8):
        labels = torch.randint(6, (5,))
        embeddings = torch.arange(5.0)[:, None] + 10 * step
        memory.push(embeddings, labels)
        history = [*zip(embeddings[:, 0].tolist(), labels.tolist(), strict=True), *history][:20]
        wanted = torch.randint(8, (12,))
        left, expected = Counter(wanted.tolist()), []
        for value, label in history:
            if left[label] > 0:
                left[label] -= 1
                expected.append((value, label))
        values, found = memory.newest(wanted)
        assert list(zip(values[:, 0].tolist(), found.tolist(), strict=True)) == expected
    assert expected


def test_an_empty_memory_or_an_empty_request_gives_no_rows():
    memory = ReplayMemory(4, 2)
    assert len(memory.newest(torch.tensor([0, 1]))[0]) == 0
    memory.push(torch.ones(4, 2), torch.arange(4))
    assert len(memory.newest(torch.tensor([], dtype=torch.long))[0]) == 0


def test_more_than_fits_is_cut_and_carries_no_gradient():
    memory = ReplayMemory(3, 2)
    embeddings = torch.arange(10.0).view(5, 2).requires_grad_()
    memory.push(embeddings, torch.zeros(5, dtype=torch.long))
    values, _ = memory.newest(torch.zeros(9, dtype=torch.long))
    assert torch.equal(values, embeddings[:3])
    assert not values.requires_grad


def test_counts_against_loops():
    values, among = torch.randint(5, (30,)), torch.randint(5, (20,))
    seen = values.tolist()
    assert occurrence(values).tolist() == [seen[:i].count(v) for i, v in enumerate(seen)]
    assert count_of(values, among).tolist() == [among.tolist().count(v) for v in seen]


def test_bad_sizes_are_refused():
    with pytest.raises(ValueError, match="size must be at least 1, got 0"):
        ReplayMemory(0, 2)


@pytest.mark.parametrize("lost", [0, 1, 5, 10, 15, 19, 20])
def test_classes_are_filled_up_to_as_many_pairs_as_in_the_whole_batch(lost):
    memory = ReplayMemory(size=200, embedding_size=1)
    memory.push(torch.randn(200, 1), torch.arange(200) % 4)
    given = torch.tensor([0] * 10 + [1] * 6 + [2] * 3 + [3])
    kept = given[torch.randperm(20)[lost:]]
    _, labels, _ = memory.stand_ins(given, kept)
    for k, n in ((0, 10), (1, 6), (2, 3), (3, 1)):
        filled = 2 * n if lost > 10 else math.floor(n * 20 / (20 - lost))
        assert (labels == k).sum() == filled - (kept == k).sum()


def test_a_class_is_filled_up_with_what_is_remembered_of_it():
    memory = ReplayMemory(size=8, embedding_size=1)
    memory.push(torch.arange(6.0)[:, None], torch.tensor([0, 0, 0, 1, 2, 2]))
    given = torch.tensor([0, 0, 0, 1, 1, 2])
    kept = torch.tensor([0, 1, 2])  # half is lost: five of class 0, three of 1 and one of 2 missing
    embeddings, labels, groups = memory.stand_ins(given, kept)
    assert labels.tolist() == [0, 0, 0, 1, 2]
    assert embeddings.squeeze(1).tolist() == [0.0, 1.0, 2.0, 3.0, 4.0]
    assert groups.values.tolist() == [0, 1, 2]
    assert groups.of_rows.tolist() == labels.tolist()


def test_a_class_that_gained_relabelled_rows_gets_no_past_samples():
    memory = ReplayMemory(size=2, embedding_size=1)
    memory.push(torch.zeros(1, 1), torch.tensor([1]))
    given, kept = torch.tensor([0, 1]), torch.tensor([1, 1])
    assert len(memory.stand_ins(given, kept)[1]) == 0
