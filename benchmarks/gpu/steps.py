"""Measures a whole training step of a large network with a loss alone and with it wrapped."""

import copy
import statistics
from functools import partial

import torch
from pytorch_metric_learning.losses import MultiSimilarityLoss
from torch import Tensor, nn

from benchmarks.gpu.budget import Deadline, take_turns
from benchmarks.gpu.cases import Case, Row
from benchmarks.gpu.networks import build
from benchmarks.gpu.sampler import BATCH_SIZE, Sampler
from benchmarks.gpu.sizes import Sizes
from benchmarks.measuring import now
from pml_ahsml import AdaptiveNoiseAwareLoss

PRECISIONS = {"float32": None, "bfloat16": torch.bfloat16}
_GRID = 14  # a class is a pattern of this many squares across
_SPREAD = 0.6


def cases(sizes: Sizes, device: torch.device) -> list[Case]:
    """Make a case for each network, precision and share of wrong labels."""
    return [
        Case(
            {"network": network, "precision": precision, "wrong": wrong},
            partial(_compare, network, precision, wrong, sizes, device),
        )
        for network in sizes.networks
        for precision in PRECISIONS
        for wrong in (0.0, 0.5)
    ]


class Images:
    """Images of classes that a network with random weights can tell apart, made when asked for.

    Args:
        sampler: whose classes they show.
        side: height and width.
        device: where they are made.
    """

    def __init__(self, sampler: Sampler, side: int, device: torch.device) -> None:
        generator = torch.Generator().manual_seed(1)
        patterns = torch.randn(int(sampler.truth.max()) + 1, 3, _GRID, _GRID, generator=generator)
        noise = torch.randn(len(sampler.truth), 3, _GRID, _GRID, generator=generator)
        self.small = (patterns[sampler.truth] + _SPREAD * noise).to(device)
        self.side = side

    def __getitem__(self, rows: Tensor) -> Tensor:
        size = (self.side, self.side)
        return nn.functional.interpolate(self.small[rows.to(self.small.device)], size)


class Training:
    """A network with a small head, a loss and an optimiser.

    Args:
        backbone: from images to features; copied.
        num_features: of the backbone.
        loss: alone or wrapped.
        sizes: sizes of head and rounds.
        dtype: of autocast, or None for float32.
    """

    def __init__(
        self, backbone: nn.Module, num_features: int, loss: nn.Module, sizes: Sizes,
        dtype: torch.dtype | None,
    ) -> None:  # fmt: skip
        torch.manual_seed(0)
        self.backbone = copy.deepcopy(backbone)
        device = next(backbone.parameters()).device
        linear = nn.Linear(num_features, sizes.embedding_size)
        self.head = nn.Sequential(nn.BatchNorm1d(num_features), linear).to(device)
        self.loss = loss
        self.device = device
        self.sizes = sizes
        self.autocast = partial(torch.autocast, device.type, dtype, enabled=dtype is not None)
        self.optimizer: torch.optim.Optimizer
        # of its own, so that ways in turns see the same batches
        self.generator = torch.Generator().manual_seed(2)

    def warm_up(self, features: Tensor, sampler: Sampler) -> None:
        """Train the head on the features of the network as it is, so that the loss has judged."""
        self.optimizer = torch.optim.AdamW(self.head.parameters(), lr=1e-3)
        for _ in range(self.sizes.warmup):
            rows = sampler.draw(self.generator)
            self._step(self.head(features[rows.to(self.device)]), sampler.labels[rows])
        both = nn.ModuleList([self.backbone, self.head])
        self.optimizer = torch.optim.AdamW(both.parameters(), lr=1e-5)

    def seconds(self, images: Images, sampler: Sampler) -> float:
        """Measure the mean seconds of a whole step on the next batches."""
        some = [sampler.draw(self.generator) for _ in range(self.sizes.steps)]
        batches = [(images[rows], sampler.labels[rows].to(self.device)) for rows in some]
        started = now(self.device)
        for inputs, labels in batches:
            with self.autocast():
                embeddings = self.head(self.backbone(inputs))
            self._step(embeddings.float(), labels)
        return (now(self.device) - started) / len(batches)

    def _step(self, embeddings: Tensor, labels: Tensor) -> None:
        self.optimizer.zero_grad()
        self.loss(embeddings, labels.to(self.device)).backward()
        self.optimizer.step()


@torch.no_grad()
def features_of(backbone: nn.Module, images: Images, autocast: partial) -> Tensor:
    """Compute the (S, F) features of all images."""
    rows = torch.arange(len(images.small)).split(BATCH_SIZE)
    with autocast():
        return torch.cat([backbone(images[some]).float() for some in rows])


def _compare(
    network: str, precision: str, wrong: float, sizes: Sizes, device: torch.device,
    deadline: Deadline,
) -> list[Row]:  # fmt: skip
    torch.manual_seed(0)
    backbone, name = build(network)
    backbone = backbone.to(device).train()
    sampler = Sampler(sizes.classes, sizes.per_class, wrong)
    images = Images(sampler, sizes.side, device)
    dtype = PRECISIONS[precision]
    wrapper = AdaptiveNoiseAwareLoss(MultiSimilarityLoss(), sizes.classes, sizes.embedding_size)
    autocast = partial(torch.autocast, device.type, dtype, enabled=dtype is not None)
    features = features_of(backbone, images, autocast)
    trainings = {
        way: Training(backbone, features.shape[1], loss, sizes, dtype)
        for way, loss in (("alone", MultiSimilarityLoss()), ("wrapped", wrapper))
    }
    for training in trainings.values():
        training.warm_up(features, sampler)
    rows: list[int] = []
    wrapper.loss.register_forward_pre_hook(lambda _, arguments: rows.append(len(arguments[0])))
    taken = take_turns(
        {way: partial(training.seconds, images, sampler) for way, training in trainings.items()},
        sizes.rounds,
        deadline,
    )
    pairs = list(zip(taken["alone"], taken["wrapped"], strict=True))
    return [
        {
            "network": name,
            "rounds": len(pairs),
            "alone_ms": 1e3 * statistics.median(taken["alone"]),
            "wrapped_ms": 1e3 * statistics.median(taken["wrapped"]),
            "ratio": statistics.median(wrapped / alone for alone, wrapped in pairs),
            "rows": statistics.fmean(rows),
            "noise_rate": wrapper.noise_rate,
        }
    ]
