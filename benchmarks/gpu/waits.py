"""Counts what a loss asks of the device: operations, kernels, and waits of the host."""

from collections import Counter
from collections.abc import Callable
from functools import partial

import torch
from pytorch_metric_learning import losses
from torch import Tensor
from torch.profiler import ProfilerActivity, profile

from benchmarks.device_work import DeviceWork
from benchmarks.gpu.budget import Deadline
from benchmarks.gpu.cases import PROBLEM, Case, Row
from benchmarks.gpu.sampler import Sampler
from benchmarks.gpu.sizes import Sizes
from pml_ahsml import AdaptiveNoiseAwareLoss

LOSSES = ("MultiSimilarityLoss", "SupConLoss", "TripletMarginLoss")
_D = 32
# of very many classes this many are seen: enough for their labels to be judged
_SEEN, _PER_CLASS = 150, 16

# Calls of CUDA as the profiler names them.
_LAUNCHES = {"cudaLaunchKernel", "cudaLaunchKernelExC", "cuLaunchKernel", "cuLaunchKernelEx"}
_SYNCHRONISING = {
    "cudaDeviceSynchronize",
    "cudaEventSynchronize",
    "cudaMemcpy",
    "cudaStreamSynchronize",
}


def cases(sizes: Sizes, device: torch.device) -> list[Case]:
    """Make a case for each number of classes and share of wrong labels, with ids and without."""
    return [
        Case(
            {"classes": k, "wrong": wrong, "ids": "yes" if has_ids else "no"},
            partial(_count, k, wrong, has_ids, sizes, device),
        )
        for k in sizes.counted_classes
        for wrong in (0.0, 0.5)
        for has_ids in (False, True)
    ]


class Batches:
    """Embeddings of classes that overlap little, some labels wrong."""

    def __init__(self, num_classes: int, wrong: float, has_ids: bool, device: torch.device) -> None:
        self.sampler = Sampler(min(num_classes, _SEEN), _PER_CLASS, wrong)
        self.generator = torch.Generator().manual_seed(0)
        centres = torch.randn(int(self.sampler.truth.max()) + 1, _D, generator=self.generator)
        self.centres = centres[self.sampler.truth]
        self.has_ids = has_ids
        self.device = device

    def draw(self) -> tuple[Tensor, Tensor, dict[str, Tensor]]:
        """Return embeddings, labels and, if samples have ids, the argument for them."""
        rows = self.sampler.draw(self.generator)
        noise = torch.randn(len(rows), _D, generator=self.generator)
        embeddings = (self.centres[rows] + 0.3 * noise).to(self.device).requires_grad_()
        ids = {"sample_ids": rows.to(self.device)} if self.has_ids else {}
        return embeddings, self.sampler.labels[rows].to(self.device), ids


def _count(
    num_classes: int, wrong: float, has_ids: bool, sizes: Sizes, device: torch.device,
    deadline: Deadline,
) -> list[Row]:  # fmt: skip
    batches = Batches(num_classes, wrong, has_ids, device)
    wrapper = AdaptiveNoiseAwareLoss(
        losses.MultiSimilarityLoss(), num_classes, _D,
        num_samples=len(batches.sampler.truth) if has_ids else None,
    )  # fmt: skip
    for _ in range(sizes.learnt):
        embeddings, labels, ids = batches.draw()
        wrapper(embeddings, labels, **ids)
    rows: list[Row] = []
    for name in LOSSES:
        if not deadline.left:
            rows.append({"loss": name, PROBLEM: "no time was left"})
            continue
        wrapper.loss = getattr(losses, name)()
        rows.append({"loss": name} | _of_loss(wrapper, batches, sizes.counted))
    return rows


def _of_loss(wrapper: AdaptiveNoiseAwareLoss, batches: Batches, steps: int) -> Row:
    """Count forward passes of the loss alone and wrapped; the most of some steps."""
    device = batches.device
    # starting and stopping the profiler waits too
    idle = calls_of_cuda(lambda: None) if device.type == "cuda" else Counter()
    most: Row = {}
    for _ in range(steps):
        embeddings, labels, ids = batches.draw()
        found = counts(partial(wrapper.loss, embeddings, labels), device, "alone", idle)
        found |= counts(partial(wrapper, embeddings, labels, **ids), device, "wrapped", idle)
        most = {name: max(number, most.get(name, 0)) for name, number in found.items()}
    return without_blind_zeros(most) if device.type == "cuda" else most


def without_blind_zeros(most: Row) -> Row:
    """Leave out what a profiler without rights to the counters of the GPU says: 0 is no count.

    Args:
        most: counts on a GPU.
    """
    if most["alone_kernels"] > 0:
        return most
    kept = {key: n for key, n in most.items() if key.endswith(("operations", "waits"))}
    return kept | {PROBLEM: "the profiler saw no kernels: it may lack the rights"}


def counts(
    action: Callable[[], object], device: torch.device, name: str, idle: Counter[str]
) -> dict[str, int]:
    """Count the operations and waits of an action; on CUDA what the profiler sees as well.

    Args:
        action: called once.
        device: where it works.
        name: put before the names of the counts.
        idle: calls of CUDA that the profiler makes for itself.
    """
    work = DeviceWork()

    def counted() -> None:
        with work:
            action()

    if device.type == "cuda":
        calls = calls_of_cuda(counted)
        found = {
            "kernels": sum(calls[each] - idle[each] for each in _LAUNCHES),
            "syncs": sum(calls[each] - idle[each] for each in _SYNCHRONISING),
        }
    else:
        counted()
        found = {}
    found |= {"operations": work.num_operations, "waits": work.num_waits}
    return {f"{name}_{key}": number for key, number in found.items()}


def calls_of_cuda(action: Callable[[], None]) -> Counter[str]:
    """Count the calls of CUDA by their names."""
    torch.cuda.synchronize()
    with profile(activities=[ProfilerActivity.CPU, ProfilerActivity.CUDA]) as recorded:
        action()
    return Counter({event.key: event.count for event in recorded.key_averages()})
