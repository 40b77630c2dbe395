"""The examples show what they promise."""

import json
import os
import re
import runpy
import subprocess
import sys
from pathlib import Path

import matplotlib.pyplot as plt
import pytest
from pytorch_metric_learning.utils import common_functions as c_f

from tests.docs.pages import ROOT

EXAMPLES = ROOT / "examples"


@pytest.fixture
def run(tmp_path, monkeypatch, capsys):
    """Runs an example as a command would, but in this process: importing torch takes seconds."""

    def run_example(name: str, *arguments: str) -> str:
        monkeypatch.chdir(tmp_path)
        monkeypatch.setattr(sys, "argv", [name, *arguments])
        monkeypatch.setattr(c_f, "NUMPY_RANDOM", None)  # each example seeds its own
        runpy.run_path(str(EXAMPLES / name), run_name="__main__")
        plt.close("all")
        return capsys.readouterr().out

    return run_example


SHARED = "digits.py"


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*.py")), ids=lambda path: path.name)
def test_each_is_short_and_has_its_line_on_the_page(path):
    assert len(path.read_text(encoding="utf-8").splitlines()) <= 80
    if path.name != SHARED:
        assert f"examples/{path.name}" in (ROOT / "docs/examples.md").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    "path",
    sorted(set(EXAMPLES.glob("*.py")) - {EXAMPLES / SHARED, EXAMPLES / "train_image_retrieval.py"}),
    ids=lambda path: path.name,
)
def test_each_takes_its_data_from_the_shared_module(path):
    text = path.read_text(encoding="utf-8")
    assert "from digits import" in text
    for shared in ("load_digits", "inject_label_noise", "MPerClassSampler", "NUMPY_RANDOM"):
        assert shared not in text


def test_quickstart(run, tmp_path):
    output = run("quickstart.py")
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


def test_wrap_existing_losses(run):
    output = run("wrap_existing_losses.py")
    rows = re.findall(r"(\w+Loss): MAP@R ([\d.]+) plain, ([\d.]+) wrapped", output)
    assert [name for name, _, _ in rows] == ["ContrastiveLoss", "MultiSimilarityLoss"]
    for _, plain, wrapped in rows:
        assert float(wrapped) > float(plain) + 0.05


def figures(pattern: str, output: str) -> list[list[float]]:
    return [[float(figure) for figure in found.groups()] for found in re.finditer(pattern, output)]


def is_picture(path: Path) -> bool:
    return path.read_bytes().startswith(b"\x89PNG") and path.stat().st_size > 10_000


def test_hyperbolic_retrieval(run):
    output = run("hyperbolic_retrieval.py")
    ((map_at_r,),) = figures(r"MAP@R ([\d.]+)", output)
    assert map_at_r > 0.8
    neighbours = re.findall(r"a (\d): \[(.*?)\] at \[(.*?)\]", output)
    assert len(neighbours) == 3
    for label, found, distances in neighbours:
        assert found.split(", ") == [label] * 5
        assert sorted(map(float, distances.split())) == [float(d) for d in distances.split()]
    ((precision, recall),) = figures(r"precision ([\d.]+), recall ([\d.]+)", output)
    assert precision > 0.9
    assert recall > 0.5


def test_hierarchical_mining(run):
    output = run("hierarchical_mining.py")
    rows = figures(r"MAP@R ([\d.]+), precision@1 ([\d.]+), ([\d.]+)% of the pairs", output)
    all_pairs, one_margin, class_wise = rows
    assert class_wise[0] > one_margin[0]
    assert class_wise[0] > all_pairs[0] - 0.03
    assert all_pairs[2] == 100
    assert class_wise[2] < 30


def test_two_view_consistency(run):
    output = run("two_view_consistency.py")
    one, as_samples, as_views = figures(r"MAP@R ([\d.]+), of moved images ([\d.]+)", output)
    assert as_views[1] > one[1] + 0.05
    assert as_views[1] > as_samples[1]
    assert as_views[0] > one[0] - 0.03


def test_cross_batch_memory(run):
    output = run("cross_batch_memory.py")
    plain, memory, wrapped, both = (row[0] for row in figures(r"MAP@R ([\d.]+)", output))
    assert wrapped > plain
    assert both > memory + 0.02


def test_audit_and_retrain(run, tmp_path):
    output = run("audit_and_retrain.py", "--output", "audits")
    ((estimated, true),) = figures(r"noise rate: ([\d.]+) estimated, ([\d.]+) true", output)
    assert estimated == pytest.approx(true, abs=0.05)
    ((doubted, found, wrong),) = figures(r"(\d+) labels doubted; (\d+) of (\d+) wrong", output)
    assert found > 0.9 * max(doubted, wrong)
    ((kept, of, still_wrong),) = figures(r"(\d+) of (\d+) samples are left; (\d+) of", output)
    assert kept > 0.9 * (of - wrong)
    assert still_wrong < 0.1 * wrong
    rows = re.findall(r"^(plain|cleaned|wrapped|right only) +[\d.]+ +([\d.]+)$", output, re.M)
    map_at_r = {name: float(value) for name, value in rows}
    assert len(map_at_r) == 4
    assert map_at_r["cleaned"] > map_at_r["plain"] + 0.2
    assert map_at_r["wrapped"] > map_at_r["plain"] + 0.2
    page = (tmp_path / "audits" / "audit.html").read_text(encoding="utf-8")
    assert page.count("data:image/png") > 300
    assert (tmp_path / "audits" / "verdicts.csv").read_text().count("\n") == 51


def test_train_ddp(tmp_path):
    # torchrun is this module
    torchrun = ("torch.distributed.run", "--standalone", "--nproc-per-node", "2")
    done = subprocess.run(
        [sys.executable, "-m", *torchrun, str(EXAMPLES / "train_ddp.py")],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    ((first, second, true),) = figures(
        r"2 ranks: \[([\d.]+), ([\d.]+)\], true: ([\d.]+)", done.stdout
    )
    assert first == pytest.approx(second, rel=1e-6)  # the ranks add up in different orders
    assert first == pytest.approx(true, abs=0.05)
    ((auroc,),) = figures(r"AUROC of trust: ([\d.]+)", done.stdout)
    assert auroc > 0.97


def test_visualize_embeddings(run, tmp_path):
    output = run("visualize_embeddings.py", "--output", "pictures")
    names = ["test_DiskProjection_level0_1.png", "visualize_embeddings.png"]
    assert sorted(path.name for path in (tmp_path / "pictures").iterdir()) == names
    for name in names:
        assert is_picture(tmp_path / "pictures" / name)
    assert "1,200 samples of 10 classes, 10 centroids" in output
    ((correlation,),) = figures(r"cophenetic correlation ([\d.]+)", output)
    assert 0.3 < correlation < 1
    ((auroc,),) = figures(r"AUROC ([\d.]+)", output)
    assert auroc > 0.97
    ((estimated, true),) = figures(r"noise rate ([\d.]+) after .*true: ([\d.]+)", output)
    assert estimated == pytest.approx(true, abs=0.05)
