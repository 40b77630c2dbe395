"""Samples whose labels are known to be right."""

import numpy as np
import pytest
import torch
from pytorch_metric_learning import losses

from pml_ahsml import AdaptiveNoiseAwareLoss
from pml_ahsml.labels.clean_samples import CleanSamples
from tests.losses.test_sample_identity import S, id_batch, trained, with_ids
from tests.noisy_batches import B, D, K, batch, state_of, value_and_gradient

# Of the four batches that come again and again, the labels of every third sample are known.
NOISY = torch.cat([batch(part)[2] for part in range(4)])
EVERY_THIRD = torch.arange(0, S, 3)


@pytest.mark.parametrize("given", [[3, 0, 3], torch.tensor([0, 3]), np.array([0, 3], np.int32)])
def test_ids_may_come_in_any_form_and_order(given):
    assert CleanSamples(5, given).is_clean.tolist() == [1, 0, 0, 1, 0]


def test_no_ids_are_ids():
    assert CleanSamples(2, []).is_clean.tolist() == [0, 0]


@pytest.mark.parametrize(
    ("given", "kind", "message"),
    [
        ([S], ValueError, rf"clean_ids must lie in \[0, {S}\), got values from {S} to {S}"),
        ([-1], ValueError, r"clean_ids must lie in .* got values from -1 to -1"),
        ([[1]], ValueError, r"clean_ids must be of shape \(M,\), got \(1, 1\)"),
        (5, ValueError, r"clean_ids must be of shape \(M,\), got \(\)"),
        ([0.5], TypeError, "clean_ids must be of an integer dtype, got torch.float32"),
        (torch.ones(S).bool(), TypeError, "clean_ids must be of an integer dtype, got torch.bool"),
        ("abc", TypeError, "clean_ids must be a tensor, or numbers to make one of, got str"),
    ],
)
def test_impossible_ids_are_refused(given, kind, message):
    with pytest.raises(kind, match=message):
        with_ids(clean_ids=given)


def test_ids_need_a_number_of_samples():
    with pytest.raises(ValueError, match="num_samples must be given where clean_ids are, got None"):
        with_ids(num_samples=None, clean_ids=[0])


@pytest.mark.parametrize("is_in_blocks", [False, True])
def test_their_labels_are_believed_whatever_they_look_like(is_in_blocks, monkeypatch):
    if is_in_blocks:
        monkeypatch.setattr("pml_ahsml.losses.label_reports._BLOCK", 5 * K)
    # wrong ones among them, so that the witnesses speak against
    wrapper = trained(60, clean_ids=EVERY_THIRD)
    embeddings, labels, ids = id_batch(0)
    clean, wrong = ids % 3 == 0, NOISY[ids]
    assert (clean & wrong).sum() >= 3
    trust = wrapper.trust(embeddings, labels, ids)
    assert (trust[clean] == 1).all()
    assert trust[wrong & ~clean].mean() < 0.1
    posterior = wrapper.posterior(embeddings, labels, ids)
    assert torch.equal(posterior[clean], torch.eye(K)[labels[clean]])
    torch.testing.assert_close(posterior.sum(1), torch.ones(B))
    audit = wrapper.audit(embeddings, labels, ids)
    assert (audit.trust[clean] == 1).all()
    # without ids they are samples like any other
    assert wrapper.trust(embeddings, labels)[clean & wrong].mean() < 0.1


def test_they_take_part_in_training_with_the_given_label():
    wrapper = trained(60, clean_ids=EVERY_THIRD)
    embeddings, labels, ids = id_batch(1)
    judge = wrapper._judge()
    judgement = judge.judge(judge.believe(embeddings, labels, {"sample_ids": ids}))
    clean = ids % 3 == 0
    assert (clean & NOISY[ids]).any()
    assert judgement.relabels
    assert judgement.as_given[clean].all()
    assert torch.equal(judgement.labels[clean], labels[clean])
    assert not judgement.as_given[NOISY[ids] & ~clean].any()


def test_what_is_known_is_learnt_from():
    """Told that all labels are right, those that look wrong included."""
    told, untold = trained(60, clean_ids=torch.arange(S)), trained(60)
    assert told.noise_rate < untold.noise_rate / 2
    doubts = [one.noise_model.second_opinion.doubts[0] for one in (told, untold)]
    assert doubts[0] == 0 < 0.1 < doubts[1]


def test_without_clean_samples_nothing_changes():
    plain, told = trained(40), trained(40, clean_ids=[])
    embeddings, labels, ids = id_batch(40)
    values = [value_and_gradient(one, embeddings, labels, sample_ids=ids) for one in (plain, told)]
    assert torch.equal(values[0][0], values[1][0])
    assert torch.equal(values[0][1], values[1][1])
    assert not [key for key in plain.state_dict() if "clean" in key]


def test_they_are_a_part_of_the_state():
    wrapper = trained(30, clean_ids=EVERY_THIRD)
    resumed = with_ids(clean_ids=[])
    resumed.load_state_dict(wrapper.state_dict())
    for seed in range(30, 35):
        embeddings, labels, ids = id_batch(seed)
        for one in (wrapper, resumed):
            one(embeddings, labels, sample_ids=ids)
    assert state_of(resumed) == state_of(wrapper)
    with pytest.raises(ValueError, match="clean_samples.* must not be in a state"):
        with_ids().load_state_dict(wrapper.state_dict())
    broken = wrapper.state_dict()
    broken["noise_model.clean_samples.is_clean"] = torch.full((S,), 2, dtype=torch.uint8)
    with pytest.raises(ValueError, match=r"is_clean must lie in \[0, 1\]"):
        resumed.load_state_dict(broken)


def test_candidate_classes_work_too():
    """With thousands of classes each sample is compared with the nearest ones only."""
    num_classes = 12_000
    wrapper = AdaptiveNoiseAwareLoss(
        losses.ContrastiveLoss(), num_classes, D, num_samples=B, warmup=2, clean_ids=range(0, B, 2)
    )
    embeddings, labels, _ = batch(0, rate=0.0)
    labels = labels * 1000 + torch.arange(B) % 4
    ids = torch.arange(B)
    for _ in range(6):
        wrapper(embeddings, labels, sample_ids=ids)
    wrong = labels.flip(0)
    assert (wrapper.trust(embeddings, wrong, ids)[::2] == 1).all()
    assert wrapper.trust(embeddings, wrong, ids)[1::2].max() < 0.5
