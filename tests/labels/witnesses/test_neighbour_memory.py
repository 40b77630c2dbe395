from types import SimpleNamespace

import pytest
import torch

from pml_ahsml.hyperbolic import hyperboloid
from pml_ahsml.labels.witnesses.neighbour_memory import NeighbourMemory


def on_hyperboloid(vectors: torch.Tensor) -> torch.Tensor:
    return hyperboloid.hyperboloid_lift(vectors.double(), 0.1)


def one_axis(values) -> torch.Tensor:
    return on_hyperboloid(torch.tensor(values)[:, None])


def test_nobody_votes_before_half_of_the_memory_is_filled():
    memory = NeighbourMemory(2, 1, size=256)
    points, labels = one_axis([1.0] * 127), torch.zeros(127, dtype=torch.long)
    memory.remember(points, labels, None)
    assert memory.neighbours(points) is None
    memory.remember(points[:1], labels[:1], None)
    neighbours = memory.neighbours(points)
    assert neighbours is not None
    assert neighbours.shape == (127, 10)


def test_the_labels_of_the_nearest_of_the_newest_rows_come_nearest_first():
    memory = NeighbourMemory(50, 1, size=256)
    assert memory.num_neighbours == 2
    places = torch.arange(256.0) / 256
    labels = torch.arange(256) % 50
    memory.remember(one_axis(places.tolist()), labels, None)
    neighbours = memory.neighbours(one_axis([100.2 / 256]))
    assert neighbours is not None
    assert neighbours.tolist() == [[100 % 50, 101 % 50]]
    # what is older than 256 samples is forgotten
    memory.remember(one_axis([5.0] * 200), torch.full((200,), 7), None)
    neighbours = memory.neighbours(one_axis([255.0 / 256]))
    assert neighbours is not None
    assert neighbours.tolist() == [[55 % 50, 54 % 50]]


def test_nobody_votes_with_too_many_classes():
    assert NeighbourMemory(64, 1, size=256).num_neighbours == 2
    memory = NeighbourMemory(65, 1, size=256)
    assert memory.num_neighbours == 0
    points, labels = one_axis([1.0] * 256), torch.zeros(256, dtype=torch.long)
    memory.remember(points, labels, None)
    assert memory.neighbours(points) is None
    assert (memory.labels < 0).all(), "nothing is kept that nobody looks at"


def visits(memory: NeighbourMemory, num_samples: int, batches: int):
    """Batches of 128 from so many samples of four classes, half of them labelled wrong."""
    generator = torch.Generator().manual_seed(0)
    truth = torch.arange(num_samples) % 4
    wrong = torch.rand(num_samples, generator=generator) < 0.5
    shift = torch.randint(1, 4, (num_samples,), generator=generator)
    labels = torch.where(wrong, (truth + shift) % 4, truth)
    places = torch.eye(4)[truth] + 0.1 * torch.randn(num_samples, 4, generator=generator)
    for _ in range(batches):
        rows = torch.randperm(num_samples, generator=generator)[:128]
        # augmented: a copy is near the sample, and not the sample
        points = places[rows] + 0.02 * torch.randn(128, 4, generator=generator)
        points = on_hyperboloid(points)
        found = memory.neighbours(points)
        memory.remember(points, labels[rows], None if found is None else (found,))
    points = on_hyperboloid(places)
    neighbours = memory.neighbours(points)
    assert neighbours is not None
    return truth, wrong, labels, neighbours


@pytest.mark.parametrize(("num_samples", "length"), [(256, 256), (1536, 512), (20_000, 1024)])
def test_the_memory_is_shortened_until_it_holds_half_a_copy_at_most(num_samples, length):
    memory = NeighbourMemory(4, 4)
    visits(memory, num_samples, 200)
    assert memory.length == length


def test_the_memory_is_not_shortened_before_twenty_batches():
    # neighbours answer from the fifth batch on, when half of the memory is filled
    lengths = []
    for batches in (23, 30):
        memory = NeighbourMemory(4, 4)
        visits(memory, 128, batches)
        lengths.append(int(memory.length))
    assert lengths[0] == 1024
    assert lengths[1] < 1024


