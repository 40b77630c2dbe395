"""How much a training step asks of the device, beyond what the wrapped loss does."""

import functools

import pytest
import torch
from pytorch_metric_learning import losses

from benchmarks.device_work import DeviceWork
from pml_ahsml import AdaptiveNoiseAwareLoss
from pml_ahsml.classes import centroids

D, B = 32, 128
# enough for the noise rate to settle, and for a discriminant and counts to speak; then enough to
# see what is done at every fifth or tenth batch
STEPS, COUNTED = 120, 10

LOSSES = {
    "MultiSimilarity": losses.MultiSimilarityLoss,
    "SupCon": losses.SupConLoss,
    "Triplet": losses.TripletMarginLoss,
}

# A step reads the arguments with the state, and what was judged; if rows are left out, also how
# many past samples may take their place, and which are trusted.
MOST_WAITS = {0.0: 2, 0.5: 4}

# By the number of classes, the share of wrong labels and whether samples have ids: the largest
# number of operations of a step, by loss. They may fall, and must not grow.
MOST_OPERATIONS = {
    (100, 0.0, False): (429, 501, 504),
    (100, 0.0, True): (524, 600, 603),
    (100, 0.5, False): (609, 687, 689),
    (100, 0.5, True): (710, 788, 792),
    (11318, 0.0, False): (359, 433, 436),
    (11318, 0.5, False): (494, 572, 574),
}
CONFIGURATIONS = [
    (*row, loss, most)
    for row, by_loss in MOST_OPERATIONS.items()
    for loss, most in zip(LOSSES, by_loss, strict=True)
]


class Training:
    """Batches of 32 classes × 4 samples, of which some labels are wrong at random."""

    def __init__(self, num_classes: int, share_wrong: float, has_ids: bool) -> None:
        # the more classes, the more rows the tables have; that many are seen
        seen, size = min(num_classes, 150), 2000
        generator = torch.Generator().manual_seed(0)
        truth = torch.arange(size) % seen
        is_wrong = torch.rand(size, generator=generator) < share_wrong
        wrong = torch.randint(seen, (size,), generator=generator)
        self.labels = torch.where(is_wrong, wrong, truth)
        centres = torch.randn(seen, D, generator=generator)
        self.embeddings = centres[truth] + 0.3 * torch.randn(size, D, generator=generator)
        self.rows = [(self.labels == k).nonzero().squeeze(1) for k in range(seen)]
        self.generator = generator
        self.has_ids = has_ids
        num_samples = size if has_ids else None
        self.wrapper = AdaptiveNoiseAwareLoss(
            losses.MultiSimilarityLoss(), num_classes, D, num_samples=num_samples
        )
        for _ in range(STEPS):
            batch, labels, ids = self.batch()
            self.wrapper(batch, labels, **ids)

    def batch(self) -> tuple[torch.Tensor, torch.Tensor, dict[str, torch.Tensor]]:
        classes = torch.randperm(len(self.rows), generator=self.generator)[:32]
        rows = torch.cat([self._some_of(self.rows[k]) for k in classes])
        noise = torch.randn(B, D, generator=self.generator)
        batch = (self.embeddings[rows] + 0.1 * noise).requires_grad_()
        return batch, self.labels[rows], {"sample_ids": rows} if self.has_ids else {}

    def counted_step(self) -> tuple[int, int]:
        """Train for a step: the waits and operations beyond those of the wrapped loss."""
        batch, labels, ids = self.batch()
        with DeviceWork() as bare:
            self.wrapper.loss(batch, labels)
        with DeviceWork() as work:
            self.wrapper(batch, labels, **ids)
        return work.num_waits - bare.num_waits, work.num_operations - bare.num_operations

    def _some_of(self, rows: torch.Tensor) -> torch.Tensor:
        return rows[torch.randperm(len(rows), generator=self.generator)[:4]]


trained = functools.cache(Training)


@pytest.fixture(autouse=True)
def _blocks_of_a_gpu(monkeypatch):
    # a CPU takes centroids in smaller blocks, which fit into its cache
    monkeypatch.setattr(centroids, "_BLOCK", centroids._DEVICE_BLOCK)


@pytest.mark.parametrize(
    ("num_classes", "share_wrong", "has_ids", "loss", "most_operations"), CONFIGURATIONS
)
def test_a_step_asks_no_more_of_the_device_than_it_did(
    num_classes, share_wrong, has_ids, loss, most_operations
):
    training = trained(num_classes, share_wrong, has_ids)
    assert training.wrapper.noise_model.has_settled
    training.wrapper.loss = LOSSES[loss]()
    waits, operations = zip(*(training.counted_step() for _ in range(COUNTED)), strict=True)
    assert max(waits) <= MOST_WAITS[share_wrong]
    assert max(operations) <= most_operations
    # (it counts)
    assert min(waits) > 0
