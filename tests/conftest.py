"""Fixtures shared by all tests."""

import os
from pathlib import Path

import pytest
import torch


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)


@pytest.fixture
def generator() -> torch.Generator:
    return torch.Generator().manual_seed(0)


@pytest.fixture(scope="session")
def data_dir() -> Path:
    path = Path(os.environ.get("PML_AHSML_DATA", "../shared/data"))
    if not path.is_dir():
        pytest.skip(f"no development data at {path}; set PML_AHSML_DATA")
    return path
