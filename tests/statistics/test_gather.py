import threading
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import pytest
import torch

from pml_ahsml.statistics import gather
from pml_ahsml.statistics.gather import gather_batch, gather_rows


def on_ranks(monkeypatch, batches):
    """What ``gather_batch`` returns on each rank, the ranks being threads."""
    size, here, handed_in = len(batches), threading.local(), {}
    barrier = threading.Barrier(size, timeout=10)

    def all_gather(parts, tensor):
        handed_in[here.rank] = tensor
        barrier.wait()
        for part, of_rank in zip(parts, [handed_in[rank] for rank in range(size)], strict=True):
            assert part.shape == of_rank.shape, "as in a process group"
            part.copy_(of_rank)
        barrier.wait()

    ranks = SimpleNamespace(
        is_available=lambda: True,
        is_initialized=lambda: True,
        get_world_size=lambda: size,
        get_rank=lambda: here.rank,
        all_gather=all_gather,
    )
    monkeypatch.setattr(gather, "dist", ranks)

    def run(rank):
        here.rank = rank
        return gather_batch(*batches[rank])

    with ThreadPoolExecutor(size) as threads:
        return list(threads.map(run, range(size)))


@pytest.mark.parametrize("lengths", [(3, 3), (2, 5), (4, 0, 1)])
def test_all_ranks_have_the_rows_of_all_in_the_same_order(monkeypatch, lengths):
    batches = [(torch.randn(n, 2), torch.arange(n) + 10 * n, None) for n in lengths]
    for embeddings, labels, ids in on_ranks(monkeypatch, batches):
        assert torch.equal(embeddings, torch.cat([batch[0] for batch in batches]))
        assert torch.equal(labels, torch.cat([batch[1] for batch in batches]))
        assert ids is None


def test_view_ids_of_different_ranks_are_of_different_samples(monkeypatch):
    ids = [torch.tensor([7, 3, 7]), torch.tensor([7, 7, 3, 0])]
    batches = [(torch.randn(len(i), 2), torch.arange(len(i)), i) for i in ids]
    results = on_ranks(monkeypatch, batches)
    same_sample = torch.zeros(7, 7, dtype=torch.bool)
    for start, of_rank in ((0, ids[0]), (3, ids[1])):
        end = start + len(of_rank)
        same_sample[start:end, start:end] = of_rank[:, None] == of_rank
    for _, labels, gathered in results:
        assert labels.tolist() == [0, 1, 2, 0, 1, 2, 3]
        assert torch.equal(gathered[:, None] == gathered, same_sample)


# what comes of it in several processes stands in tests/distributed
def test_one_process_has_its_own_rows_only():
    embeddings, labels = torch.randn(3, 2), torch.arange(3)
    assert gather_rows(embeddings, labels) == (embeddings, labels)


def test_view_ids_keep_their_groups():
    embeddings, labels = torch.randn(4, 2), torch.tensor([3, 1, 3, 1])
    gathered, same, ids = gather_batch(embeddings, labels, torch.tensor([9, 4, 9, 4]))
    assert torch.equal(gathered, embeddings)
    assert torch.equal(same, labels)
    assert ids.tolist() == [1, 0, 1, 0]
    assert gather_batch(embeddings, labels, None)[2] is None
    nothing = gather_batch(embeddings[:0], labels[:0], labels[:0])
    assert [len(part) for part in nothing] == [0, 0, 0]
