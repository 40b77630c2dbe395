"""Batches that PML's DistributedLossWrapper does not take: ours does as the plain loss does."""

import datetime
import multiprocessing
import resource
import time
from pathlib import Path

import torch
import torch.distributed as dist
from pytorch_metric_learning import losses
from pytorch_metric_learning.utils.distributed import DistributedLossWrapper

from pml_ahsml import AdaptiveNoiseAwareLoss

K, D = 4, 6
# gloo waits so long for rows that do not come; nobody may take longer than the deadline
TIMEOUT, DEADLINE = datetime.timedelta(seconds=10), 90.0


def _run_rank(rank: int, is_wrapped: bool, folder: str) -> None:
    """Print the outcome of each kind of batch on a line; the last may end the process."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    torch.set_num_threads(1)
    dist.init_process_group(
        "gloo", init_method=f"file://{folder}/rendezvous", rank=rank, world_size=2, timeout=TIMEOUT
    )
    for sizes, efficient in (((0, 0), False), ((0, 0), True), ((8, 6), False)):
        loss: torch.nn.Module = losses.ContrastiveLoss()
        if is_wrapped:
            loss = AdaptiveNoiseAwareLoss(loss, K, D, sync=efficient, margins=None)
        embeddings = torch.randn(sizes[rank], D, requires_grad=True)
        labels = torch.arange(sizes[rank]) % K
        try:
            value = DistributedLossWrapper(loss, efficient=efficient)(embeddings, labels)
            value.backward()
            outcome = f"{value.detach()}"
        except Exception as error:
            outcome = type(error).__name__
        with Path(f"{folder}/{rank}.txt").open("a") as file:
            file.write(f"{sizes} {outcome}\n")


def test_ours_does_as_the_plain_loss_does_and_no_rank_waits_for_ever(tmp_path):
    multiprocessing.set_forkserver_preload(["tests.distributed.scenarios"])
    context = multiprocessing.get_context("forkserver")
    processes = []
    for is_wrapped in (False, True):
        folder = tmp_path / str(is_wrapped)
        folder.mkdir()
        for rank in range(2):
            arguments = (rank, is_wrapped, str(folder))
            processes.append(context.Process(target=_run_rank, args=arguments))
    for process in processes:
        process.start()
    end = time.monotonic() + DEADLINE
    for process in processes:
        process.join(max(0.0, end - time.monotonic()))
    have_ended = [process.exitcode is not None for process in processes]
    for process in processes:
        process.kill()
    assert all(have_ended)
    for is_wrapped in (False, True):
        for rank in range(2):
            lines = (tmp_path / str(is_wrapped) / f"{rank}.txt").read_text().splitlines()
            assert lines[:2] == ["(0, 0) 0.0", "(0, 0) IndexError"]
            # PML's gather fails, in one rank by an error, in the other without a word
            assert lines[2:] in ([], ["(8, 6) RuntimeError"])
