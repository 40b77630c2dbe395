"""The notebooks are those of their scripts, and their cells run."""

import json
import runpy

import matplotlib.pyplot as plt
import pytest
from pytorch_metric_learning.utils import common_functions as c_f

from tests.docs.pages import ROOT

TOOL = runpy.run_path(str(ROOT / "tools" / "notebooks.py"))
SCRIPTS = TOOL["scripts"]()


def run_cells(name: str, monkeypatch) -> dict:
    """Run a notebook cell by cell; the command that installs is left out, as all is installed."""
    monkeypatch.setattr(c_f, "NUMPY_RANDOM", None)
    monkeypatch.setattr(plt, "show", lambda: None)
    path = ROOT / "examples" / "notebooks" / f"{name}.ipynb"
    namespace: dict = {}
    for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]:
        source = "".join(cell["source"])
        if cell["cell_type"] == "code" and not source.startswith("%pip"):
            exec(compile(source, f"{name}:{cell['id']}", "exec"), namespace)
    plt.close("all")
    return namespace


def test_there_are_two():
    assert [path.stem for path in SCRIPTS] == ["audit_and_retrain", "wrap_a_loss"]


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.stem)
def test_the_file_is_what_the_script_makes(path):
    text = path.with_suffix(".ipynb").read_text(encoding="utf-8")
    assert text == TOOL["text_of"](path), "python tools/notebooks.py writes the notebooks anew"


def test_cells_are_text_and_code():
    made = TOOL["notebook"](
        "# %% [markdown]\n# # Head\n#\n# Text.\n\n# %%\n# %pip install a\n\n# %%\nb = 1\n"
    )
    assert [cell["cell_type"] for cell in made["cells"]] == ["markdown", "code", "code"]
    sources = ["".join(cell["source"]) for cell in made["cells"]]
    assert sources == ["# Head\n\nText.", "%pip install a", "b = 1"]


def test_wrapping_a_loss_helps(monkeypatch):
    found = run_cells("wrap_a_loss", monkeypatch)
    assert found["scores"]["wrapped"] > found["scores"]["plain"] + 0.2
    assert found["loss"].noise_rate == pytest.approx(0.4, abs=0.05)
    assert found["auroc"] > 0.97


def test_mended_labels_are_fewer_wrong_ones_and_train_better(monkeypatch):
    found = run_cells("audit_and_retrain", monkeypatch)
    wrong = (found["mended"] != found["truth"][found["train"]]).sum()
    assert wrong < 0.2 * found["is_noisy"].sum()
    assert found["scores"]["mended"] > found["scores"]["as they were"]
