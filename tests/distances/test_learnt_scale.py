import multiprocessing

import pytest
import torch
import torch.distributed as dist

from pml_ahsml.distances.learnt_scale import LearntScale


def _rank(rank: int, folder: str) -> None:
    dist.init_process_group("gloo", f"file://{folder}/meeting", rank=rank, world_size=2)
    scale = LearntScale(6.0)
    rows = torch.tensor([[1.0, 0.0]] * 2 if rank == 0 else [[0.0, 4.0]])
    scale.find(rows)
    scale.find(10 * rows)  # known: nobody is asked
    torch.save(scale.factor, f"{folder}/{rank}.pt")
    dist.destroy_process_group()


def test_all_ranks_have_the_scale_of_the_mean_median(tmp_path):
    multiprocessing.set_forkserver_preload(["tests.distances.test_learnt_scale"])
    torch.multiprocessing.start_processes(
        _rank, (str(tmp_path),), nprocs=2, start_method="forkserver"
    )
    factors = [torch.load(tmp_path / f"{rank}.pt", weights_only=True) for rank in range(2)]
    # (2·1 + 1·4)/3 = 2, in two dimensions
    assert factors[0] == pytest.approx(6.0)
    assert factors[0] == factors[1]


def test_an_average_of_copies_takes_the_factor_over():
    network = torch.nn.Sequential(LearntScale(2.0))
    average = torch.optim.swa_utils.AveragedModel(network, use_buffers=True)
    network[0].find(torch.ones(3, 4))
    average.update_parameters(network)
    assert average.module[0].factor == 4.0
    network[0].find(7 * torch.ones(3, 4))
    average.update_parameters(network)
    assert average.module[0].factor == 4.0
