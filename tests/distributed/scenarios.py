"""Training steps on several ranks, and the same by one process on the global batch."""

import copy
import datetime
from dataclasses import dataclass
from typing import Any

import torch
import torch.distributed as dist
from pytorch_metric_learning import losses
from pytorch_metric_learning.utils import loss_and_miner_utils as lmu
from pytorch_metric_learning.utils.distributed import (
    DistributedLossWrapper,
    DistributedMinerWrapper,
)
from torch import Tensor
from torch.nn.parallel import DistributedDataParallel

from pml_ahsml import AdaptiveNoiseAwareLoss, HierarchicalSimilarityMiner
from tests.distributed import grown
from tests.distributed.faults import all_faults
from tests.distributed.grown import WARMUP, AtWork, D, K

SIZE, STEPS = 12, 7
# one rank has no rows in this step of grown scenarios
_GROWN_SIZE, _GROWN_STEPS, _EMPTY = 22, 5, 2
# the samples of so many steps come again and again, until there are second opinions
_STEPS_WITH_IDS, ROUND = 24, 4
TIMEOUT = datetime.timedelta(seconds=40)
_CENTRES = 3 * torch.eye(K, 8, dtype=torch.float64)


@dataclass(frozen=True)
class Scenario:
    """What is run.

    Args:
        way: "plain", DistributedDataParallel with sync=True; "gathered" or "efficient", a
            DistributedLossWrapper.
        data: "even"; "uneven", ranks with fewer rows, in the last step one with none;
            "distrusted", after the warm-up all labels of rank 0 are wrong; "apart", class 0 on
            rank 0, which has no other, and on no other rank.
        has_proxies: whether the wrapped loss has parameters.
        has_miner: whether our miner selects the pairs.
        has_margins: whether the wrapped loss gets margins.
        num_views: views of each sample, stacked in the batch of a rank.
        is_grown: whether it starts where all parts of the label model are at work.
        has_ids: whether the wrapper is told which samples these are, each of which comes again.
    """

    way: str
    data: str = "even"
    has_proxies: bool = False
    has_miner: bool = False
    has_margins: bool = False
    num_views: int = 1
    is_grown: bool = False
    has_ids: bool = False

    def __str__(self) -> str:
        parts = [self.way, self.data, "proxies" * self.has_proxies, "miner" * self.has_miner]
        parts += ["margins" * self.has_margins, "views" * (self.num_views > 1)]
        parts += ["grown" * self.is_grown, "ids" * self.has_ids]
        return "-".join(part for part in parts if part)

    @property
    def num_steps(self) -> int:
        if self.has_ids:
            return _STEPS_WITH_IDS
        return _GROWN_STEPS if self.is_grown else STEPS

    @property
    def size(self) -> int:
        """The most rows of a rank."""
        return _GROWN_SIZE if self.is_grown else SIZE

    def network(self, start: dict[str, Any]) -> torch.nn.Linear:
        network = grown.network()
        if self.is_grown:
            network.load_state_dict(start["network"])
        return network

    def loss(self, sync: bool, start: dict[str, Any]) -> AdaptiveNoiseAwareLoss:
        torch.manual_seed(1)
        wrapped = (
            losses.ProxyAnchorLoss(K, D).double() if self.has_proxies else losses.ContrastiveLoss()
        )
        if self.is_grown:
            loss = grown.wrapper(wrapped, sync=sync, num_views=self.num_views)
            # proxies are those of the start
            loss.load_state_dict(loss.state_dict() | start["wrapper"])
            return loss
        return AdaptiveNoiseAwareLoss(
            wrapped,
            K,
            D,
            warmup=WARMUP,
            class_warmup=1,
            sync=sync,
            margins="auto" if self.has_margins else None,
            relabel=None,
            num_views=self.num_views,
            num_samples=4 * ROUND * SIZE if self.has_ids else None,
        )

    def miner(self) -> HierarchicalSimilarityMiner | None:
        return HierarchicalSimilarityMiner(gamma=0.8) if self.has_miner else None

    def batch(self, rank: int, world_size: int, step: int) -> tuple[Tensor, Tensor]:
        """A rank's inputs and labels, a quarter of them wrong."""
        inputs, labels = self._single_views(rank, world_size, self._number(step))
        views = [inputs + 0.3 * view * inputs.roll(1, 1) for view in range(self.num_views)]
        return torch.cat(views), labels.repeat(self.num_views)

    def sample_ids(self, rank: int, step: int, size: int) -> Tensor | None:
        """Which samples a rank's rows are."""
        if not self.has_ids:
            return None
        return (rank * ROUND + self._number(step)) * SIZE + torch.arange(size)

    def _number(self, step: int) -> int:
        return step % ROUND if self.has_ids else step

    def _single_views(self, rank: int, world_size: int, step: int) -> tuple[Tensor, Tensor]:
        if self.is_grown:
            size = _GROWN_SIZE
            if self.data == "uneven":
                is_empty = step == _EMPTY and rank == world_size - 1
                size = 0 if is_empty else size - 3 * rank
            return grown.batch(100 * step + rank, size)
        generator = torch.Generator().manual_seed(100 * step + rank)
        size = SIZE
        if self.data == "uneven":
            is_last = step == STEPS - 1 and rank == world_size - 1
            size = 0 if is_last else SIZE - 2 * rank
        truth = torch.arange(size) % K
        if self.data == "apart":
            truth = torch.zeros_like(truth) if rank == 0 else 1 + truth % (K - 1)
        inputs = _CENTRES[truth] + 0.2 * torch.randn(
            size, 8, generator=generator, dtype=torch.float64
        )
        is_wrong = torch.rand(size, generator=generator) < 0.25
        if self.data == "distrusted" and step > WARMUP:
            is_wrong = is_wrong | (rank == 0)
        if self.data == "apart":
            return inputs, truth
        return inputs, torch.where(is_wrong, (truth + 1 + step % 3) % K, truth)


