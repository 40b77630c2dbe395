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
        ranks.announce(3, {"view_ids": torch.arange(3)})
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
    assert by_rank(uneven).tolist() == [0, 2, 3]


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
        embeddings, labels, ids = batches[rank]
        with AllRanks(True, embeddings) as everyone:
            everyone.announce(len(labels), ids)
            return everyone.gather(embeddings, labels, ids)

    with ThreadPoolExecutor(size) as threads:
        return list(threads.map(run, range(size)))


@pytest.mark.parametrize("with_samples", [True, False])
@pytest.mark.parametrize("with_views", [True, False])
def test_rows_labels_and_ids_of_all_ranks_come_by_rank(monkeypatch, with_views, with_samples):
    lengths = [2, 0, 3]  # uneven, and a rank without rows
    embeddings = [torch.randn(n, 4) for n in lengths]
    labels = [10 * (rank + 1) + torch.arange(n) for rank, n in enumerate(lengths)]
    views = [torch.tensor([7, 7, 5][:n]) if with_views else None for n in lengths]
    samples = [torch.tensor([9, 2, 2][:n]) if with_samples else None for n in lengths]
    ids = [{"view_ids": v, "sample_ids": s} for v, s in zip(views, samples, strict=True)]
    found = on_ranks(monkeypatch, list(zip(embeddings, labels, ids, strict=True)))
    for rows, of_rows, of_all in found:
        views = of_all["view_ids"]
        assert torch.equal(rows, torch.cat(embeddings))
        assert of_rows.tolist() == [10, 11, 30, 31, 32]
        if with_views:
            # an id is shared within a rank only
            assert views[0] == views[1]
            assert views[2] == views[3]
            assert len(views.unique()) == 3
        else:
            assert views is None
        # a sample is the same on all ranks
        expected = [9, 2, 9, 2, 2] if with_samples else None
        assert (of_all["sample_ids"] is None) == (not with_samples)
        assert of_all["sample_ids"] is None or of_all["sample_ids"].tolist() == expected


@pytest.mark.parametrize("name", ["view_ids", "sample_ids"])
def test_ids_on_some_ranks_only_are_an_error_on_all(monkeypatch, name):
    rows = torch.randn(2, 4), torch.tensor([0, 1])
    some = {"view_ids": None, "sample_ids": None}
    batches = [(*rows, {**some, name: torch.arange(2)}), (*rows, some)]
    with pytest.raises(ValueError, match=f"{name} must be given on all .* got none on rank 1"):
        on_ranks(monkeypatch, batches)


@pytest.mark.parametrize("rank", [0, 1, 2])
def test_values_are_gathered_in_the_order_of_rows_that_pml_has_gathered(rank, monkeypatch):
    of_ranks = [torch.tensor([10 * r, 10 * r + 1]) for r in range(3)]
    ranks = SimpleNamespace(
        is_available=lambda: True,
        is_initialized=lambda: True,
        get_world_size=lambda: 3,
        get_rank=lambda: rank,
        all_gather=lambda parts, _: [p.copy_(o) for p, o in zip(parts, of_ranks, strict=True)],
    )
    monkeypatch.setattr(gather, "dist", ranks)
    order = [rank, *(other for other in range(3) if other != rank)]
    expected = torch.cat([of_ranks[r] for r in order])
    assert torch.equal(gather.gather_as_pml(of_ranks[rank], 6), expected)
    # beside rows that have not been gathered
    assert gather.gather_as_pml(of_ranks[rank], 2) is of_ranks[rank]
