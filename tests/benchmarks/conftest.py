import pytest
import torch

from benchmarks.noise import protocol
from benchmarks.noise.data import Benchmark


@pytest.fixture
def small(monkeypatch):
    """Replace every data set by one that trains in no time."""
    generator = torch.Generator().manual_seed(0)
    y = torch.arange(32).repeat_interleave(16)
    x = torch.randn(32, 8, generator=generator)[y] + torch.randn(512, 8, generator=generator)
    data = Benchmark((x, y), (x, y), 7, lambda: torch.nn.Linear(8, 128), lambda batch: batch)
    monkeypatch.setattr(protocol, "load", lambda *_: data)
    return data
