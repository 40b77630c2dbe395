import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from pytorch_metric_learning.distances import CosineSimilarity
from pytorch_metric_learning.losses import MultiSimilarityLoss

from benchmarks.csv_rows import read_rows, write_rows
from benchmarks.hyperbolic import radius, radius_ways
from benchmarks.hyperbolic.radius_figures import figures
from benchmarks.hyperbolic.radius_table import TITLES, radius_tables
from benchmarks.hyperbolic.radius_ways import WAYS, OwnRadius, SoftClip, StraightThrough

NOWHERE = Path("nowhere")  # synthetic data are made


@pytest.mark.parametrize("way", WAYS)
def test_a_way_trains(way, monkeypatch):
    monkeypatch.setattr(radius, "num_steps", lambda _: 3)
    job = radius.Job("synthetic", "MultiSimilarity", "symmetric:0.5", 8, way, 0)
    made = radius.train(job, NOWHERE)
    assert made.job == job
    assert 0 < made.map_at_r < made.precision_at_1 <= 1
    assert 0 < made.radius <= 1.000001
    assert 0 < made.wrong_labels_by_norm < 1
    assert math.isnan(made.purity)


def radial_gradient(distance, norm):
    rows = (norm * torch.eye(2)).requires_grad_()
    distance.to_tangent(rows).norm(dim=1).sum().backward()
    return float(rows.grad.diagonal().mean())


def at_scale_one(kind):
    distance = kind(2)
    distance.learnt_scale = None
    return distance


def test_soft_clip_and_straight_through_keep_a_radial_gradient():
    soft, through = at_scale_one(SoftClip), at_scale_one(StraightThrough)
    for norm in (0.1, 2.3, 4.6):
        assert radial_gradient(soft, norm) == pytest.approx(1 / math.cosh(norm / 2.3) ** 2)
        assert radial_gradient(through, norm) == pytest.approx(1)
    rows = torch.tensor([[9.0, 0.0]])
    torch.testing.assert_close(through.to_tangent(rows), torch.tensor([[2.3, 0.0]]))
    assert radial_gradient(at_scale_one(radius_ways.HalfwayIn), 4.6) == pytest.approx(0, abs=1e-6)


def test_the_median_row_starts_at_half_the_clip_radius_in_any_dimension():
    for size in (2, 64):
        distance = radius_ways.HalfwayIn(size)
        rows = torch.randn(9, size, generator=torch.Generator().manual_seed(0))
        distance(rows.requires_grad_())
        norms = distance.to_tangent(rows.detach()).norm(dim=1)
        assert float(norms.median()) == pytest.approx(1.15)


def test_prototypes_at_infinity_are_the_limit_of_distances():
    distance = SoftClip(2)
    angle, radii = 0.7, torch.tensor([[0.4]])
    far = 40.0  # in units of 1/√c, as A
    a = 2 * math.sqrt(0.1) * 2.3 * 0.4
    product = math.cosh(a) * math.cosh(far) - math.sinh(a) * math.sinh(far) * math.cos(angle)
    found = radius_ways.busemann(distance, radii, torch.tensor([[math.cos(angle)]]))
    assert float(found) == pytest.approx(far - math.acosh(product), abs=1e-5)


def test_the_softmax_of_the_norm_has_no_gradient_by_directions():
    labels = torch.arange(12) % 3
    rows = torch.randn(12, 4, generator=torch.Generator().manual_seed(0)).requires_grad_()
    own = OwnRadius(MultiSimilarityLoss(), 4)
    (with_norm,) = torch.autograd.grad(own(rows, labels), rows)
    (alone,) = torch.autograd.grad(MultiSimilarityLoss()(rows, labels), rows)
    radial = torch.nn.functional.normalize(rows.detach())
    rest = with_norm - alone
    along = (rest * radial).sum(1, keepdim=True)
    torch.testing.assert_close(rest, along * radial, atol=1e-6, rtol=0)
    assert (along.abs() > 1e-4).all()


def test_a_row_is_left_out_of_the_mean_of_its_class():
    directions = torch.tensor([[1.0, 0.0], [0.0, 1.0], [-1.0, 0.0]])
    cosines, targets = radius_ways.cosines_to_classes(directions, torch.tensor([5, 5, 9]))
    assert targets.tolist() == [0, 0, 1]
    half = math.sqrt(0.5)
    expected = torch.tensor([[0.0, -1.0], [0.0, 0.0], [-half, 0.0]])
    torch.testing.assert_close(cosines, expected)


def test_figures_of_rows_that_are_known():
    # pairs of classes 0 and 1 in one group, 2 and 3 in another; the last row is lost among class 0
    angles = torch.tensor([0.0, 0.02, 0.3, 0.32, 3.0, 3.02, 3.3, 3.32, 0.01])
    norms = torch.tensor([2.05, 2.15, 2.2, 2.0, 2.1, 2.25, 2.01, 2.11, 1.0])
    rows = norms[:, None] * torch.stack([angles.cos(), angles.sin()], 1)
    labels = torch.tensor([0, 0, 1, 1, 2, 2, 3, 3, 3])
    found = figures(rows, labels, CosineSimilarity(), np.array([0, 0, 1, 1]))
    assert found.precision_at_1 == pytest.approx(6 / 9)  # its neighbours are lost with it
    assert found.at_rim == found.radius == 1
    assert found.wrong_by_norm == pytest.approx(12 / 18)
    assert found.purity == 1
    assert figures(rows, labels, CosineSimilarity(), np.array([0, 1, 0, 1])).purity < 1
    assert math.isnan(figures(rows, labels, CosineSimilarity(), None).purity)


def made(way="cosine", seed=0, **options):
    numbers = dict.fromkeys(radius.Figures.__dataclass_fields__, 0.5)
    job = {"data": "hwu", "loss": "MultiSimilarity", "noise": "none:0", "size": 128}
    more = {"wrong_labels_by_norm": float("nan"), "seconds": 1.0}
    return radius.Result(**{**job, **numbers, **more, "way": way, "seed": seed, **options})


def test_results_come_back_from_the_file(tmp_path):
    path = tmp_path / "results.csv"
    write_rows(path, [made(wrong_labels_by_norm=0.5), made("soft")])
    assert read_rows(path, radius.Result)[0] == made(wrong_labels_by_norm=0.5)
    assert read_rows(path, radius.Result)[1].job == made("soft").job


def test_tables_have_means_over_seeds_and_a_line_for_each_way():
    assert list(TITLES) == list(WAYS)
    right = [made(seed=0, purity=0.4), made(seed=1, purity=0.6), made("soft", radius=0.7)]
    wrong = [made(noise="given:annotator", wrong_labels_by_norm=0.8)]
    few = [replace(right[0], size=size, precision_at_1=size / 10) for size in (4, 2)]
    lines = radius_tables([*right, *wrong, *few]).splitlines()
    half = " | ".join(["0.500"] * 7)
    assert lines[2] == f"| hwu | a cosine | 2 | {half} | 0.500 |  | 0.800 |"
    assert lines[3].startswith(f"| hwu | {TITLES['soft']} | 1 |")
    assert lines[-1] == "| hwu | a cosine | 1/1 | 0.200 | 0.400 | 0.500 | 0.500 |"
