import threading
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import pytest
import torch
import torch.distributed as dist

from pml_ahsml.state import gather
from pml_ahsml.state.gather import AllRanks, by_rank


# what it does in several processes stands in tests/distributed
def test_one_process_waits_for_nobody():
    with AllRanks(True, torch.randn(3, 2)) as ranks:
        assert not ranks.is_needed
        ranks.announce(3, has_view_ids=True)
    with pytest.raises(KeyError, match="own"), AllRanks(True, "no tensor"):
        raise KeyError("own")


@pytest.mark.parametrize("rank", [0, 1, 2])
def test_rows_that_pml_has_gathered_are_put_in_the_order_of_the_ranks(rank, monkeypatch):
    monkeypatch.setattr(dist, "is_initialized", lambda: True)
    monkeypatch.setattr(dist, "get_world_size", lambda: 3)
    monkeypatch.setattr(dist, "get_rank", lambda: rank)
    of_ranks = [torch.tensor([10 * r, 10 * r + 1]) for r in range(3)]
    wanted = [torch.tensor([True, r == 1]) for r in range(3)]
    order = [rank, *(other for other in range(3) if other != rank)]  # as in PML's gather
    batch = torch.cat([of_ranks[r] for r in order])
    rows = by_rank(torch.cat([wanted[r] for r in order]))
    assert batch[rows].tolist() == [0, 10, 11, 20]
    # of ranks that differ in length PML makes no batch
    uneven = torch.tensor([True, False, True, True])
    assert by_rank(uneven) is uneven


def on_ranks(monkeypatch, batches):
    """What ``AllRanks.gather`` returns on each rank, the ranks being threads."""
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
        embeddings, labels, view_ids = batches[rank]
        with AllRanks(True, embeddings) as everyone:
            everyone.announce(len(labels), has_view_ids=view_ids is not None)
            return everyone.gather(embeddings, labels, view_ids)

    with ThreadPoolExecutor(size) as threads:
        return list(threads.map(run, range(size)))


@pytest.mark.parametrize("with_views", [True, False])
def test_rows_labels_and_views_of_all_ranks_come_by_rank(monkeypatch, with_views):
    lengths = [2, 0, 3]  # uneven, and a rank without rows
    embeddings = [torch.randn(n, 4) for n in lengths]
    labels = [10 * (rank + 1) + torch.arange(n) for rank, n in enumerate(lengths)]
    ids = [torch.tensor([7, 7, 5][:n]) if with_views else None for n in lengths]
    found = on_ranks(monkeypatch, list(zip(embeddings, labels, ids, strict=True)))
    for rows, of_rows, views in found:
        assert torch.equal(rows, torch.cat(embeddings))
        assert of_rows.tolist() == [10, 11, 30, 31, 32]
        if with_views:
            # an id is shared within a rank only
            assert views[0] == views[1]
            assert views[2] == views[3]
            assert len(views.unique()) == 3
        else:
            assert views is None
