"""The sections of the run, in their order."""

from collections.abc import Callable
from dataclasses import dataclass

import torch

from benchmarks.gpu import checks, kernel, searches, steps, waits
from benchmarks.gpu.cases import Case
from benchmarks.gpu.sizes import Sizes


@dataclass(frozen=True)
class Section:
    """A part of the run.

    Args:
        share: of the time; what a section leaves over goes to those after it.
        cases: makes what is measured.
    """

    share: float
    cases: Callable[[Sizes, torch.device], list[Case]]


# the figures of something wrong are worth nothing, so the tests come first
SECTIONS = {
    "checks": Section(0.15, checks.cases),
    "kernel": Section(0.1, kernel.cases),
    "steps": Section(0.4, steps.cases),
    "waits": Section(0.2, waits.cases),
    "searches": Section(0.15, searches.cases),
}