SCENARIOS = (
    *(Scenario("plain", data) for data in ("even", "uneven", "distrusted", "apart")),
    Scenario("plain", "distrusted", has_proxies=True),
    Scenario("plain", "uneven", num_views=2),
    *(Scenario(way, data) for way in ("gathered", "efficient") for data in ("even", "apart")),
    Scenario("gathered", "distrusted", has_proxies=True),
    *(Scenario(way, has_miner=True) for way in ("gathered", "efficient")),
    *(Scenario(way, has_margins=True) for way in ("gathered", "efficient")),
    Scenario("plain", "uneven", is_grown=True),
    Scenario("plain", "uneven", has_proxies=True, is_grown=True),
    Scenario("plain", "uneven", num_views=2, is_grown=True),
    *(Scenario(way, is_grown=True) for way in ("gathered", "efficient")),
    *(Scenario(way, has_ids=True) for way in ("plain", "gathered")),
)


def run_rank(rank: int, world_size: int, folder: str) -> None:
    """Run all scenarios and faults on one rank, and write the results to a file."""
    torch.set_num_threads(1)
    dist.init_process_group(
        "gloo",
        init_method=f"file://{folder}/rendezvous",
        rank=rank,
        world_size=world_size,
        timeout=TIMEOUT,
    )
    start = torch.load(f"{folder}/grown.pt", weights_only=True)
    results: dict[str, Any] = {
        str(scenario): _on_rank(scenario, rank, world_size, start) for scenario in SCENARIOS
    }
    results["faults"] = all_faults(rank, world_size, start["wrapper"])
    torch.save(results, f"{folder}/{rank}.pt")
    dist.barrier()
    dist.destroy_process_group()


def _on_rank(
    scenario: Scenario, rank: int, world_size: int, start: dict[str, Any]
) -> dict[str, Any]:
    network, miner = scenario.network(start), scenario.miner()
    wrapper = scenario.loss(sync=scenario.way != "gathered", start=start)
    at_work = AtWork(wrapper) if scenario.is_grown else None
    efficient = scenario.way == "efficient"
    loss: torch.nn.Module = wrapper
    if scenario.way != "plain":
        loss = DistributedLossWrapper(wrapper, efficient=efficient)
    if scenario.has_proxies:
        loss = DistributedDataParallel(loss)
    mine = None if miner is None else DistributedMinerWrapper(miner, efficient=efficient)
    model = DistributedDataParallel(network)
    parameters = [*network.parameters(), *wrapper.parameters()]
    gradients, judged = [], []
    for step in range(scenario.num_steps):
        inputs, labels = scenario.batch(rank, world_size, step)
        embeddings = model(inputs)
        judged.append(_judged(scenario, wrapper, embeddings, labels))
        mined = None if mine is None else mine(embeddings, labels)
        ids = scenario.sample_ids(rank, step, len(labels))
        if ids is not None:
            wrapper.next_samples(ids)
        loss(embeddings, labels, mined).backward()
        gradients.append(_take_step(parameters))
        if at_work and len(labels):
            at_work.look()
    return {
        "gradients": gradients,
        "judged": judged,
        "state": wrapper.state_dict(),
        "at_work": at_work.report() if at_work else {},
    }


