import pytest
import torch
import torch.distributed as dist

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
