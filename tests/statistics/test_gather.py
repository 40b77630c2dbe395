import torch
import torch.distributed as dist
from pytorch_metric_learning import losses

from pml_ahsml import AdaptiveNoiseAwareLoss
from pml_ahsml.statistics.gather import gather_rows

K, D, STEPS = 4, 8, 12
LENGTHS = (20, 13)  # an uneven last batch


def rank_batches(rank: int):
    generator = torch.Generator().manual_seed(rank)
    centres = torch.randn(K, D, generator=torch.Generator().manual_seed(9))
    for _ in range(STEPS):
        labels = torch.randint(K, (LENGTHS[rank],), generator=generator)
        noise = 0.2 * torch.randn(LENGTHS[rank], D, generator=generator)
        yield centres[labels] + noise, labels


def run_rank(rank: int, folder: str) -> None:
    dist.init_process_group(
        "gloo", init_method=f"file://{folder}/rendezvous", rank=rank, world_size=2
    )
    wrapper = AdaptiveNoiseAwareLoss(losses.ContrastiveLoss(), K, D, warmup=5, sync=True)
    for embeddings, labels in rank_batches(rank):
        wrapper(embeddings, labels)
    torch.save(wrapper.state_dict(), f"{folder}/{rank}.pt")
    dist.destroy_process_group()


def test_synchronised_ranks_learn_what_one_process_learns(tmp_path):
    context = torch.multiprocessing.start_processes(
        run_rank, (str(tmp_path),), nprocs=2, join=False, start_method="spawn"
    )
    single = AdaptiveNoiseAwareLoss(losses.ContrastiveLoss(), K, D, warmup=5)
    for first, second in zip(rank_batches(0), rank_batches(1), strict=True):
        single(torch.cat([first[0], second[0]]), torch.cat([first[1], second[1]]))
    deadline = 60.0  # seconds; two processes that wait for each other would wait for ever
    while not context.join(timeout=deadline):
        deadline -= 20
        if deadline <= 0:
            for process in context.processes:
                process.kill()
            raise AssertionError("the ranks deadlocked")
    states = [torch.load(tmp_path / f"{rank}.pt", weights_only=True) for rank in range(2)]
    expected = single.state_dict()
    for key, tables in expected.items():
        for name, value in tables.items():
            assert torch.equal(states[0][key][name], states[1][key][name]), name
            torch.testing.assert_close(states[0][key][name], value, rtol=1e-5, atol=1e-6)
    assert single.class_statistics.visits.sum() > 0


def test_one_process_has_its_own_rows_only():
    embeddings, labels = torch.randn(3, 2), torch.arange(3)
    assert gather_rows(embeddings, labels) == (embeddings, labels)