def test_a_memory_that_is_too_long_is_searched_by_half_before_it_learns_again():
    memory = NeighbourMemory(4, 4)
    batches = 20
    while memory.num_searched == memory.length:
        batches += 1
        memory = NeighbourMemory(4, 4)
        truth, _, labels, neighbours = visits(memory, 128, batches)
    # nothing has been written: an earlier state answers alike
    assert memory.length == 1024
    assert memory.num_searched == 512
    # no vote is discounted by what is known of other rows
    votes = memory.votes(neighbours, labels)
    assert torch.equal(votes, torch.nn.functional.one_hot(neighbours, 4).float().sum(1))
    points = on_hyperboloid(torch.eye(4)[truth])
    memory.remember(points, labels, (neighbours,))
    assert memory.length == memory.num_searched == 512
    assert float(memory.agreement[0]) == pytest.approx(0.05)


def test_votes_of_copies_count_less():
    memory = NeighbourMemory(4, 4, size=511)  # too short to be cut
    truth, wrong, labels, neighbours = visits(memory, 300, 200)
    agreement = memory.agreement[1:] / memory.agreement[0]
    assert agreement[0] > agreement[-1] + 0.2
    own = labels[:, None] == torch.arange(4)
    counted = memory.votes(neighbours, labels)
    plain = torch.nn.functional.one_hot(neighbours, 4).float().sum(1)
    assert torch.equal(counted[~own], plain[~own])
    assert (counted[own] <= plain[own]).all()
    assert (counted.argmax(1) == truth)[wrong].float().mean() > (
        (plain.argmax(1) == truth)[wrong].float().mean() + 0.05
    )


def test_neighbours_know_a_class_that_lies_in_two_places():
    """Half of class 0 lies at the centroid of class 1, as far as distances tell."""
    memory = NeighbourMemory(2, 2, size=512)
    generator = torch.Generator().manual_seed(0)
    modes = torch.tensor([[-1.0, 0.0], [1.0, 0.3], [1.0, -0.3]])  # of classes 0, 0 and 1
    mode = torch.randint(3, (512,), generator=generator)
    truth = (mode == 2).long()
    wrong = torch.rand(512, generator=generator) < 0.3
    labels = torch.where(wrong, 1 - truth, truth)
    points = on_hyperboloid(modes[mode] + 0.1 * torch.randn(512, 2, generator=generator))
    memory.remember(points, labels, None)
    test = on_hyperboloid(modes + 0.05)
    neighbours = memory.neighbours(test)
    assert neighbours is not None
    votes = memory.votes(neighbours, torch.tensor([0, 0, 1]))
    assert votes.argmax(1).tolist() == [0, 0, 1]


def test_state_goes_with_state_dict():
    memory, other = NeighbourMemory(4, 4), NeighbourMemory(4, 4)
    visits(memory, 1536, 60)
    other.load_state_dict(memory.state_dict())
    assert other.length == memory.length == 512
    points = on_hyperboloid(torch.eye(4))
    first, second = memory.neighbours(points), other.neighbours(points)
    assert first is not None
    assert second is not None
    assert torch.equal(first, second)
    with pytest.raises(ValueError, match="vectors must be of shape"):
        NeighbourMemory(4, 4, size=512).load_state_dict(memory.state_dict())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"num_classes": 1}, "num_classes must be at least 2, got 1"),
        ({"embedding_size": 0}, "embedding_size must be at least 1, got 0"),
        ({"size": 255}, "size must be at least 256, got 255"),
    ],
)
def test_bad_options_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        NeighbourMemory(**{"num_classes": 2, "embedding_size": 2, **options})


def test_as_a_witness_it_adds_votes_except_with_candidates():
    memory = NeighbourMemory(4, 4)
    truth, _, labels, _ = visits(memory, 600, 10)
    points = on_hyperboloid(torch.eye(4)[truth[:6]])
    evidence = SimpleNamespace(points=points, candidates=None, view_ids=None)
    answer = memory.ask(evidence, labels[:6])
    assert answer is not None
    assert torch.equal(answer[1], memory.votes(answer[0], labels[:6]))
    assert answer[1].sum() > 6
    log_odds = torch.rand(6, 4)
    found = memory.add_to(log_odds, evidence, answer, 0.5)
    torch.testing.assert_close(found, log_odds + 0.5 * answer[1])
    assert memory.slope(log_odds, evidence, None, 0.5) == 0
    evidence.candidates = "a few classes"
    assert memory.ask(evidence, labels[:6]) is None
