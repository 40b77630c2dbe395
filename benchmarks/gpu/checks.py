"""Runs the tests that need a GPU, and says what came of them."""

import os
from functools import partial
from pathlib import Path

import pytest
import torch

from benchmarks.gpu.budget import Deadline
from benchmarks.gpu.cases import PROBLEM, Case, Row
from benchmarks.gpu.sizes import Sizes

ROOT = Path(__file__).parents[2]
TESTS = ROOT / "tests" / "test_cuda.py"
GROUPS = ("TestDistances", "TestWrapper", "TestNeighbours")
DEVICE = "PML_AHSML_DEVICE"  # the variable that tells the tests where to run


class Outcomes:
    """A plugin of pytest that keeps what came of each test.

    Attributes:
        counts: how many passed, failed and were skipped.
        reasons: of those that did not pass, a line each.
    """

    def __init__(self) -> None:
        self.counts = {"passed": 0, "failed": 0, "skipped": 0}
        self.reasons: list[str] = []

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Count a test by its call, or by what stopped it before or after."""
        if report.when != "call" and report.outcome == "passed":
            return
        self.counts[report.outcome] += 1
        if report.outcome != "passed":
            self.reasons.append(f"{report.nodeid.split('::')[-1]}: {_line_of(report)}")


def cases(sizes: Sizes, device: torch.device) -> list[Case]:
    """Make a case for each group of tests."""
    return [
        Case({"group": name, "device": device.type}, partial(run, TESTS, name, device))
        for name in GROUPS
    ]


def run(file: Path, group: str, device: torch.device, deadline: Deadline) -> list[Row]:
    """Run the tests of a class in a file on the device."""
    outcomes = Outcomes()
    before = os.environ.get(DEVICE)
    os.environ[DEVICE] = str(device)
    try:
        arguments = [f"{file}::{group}", "-q", f"--rootdir={ROOT}", f"-c{ROOT / 'pyproject.toml'}"]
        code = pytest.main([*arguments, "-p", "no:cacheprovider"], plugins=[outcomes])
    finally:
        if before is None:
            del os.environ[DEVICE]
        else:
            os.environ[DEVICE] = before
    row: Row = dict(outcomes.counts)
    if outcomes.reasons:
        row[PROBLEM] = outcomes.reasons[0]
    elif not outcomes.counts["passed"]:
        row[PROBLEM] = f"pytest ran no test and ended with {pytest.ExitCode(code).name}"
    return [row]


def _line_of(report: pytest.TestReport) -> str:
    """Return the first line of an error, or the reason of a skip."""
    if isinstance(report.longrepr, tuple):
        return report.longrepr[2]
    crash = getattr(report.longrepr, "reprcrash", None)
    text = crash.message if crash is not None else str(report.longrepr)
    return text.strip().splitlines()[0]
