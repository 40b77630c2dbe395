"""The examples run as a reader would run them, and show what they promise."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[2] / "examples"


def run(name: str, folder: Path, *arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, str(EXAMPLES / name), *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_quickstart(tmp_path):
    output = run("quickstart.py", tmp_path)
    results = json.loads((tmp_path / "quickstart.json").read_text())
    metric = "mean_average_precision_at_r"
    assert set(results) == {"plain", "wrapped", "hyperbolic", "clean_only", "true_noise_rate"}
    assert results["wrapped"][metric] >= results["plain"][metric] + 0.30
    assert results["hyperbolic"][metric] >= results["plain"][metric] + 0.30
    assert results["clean_only"]["precision_at_1"] > 0.9
    assert results["wrapped"]["noise_rate"] == pytest.approx(results["true_noise_rate"], abs=0.05)
    assert results["wrapped"]["trust_auroc"] >= 0.97
    assert f"{results['wrapped'][metric]:.3f}" in output
    assert (tmp_path / "quickstart.png").read_bytes().startswith(b"\x89PNG")


def test_wrap_existing_losses(tmp_path):
    output = run("wrap_existing_losses.py", tmp_path)
    rows = re.findall(r"(\w+Loss): MAP@R ([\d.]+) plain, ([\d.]+) wrapped", output)
    assert [name for name, _, _ in rows] == ["ContrastiveLoss", "MultiSimilarityLoss"]
    for _, plain, wrapped in rows:
        assert float(wrapped) > float(plain) + 0.05
