"""Runs a section in a process of its own, which is stopped when its time is over.

After some errors of CUDA a process can use the GPU no more, and a call that hangs cannot be left.
So a section must not share its process with the next. Its rows are written one by one: what it had
measured when it was stopped is kept.
"""

import json
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

# A section begins nothing new after this part of its time.
_SOFT = 0.85


def run_section(command: Sequence[str], rows: Path, seconds: float, folder: Path) -> dict[str, Any]:
    """Run a command that appends rows to a file, for some seconds at most.

    Args:
        command: is given the time of its soft deadline as its last argument.
        rows: the file, one JSON object per line; removed first and afterwards.
        seconds: after which the command is killed.
        folder: where it runs.

    Returns:
        The rows, the seconds it took, and why it did not end well, or None.
    """
    rows.unlink(missing_ok=True)
    started = time.time()
    problem = None
    try:
        done = subprocess.run(
            [*command, str(started + _SOFT * seconds)], cwd=folder, timeout=seconds,
            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, errors="replace",
        )  # fmt: skip
        if done.returncode:
            lines = done.stderr.strip().splitlines()
            problem = f"ended with {done.returncode}: {lines[-1] if lines else 'no message'}"
    except subprocess.TimeoutExpired:
        problem = f"stopped after {seconds:.0f} s"
    result = {
        "rows": _complete_lines(rows),
        "seconds": round(time.time() - started, 1),
        "problem": problem,
    }
    rows.unlink(missing_ok=True)
    return result


def _complete_lines(path: Path) -> list[dict[str, Any]]:
    """Read the rows in a file; a last line may have been cut off."""
    lines = path.read_text().splitlines(keepends=True) if path.exists() else []
    return [json.loads(line) for line in lines if line.endswith("\n")]
