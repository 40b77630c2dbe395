import math

import pytest
import torch

from benchmarks.end_to_end.curve import Point, plot_curve, point, read_curve, write_curve
from pml_ahsml import AdaptiveNoiseAwareLoss


def made(noise="given:worst", step=1, rate=0.4):
    return Point(noise, step, 0.5, rate, 0.9, 0.2)


def test_a_run_takes_the_place_of_the_last_one_with_its_labels(tmp_path):
    path = tmp_path / "curve.csv"
    assert read_curve(path) == []
    write_curve(path, [made(step=1), made(step=2)])
    write_curve(path, [made("given:random1")])
    write_curve(path, [made(rate=0.3)])
    assert read_curve(path) == [made("given:random1"), made(rate=0.3)]


def test_an_unknown_noise_rate_comes_back_from_the_file(tmp_path):
    write_curve(tmp_path / "curve.csv", [made(rate=float("nan"))])
    assert math.isnan(read_curve(tmp_path / "curve.csv")[0].noise_rate)


def test_trust_in_right_and_wrong_labels_is_told_apart(monkeypatch):
    from pytorch_metric_learning.losses import MultiSimilarityLoss

    loss = AdaptiveNoiseAwareLoss(MultiSimilarityLoss(), 2, 4, num_samples=9)
    trust = torch.tensor([0.9, 0.1, 0.8, 0.3])
    monkeypatch.setattr(loss, "trust", lambda *_, sample_ids: trust[sample_ids])
    ids, is_noisy = torch.tensor([0, 1, 2, 3]), torch.tensor([False, True, False, True])
    found = point(loss, torch.randn(4, 4), ids % 2, ids, is_noisy, ("given:worst", 7))
    assert (found.step, found.wrong) == (7, 0.5)
    assert found.right_trust == pytest.approx(0.85)
    assert found.wrong_trust == pytest.approx(0.2)


def test_the_picture_has_a_panel_for_each_kind_of_labels(tmp_path, monkeypatch):
    titles, drawn = [], []
    from matplotlib.axes import Axes

    monkeypatch.setattr(Axes, "set_title", lambda _, title: titles.append(title))
    monkeypatch.setattr(Axes, "plot", lambda _, x, y, *__, **___: drawn.append((x, y)) or [])
    points = [made(step=n, rate=math.nan if n < 5 else 0.4) for n in range(1, 21)]
    plot_curve([*points, made("given:random1")], tmp_path / "curve.png")
    assert titles == ["people, worst of three", "people, one of three"]
    steps, rates = drawn[0]
    assert steps.tolist() == [5.5, 15.5]
    assert rates.tolist() == pytest.approx([0.4, 0.4])  # warm-up steps do not count
    assert (tmp_path / "curve.png").stat().st_size > 1000
