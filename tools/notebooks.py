"""Write the notebooks of examples/notebooks from the scripts beside them.

A script holds cells: ``# %% [markdown]`` starts one of text, each line of which is a comment, and
``# %%`` one of code. A line ``# %pip …`` becomes the command for a notebook.

Run: python tools/notebooks.py
"""

import json
import re
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parents[1] / "examples" / "notebooks"
_CELL = re.compile(r"^# %%(?P<markdown> \[markdown\])?\n", re.MULTILINE)


def notebook(script: str) -> dict[str, Any]:
    """The notebook of a script, without outputs."""
    starts = list(_CELL.finditer(script))
    ends = [start.start() for start in starts[1:]] + [len(script)]
    cells = []
    for n, (start, end) in enumerate(zip(starts, ends, strict=True)):
        text = script[start.end() : end].strip("\n")
        if start["markdown"]:
            cell: dict[str, Any] = {"cell_type": "markdown", "metadata": {}}
            text = re.sub(r"^# ?", "", text, flags=re.MULTILINE)
        else:
            cell = {"cell_type": "code", "execution_count": None, "metadata": {}, "outputs": []}
            text = re.sub(r"^# (%pip .*)$", r"\1", text, flags=re.MULTILINE)
        cells.append({**cell, "id": f"cell-{n}", "source": text.splitlines(keepends=True)})
    return {
        "cells": cells,
        "metadata": {
            "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
            "language_info": {"name": "python"},
        },
        "nbformat": 4,
        "nbformat_minor": 5,
    }


def scripts() -> list[Path]:
    """Those that have a notebook."""
    return sorted(FOLDER.glob("*.py"))


def text_of(script: Path) -> str:
    """What stands in the file of its notebook."""
    return (
        json.dumps(notebook(script.read_text(encoding="utf-8")), indent=1, ensure_ascii=False)
        + "\n"
    )


if __name__ == "__main__":
    for path in scripts():
        path.with_suffix(".ipynb").write_text(text_of(path), encoding="utf-8")
        print(f"wrote {path.with_suffix('.ipynb')}")