def by_one_process(scenario: Scenario, world_size: int, start: dict[str, Any]) -> dict[str, Any]:
    """Compute the expected results of the ranks."""
    network, miner = scenario.network(start), scenario.miner()
    wrapper = scenario.loss(sync=False, start=start)
    parameters = [*network.parameters(), *wrapper.parameters()]
    gradients, judged = [], []
    for step in range(scenario.num_steps):
        batches = [scenario.batch(rank, world_size, step) for rank in range(world_size)]
        embeddings = [network(inputs) for inputs, _ in batches]
        labels = [part for _, part in batches]
        everything = torch.cat(embeddings), torch.cat(labels)
        ids = [scenario.sample_ids(rank, step, len(part)) for rank, part in enumerate(labels)]
        all_ids = {"sample_ids": torch.cat(ids)} if scenario.has_ids else {}
        judged.append(
            [_judged(scenario, wrapper, e, y) for e, y in zip(embeddings, labels, strict=True)]
        )
        if scenario.way == "gathered":
            mined = None if miner is None else miner(*everything)
            wrapper(*everything, mined, **all_ids).backward()
        else:
            # each rank by what all have learnt so far
            before = copy.deepcopy(wrapper.state_dict())
            for rank in range(world_size):
                if scenario.way == "plain":
                    own = embeddings[rank], labels[rank]
                    value = wrapper(*own, sample_ids=ids[rank]) / world_size
                else:
                    value = _efficient(wrapper, miner, embeddings, labels, rank)
                value.backward()
                wrapper.load_state_dict(before)
            sizes = [len(part) // scenario.num_views for part in labels]
            views = [
                (rank * scenario.size + torch.arange(size)).repeat(scenario.num_views)
                for rank, size in enumerate(sizes)
            ]
            view_ids = torch.cat(views) if scenario.num_views > 1 else None
            wrapper(everything[0].detach(), everything[1], view_ids=view_ids, **all_ids)
        if scenario.way == "gathered":
            # PML multiplies the loss by the number of ranks to make up for the mean that is taken
            # over them; of the proxies each rank has the whole gradient all the same
            for parameter in wrapper.parameters():
                parameter.grad *= world_size
        gradients.append(_take_step(parameters))
    return {"gradients": gradients, "judged": judged, "state": wrapper.state_dict()}


def _judged(
    scenario: Scenario, wrapper: AdaptiveNoiseAwareLoss, embeddings: Tensor, labels: Tensor
) -> Tensor:
    """(N, 2) whether each label is believed and, of a grown model, the likeliest class."""
    trusted = (wrapper.trust(embeddings, labels) > 0.5).long()
    if not scenario.is_grown:
        return torch.stack([trusted, labels], 1)
    return torch.stack([trusted, wrapper.posterior(embeddings, labels).argmax(1)], 1)


def _efficient(
    wrapper: AdaptiveNoiseAwareLoss,
    miner: HierarchicalSimilarityMiner | None,
    embeddings: list[Tensor],
    labels: list[Tensor],
    rank: int,
) -> Tensor:
    """The loss of one rank: its rows against its own and, without a gradient, all others."""
    others = [other for other in range(len(labels)) if other != rank]
    refs = torch.cat([embeddings[rank], *(embeddings[other].detach() for other in others)])
    ref_labels = torch.cat([labels[rank], *(labels[other] for other in others)])
    own = embeddings[rank], labels[rank]
    mined = (
        lmu.get_all_pairs_indices(labels[rank], ref_labels)
        if miner is None
        else miner(*own, refs, ref_labels)
    )
    mined = lmu.remove_self_comparisons(mined, torch.arange(len(labels[rank])), len(ref_labels))
    return wrapper(*own, mined, refs, ref_labels)


def _take_step(parameters: list[torch.nn.Parameter]) -> Tensor:
    """One step of gradient descent; the gradient that it took."""
    gradient = torch.cat([parameter.grad.flatten() for parameter in parameters])
    with torch.no_grad():
        for parameter in parameters:
            parameter -= 0.05 * parameter.grad
            parameter.grad = None
    return gradient
