import torch

from pml_ahsml import ClassStatistics
from pml_ahsml.losses import stand_ins
from pml_ahsml.losses.replay_memory import ReplayMemory


def test_as_many_are_remembered_as_a_class_has_lost():
    memory = ReplayMemory(size=8, embedding_size=1)
    memory.push(torch.arange(6.0)[:, None], torch.tensor([0, 0, 0, 1, 2, 2]))
    given = torch.tensor([0, 0, 0, 1, 1, 2])
    kept = torch.tensor([0, 1, 2])  # two of class 0 and one of class 1 are lost
    embeddings, labels = stand_ins.remembered(memory, given, kept)
    assert labels.tolist() == [0, 0, 1]
    assert embeddings.squeeze(1).tolist() == [0.0, 1.0, 3.0]


def test_several_are_remembered_for_each_that_a_class_has_lost():
    memory = ReplayMemory(size=8, embedding_size=1)
    memory.push(torch.arange(6.0)[:, None], torch.tensor([0, 0, 0, 1, 2, 2]))
    given, kept = torch.tensor([0, 0, 1, 2]), torch.tensor([0, 2])
    embeddings, labels = stand_ins.remembered(memory, given, kept, each=2)
    # two of class 0, of two of class 1 the only one there is, none of class 2
    assert labels.tolist() == [0, 0, 1]
    assert embeddings.squeeze(1).tolist() == [0.0, 1.0, 3.0]


def test_a_class_that_others_were_moved_to_has_lost_nothing():
    memory = ReplayMemory(size=2, embedding_size=1)
    memory.push(torch.zeros(1, 1), torch.tensor([1]))
    given, kept = torch.tensor([0, 1]), torch.tensor([1, 1])
    assert len(stand_ins.remembered(memory, given, kept)[1]) == 0


def test_absent_classes_take_turns():
    statistics = ClassStatistics(8, 3)
    embeddings = torch.randn(8, 3)
    for rows in (torch.arange(8), torch.arange(7)):  # class 7 has been visited once
        statistics.update(embeddings[rows], rows)
    chosen = set()
    for turn in range(4):
        placed, classes = stand_ins.absent_centroids(
            statistics, torch.tensor([0, 3]), 2, like=embeddings, turn=turn, min_visits=2
        )
        assert placed.shape == (2, 3)
        assert torch.equal(placed, statistics.as_embeddings(classes, embeddings))
        chosen.update(classes.tolist())
    assert chosen == {1, 2, 4, 5, 6}
    everything = stand_ins.absent_centroids(
        statistics, torch.tensor([0, 3]), 99, like=embeddings, turn=5
    )
    assert everything[1].tolist() == [1, 2, 4, 5, 6, 7]
    assert len(stand_ins.absent_centroids(statistics, classes, 0, like=embeddings, turn=0)[1]) == 0
