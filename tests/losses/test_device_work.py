"""How much a training step asks of the device, beyond what the wrapped loss does."""

import pytest
import torch
from pytorch_metric_learning import losses

from pml_ahsml import AdaptiveNoiseAwareLoss
from tests.device_work import DeviceWork

K, D, S, B = 100, 32, 2000, 128
# enough for the noise rate to settle, and for a discriminant and counts to speak
STEPS = 130

# By the share of wrong labels and whether samples have ids: the largest numbers of a step. They may
# fall, and must not grow.
MOST_WAITS = {(0.0, False): 22, (0.0, True): 25, (0.5, False): 30, (0.5, True): 33}
MOST_OPERATIONS = {(0.0, False): 650, (0.0, True): 815, (0.5, False): 935, (0.5, True): 1095}


def training_set(share_wrong: float):
    generator = torch.Generator().manual_seed(0)
    truth = torch.arange(S) % K
    is_wrong = torch.rand(S, generator=generator) < share_wrong
    labels = torch.where(is_wrong, torch.randint(K, (S,), generator=generator), truth)
    centres = torch.randn(K, D, generator=generator)
    return centres[truth] + 0.3 * torch.randn(S, D, generator=generator), labels


@pytest.mark.parametrize(("share_wrong", "has_ids"), MOST_WAITS)
def test_a_step_waits_for_the_device_no_more_often_than_it_did(share_wrong, has_ids):
    embeddings, labels = training_set(share_wrong)
    plain = losses.MultiSimilarityLoss()
    wrapped = AdaptiveNoiseAwareLoss(plain, K, D, num_samples=S if has_ids else None)
    generator = torch.Generator().manual_seed(1)
    waits, operations = [], []
    for step in range(STEPS):
        classes = torch.randperm(K, generator=generator)[:32]
        scores = torch.rand(S, generator=generator)
        rows = torch.cat([((labels == k) * scores).topk(4).indices for k in classes])
        ids = {"sample_ids": rows} if has_ids else {}
        batch = embeddings[rows] + 0.1 * torch.randn(B, D, generator=generator)
        batch.requires_grad_()
        if step < STEPS - 10:
            wrapped(batch, labels[rows], **ids)
            continue
        with DeviceWork() as bare:
            plain(batch, labels[rows])
        with DeviceWork() as work:
            wrapped(batch, labels[rows], **ids)
        waits.append(work.num_waits - bare.num_waits)
        operations.append(work.num_operations - bare.num_operations)
    assert wrapped.noise_model.has_settled
    assert max(waits) <= MOST_WAITS[share_wrong, has_ids]
    assert max(operations) <= MOST_OPERATIONS[share_wrong, has_ids]
    # (it counts)
    assert min(waits) > 5
