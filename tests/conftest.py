"""Fixtures shared by all tests."""

import os
from pathlib import Path

import pytest
import torch


@pytest.fixture(autouse=True)
def _repeatable() -> None:
    torch.manual_seed(0)
    # a matrix product may be split over threads differently from one call to the next, and
    # several tests compare to the last bit
    torch.set_num_threads(1)


@pytest.fixture
def generator() -> torch.Generator:
    return torch.Generator().manual_seed(0)


@pytest.fixture(scope="session")
def data_dir() -> Path:
    path = Path(os.environ.get("PML_AHSML_DATA", "../shared/data"))
    if not path.is_dir():
        pytest.skip(f"no development data at {path}; set PML_AHSML_DATA")
    return path
