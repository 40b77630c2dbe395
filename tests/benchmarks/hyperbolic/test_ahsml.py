import math
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from pytorch_metric_learning.losses import MultiSimilarityLoss

from benchmarks.hyperbolic import ahsml
from benchmarks.hyperbolic.ahsml_table import TITLES, ahsml_table
from benchmarks.noise import protocol
from benchmarks.noise.methods import Told
from benchmarks.noise.mined import Mined
from benchmarks.noise.results import Job
from pml_ahsml import AdaptiveNoiseAwareLoss, LorentzSimilarity
from tests.benchmarks.noise.made_results import result

TOLD = Told(torch.full((4,), 10), 0.2, torch.arange(2))


def loss_of(way):
    return ahsml.WAYS[way].loss(ahsml.LOSS, TOLD)


def test_every_part_but_the_first_is_hyperbolic():
    for way in ahsml.WAYS:
        loss = loss_of(way)
        inner = loss.loss if isinstance(loss, Mined) else loss
        assert isinstance(inner.distance, LorentzSimilarity) == (way != "euclidean")


def test_each_part_is_added_to_the_part_before():
    margins, views, unified, miner = map(loss_of, ("margins", "views", "view_margin", "miner"))
    assert margins.margins == views.margins
    assert (margins.num_views, views.num_views) == (1, 2)
    assert unified.margins == replace(views.margins, view_margin=True)
    assert miner.loss.margins == unified.margins
    assert miner.miner.distance is miner.loss.distance
    assert loss_of("label_model").margins == unified.margins


def test_only_the_last_part_doubts_labels():
    wrapped = {way: loss_of(way) for way in ("margins", "views", "view_margin", "label_model")}
    assert all(isinstance(loss, AdaptiveNoiseAwareLoss) for loss in wrapped.values())
    default = AdaptiveNoiseAwareLoss(MultiSimilarityLoss(), 4, 128)
    warmups = {way: loss.noise_model.warmup for way, loss in wrapped.items()}
    assert warmups.pop("label_model") == default.noise_model.warmup
    assert set(warmups.values()) == {None}


@pytest.mark.parametrize("way", ["euclidean", "miner", "label_model"])
def test_a_part_trains(way, monkeypatch):
    monkeypatch.setattr(protocol, "num_steps", lambda *_: 3)
    job = Job("synthetic", ahsml.LOSS, "symmetric:0.5", 0, way)
    made = ahsml.train(job, Path("nowhere"))  # synthetic data are made
    assert made.job == job
    assert 0 < made.map_at_r < made.precision_at_1 <= 1
    assert 0.3 < made.noise_rate_seen < 0.7
    assert math.isnan(made.trust_auroc) == (way != "label_model")


def test_jobs_have_all_parts_of_a_seed_before_the_next():
    jobs = ahsml.jobs(("hwu",), ahsml.NOISES, (0, 1))
    assert len(set(jobs)) == len(jobs) == 2 * len(ahsml.NOISES) * len(ahsml.WAYS)
    assert [job.seed for job in jobs] == sorted(job.seed for job in jobs)


def test_a_cell_is_the_mean_over_the_seeds_that_all_parts_have():
    assert list(TITLES) == list(ahsml.WAYS)
    made = [result(way, 0.5, seed, "symmetric:0.5") for way in ahsml.WAYS for seed in (0, 1)]
    made[0] = replace(made[0], map_at_r=0.6, precision_at_1=0.8)
    made.append(replace(made[0], seed=2))
    made.append(replace(made[0], noise="none:0"))
    lines = ahsml_table(made).splitlines()
    assert lines[2] == "| clinc | Euclidean: the cosine |  |  | 0.550 (0.850) |  |"
    assert lines[-1] == "| clinc | seeds | 0 | 0 | 2 | 0 |"
    assert len(lines) == 2 + len(ahsml.WAYS) + 1
