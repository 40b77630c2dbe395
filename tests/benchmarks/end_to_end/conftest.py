"""Photos and a network that are small enough for a test."""

import pytest
import torch

from benchmarks.end_to_end.data import flip_and_crop
from benchmarks.end_to_end.network import FineTuned
from benchmarks.noise.data import Benchmark

WHO = "given:worst"


def small_network() -> FineTuned:
    """A body of one convolution with batch norm and dropout, which evaluation mode turns off."""
    body = torch.nn.Sequential(
        torch.nn.Conv2d(3, 8, 4, stride=4),
        torch.nn.BatchNorm2d(8),
        torch.nn.ReLU(),
        torch.nn.Dropout(0.5),
    )
    return FineTuned(body, 8, size=8).train()


@pytest.fixture
def small():
    """Images of four colours, a third of them with a wrong label."""
    generator = torch.Generator().manual_seed(0)
    truth = torch.arange(160) % 4
    colours = 255 * torch.rand(4, 3, generator=generator)
    images = colours[truth][:, :, None, None] + 40 * torch.randn(160, 3, 8, 8, generator=generator)
    wrong = torch.rand(160, generator=generator) < 1 / 3
    return Benchmark(
        (images, truth),
        (images[:40], truth[:40]),
        epochs=1,
        make_net=small_network,
        augment=flip_and_crop,
        given={"worst": (torch.where(wrong, (truth + 1) % 4, truth),)},
    )
