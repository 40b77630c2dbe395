"""Batches with wrong labels, and wrappers that have learnt from them."""

import functools
import io

import torch
from pytorch_metric_learning import losses

from pml_ahsml import AdaptiveNoiseAwareLoss, PoincareDistance, inject_label_noise
from tests.states import with_state

K, D, B = 8, 16, 64
CENTRES = 2 * torch.randn(K, D, generator=torch.Generator().manual_seed(7))


def batch(seed: int, rate: float = 0.25):
    """Clustered embeddings and labels, a share of them wrong: (embeddings, labels, is_noisy)."""
    generator = torch.Generator().manual_seed(seed)
    truth = torch.arange(K).repeat_interleave(B // K)
    embeddings = CENTRES[truth] + 0.3 * torch.randn(B, D, generator=generator)
    labels, is_noisy = inject_label_noise(truth, rate, num_classes=K, generator=generator)
    return embeddings, labels, is_noisy


@functools.cache
def warm_state(hyperbolic: bool) -> tuple[dict, dict]:
    """Statistics and label model after 60 batches with 25 % wrong labels."""
    loss = losses.ContrastiveLoss(distance=PoincareDistance() if hyperbolic else None)
    wrapper = AdaptiveNoiseAwareLoss(loss, K, D)
    for seed in range(60):
        embeddings, labels, _ = batch(seed)
        wrapper(embeddings, labels)
    return wrapper.class_statistics.state_dict(), wrapper.noise_model.state_dict()


def warmed(loss, **options) -> AdaptiveNoiseAwareLoss:
    """A wrapper that has been through 60 batches with wrong labels, around an untouched loss.

    Unless they are given without margins and relabelling: what it returns is then what the loss
    itself returns for the trusted rows.
    """
    wrapper = AdaptiveNoiseAwareLoss(loss, K, D, **{"margins": None, "relabel": None, **options})
    statistics, noise_model = warm_state(wrapper.class_statistics.keeps_norm)
    with_state(wrapper.class_statistics, statistics)  # a curvature stays as it is
    wrapper.noise_model.load_state_dict(noise_model)
    return wrapper


def value_and_gradient(loss, embeddings, *args, **kwargs):
    embeddings = embeddings.clone().requires_grad_()
    value = loss(embeddings, *args, **kwargs)
    (gradient,) = torch.autograd.grad(value, embeddings)
    return value.detach(), gradient


def state_of(module: torch.nn.Module) -> bytes:
    buffer = io.BytesIO()
    torch.save(module.state_dict(), buffer)
    return buffer.getvalue()
