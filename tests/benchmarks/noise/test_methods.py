import pytest
import torch

from benchmarks.noise.losses import LOSSES, MAIN_LOSSES
from benchmarks.noise.methods import METHODS, MINERS, OURS, Told
from benchmarks.noise.prism import Prism
from pml_ahsml import AdaptiveNoiseAwareLoss, PoincareDistance

TOLD = Told(torch.arange(1, 11), noise_rate=0.2, clean_ids=torch.tensor([0, 7]))


@pytest.mark.parametrize("name", LOSSES)
def test_any_loss_can_be_measured(name):
    embeddings, labels = torch.randn(8, 128, requires_grad=True), torch.arange(4).repeat(2)
    for run in ("plain", "ours", "clean_only"):
        METHODS[run].loss(name, TOLD)(embeddings, labels).backward()
    assert embeddings.grad.isfinite().all()


@pytest.mark.parametrize("run", METHODS)
def test_every_method_has_a_loss(run):
    method = METHODS[run]
    for name in MAIN_LOSSES:
        if name == "Triplet" and method.needs_pairs:
            with pytest.raises(ValueError, match="view_margin"):
                method.loss(name, TOLD)
            continue
        loss = method.loss(name, TOLD)
        assert isinstance(loss, AdaptiveNoiseAwareLoss) == (run in OURS)
        plain = loss.loss if run in (*OURS, *MINERS, "prism") else loss
        assert isinstance(plain.distance, PoincareDistance) == method.is_hyperbolic
        if run in OURS:
            assert loss.num_views == method.num_views


def test_each_ablation_removes_one_part_only():
    losses = {run: METHODS[run].loss("MultiSimilarity", TOLD) for run in OURS}
    models = {run: loss.noise_model for run, loss in losses.items()}
    centred = {run: loss.class_statistics.centred for run, loss in losses.items()}
    assert [run for run in OURS if models[run].neighbours is None] == ["no_neighbours"]
    assert [run for run in OURS if models[run].confusion_counts is None] == ["no_counts"]
    assert [run for run in OURS if models[run].second_opinion is None] == []
    assert [run for run in OURS if not centred[run]] == ["no_centre", "hyperbolic"]
    assert [run for run in OURS if losses[run].replay_memory is None] == ["trust", "no_memory"]
    assert [run for run in OURS if models[run].label_counts.any()] == ["ours_class_counts"]


def test_methods_use_what_they_are_told():
    ours = METHODS["ours_class_counts"].loss("SupCon", TOLD)
    assert torch.equal(ours.noise_model.label_counts, TOLD.class_counts.float())
    prism = METHODS["prism"].loss("SupCon", TOLD)
    assert isinstance(prism, Prism)
    assert prism.noise_rate == 0.2
    clean = METHODS["ours_clean_ids"].loss("SupCon", TOLD).noise_model.clean_samples
    assert clean.is_clean.nonzero().squeeze(1).tolist() == [0, 7]


def test_only_two_methods_train_on_clean_labels_only():
    assert [run for run in METHODS if METHODS[run].clean_only] == [
        "clean_only_margins",
        "clean_only",
    ]
