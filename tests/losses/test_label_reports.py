import copy

import pytest
import torch
from pytorch_metric_learning import losses

from pml_ahsml import AdaptiveNoiseAwareLoss
from pml_ahsml.audit.judging.judgement import noise_rate_bounds
from pml_ahsml.losses import label_reports
from tests.largest_tensor import LargestTensor
from tests.noisy_batches import D as NOISY_D
from tests.noisy_batches import K as NOISY_K
from tests.noisy_batches import batch, state_of, warmed
from tests.states import with_state

K, D, S = 40, 8, 400


@pytest.fixture(scope="module")
def trained():
    """A wrapper that has learnt, with its training set."""
    generator = torch.Generator().manual_seed(0)
    truth = torch.arange(S) % K
    is_wrong = torch.rand(S, generator=generator) < 0.2
    labels = torch.where(is_wrong, (truth + 1) % K, truth)
    embeddings = torch.randn(K, D, generator=generator)[truth]
    embeddings = embeddings + 0.3 * torch.randn(S, D, generator=generator)
    wrapper = AdaptiveNoiseAwareLoss(losses.ContrastiveLoss(), K, D, num_samples=S)
    for _ in range(8):
        for ids in torch.randperm(S, generator=generator).split(40):
            wrapper.update(embeddings[ids], labels[ids], ids)
    return wrapper, embeddings, labels


@pytest.mark.parametrize("has_ids", [False, True])
@pytest.mark.parametrize("report", ["trust", "posterior"])
def test_samples_are_judged_in_blocks_as_all_at_once(trained, monkeypatch, report, has_ids):
    wrapper, embeddings, labels = trained
    ids = torch.arange(S) if has_ids else None
    ask = getattr(wrapper, report)
    expected = ask(embeddings, labels, ids)
    assert 0.1 < (expected < 0.5).double().mean() < 1
    # 7 samples a block, and one in the last
    monkeypatch.setattr(label_reports, "_BLOCK", 7 * K + 1)
    torch.testing.assert_close(ask(embeddings, labels, ids), expected, rtol=1e-4, atol=1e-5)


def test_no_table_of_all_samples_and_classes_is_made(trained, monkeypatch):
    wrapper, embeddings, labels = trained
    monkeypatch.setattr(label_reports, "_BLOCK", 10 * K)
    with LargestTensor() as largest:
        wrapper.trust(embeddings, labels)
    assert largest.elements < S * K / 4


@pytest.mark.parametrize("report", ["trust", "posterior"])
def test_no_samples_are_no_error(trained, report):
    wrapper, embeddings, labels = trained
    found = getattr(wrapper, report)(embeddings[:0], labels[:0])
    assert found.shape == ((0,) if report == "trust" else (0, K))


def test_a_wrong_label_in_any_block_is_an_error(trained, monkeypatch):
    wrapper, embeddings, labels = trained
    monkeypatch.setattr(label_reports, "_BLOCK", K)
    wrong = labels.clone()
    wrong[-1] = K
    with pytest.raises(ValueError, match=r"labels must lie in \[0, 40\)"):
        wrapper.trust(embeddings, wrong)


# Audits of a wrapper that has learnt from batches with wrong labels.


@pytest.fixture(scope="module")
def judging():
    return warmed(losses.ContrastiveLoss())


def opinions_of(wrapper, embeddings, labels):
    """(N, K) posteriors of the label model and of its second opinion, in float64."""
    evidence = wrapper.class_statistics.evidence(embeddings, labels)
    belief = wrapper.noise_model.believe(evidence, labels)
    return belief.posterior.double(), belief.opinion.posterior.double()


@pytest.mark.parametrize("rate", [0.0, 0.25])
def test_an_audit_hears_the_second_opinion_as_much_as_the_model(judging, rate):
    embeddings, labels, is_noisy = batch(1000, rate)
    audit = judging.audit(embeddings, labels)
    model, opinion = opinions_of(judging, embeddings, labels)
    posterior = torch.zeros_like(model)
    for i, (of_model, of_opinion) in enumerate(zip(model, opinion, strict=True)):
        product = (of_model * of_opinion).sqrt()
        posterior[i] = product / product.sum()
    trust = posterior.gather(1, labels[:, None]).squeeze(1)
    torch.testing.assert_close(audit.trust, trust.float(), rtol=1e-4, atol=1e-6)
    torch.testing.assert_close(
        audit.confidence, posterior.max(1).values.float(), rtol=1e-4, atol=1e-6
    )
    assert torch.equal(audit.suggested, posterior.argmax(1))
    assert torch.equal(audit.labels, labels)
    assert audit.is_judged.all()
    assert torch.equal(audit.is_doubted, is_noisy)
    assert audit.noise_rate == pytest.approx(float((1 - audit.trust).double().mean()), abs=1e-6)
    low, high = audit.noise_rate_interval
    assert (low, high) == noise_rate_bounds(audit.trust, audit.trust, audit.noise_rate)
    assert low <= audit.noise_rate <= high
    # samples of a batch are its neighbours
    cosines = torch.nn.functional.normalize(embeddings, dim=1)
    cosines = (cosines @ cosines.T).fill_diagonal_(-2)
    assert torch.equal(audit.neighbours[:, 0], cosines.argmax(1))
    assert audit.neighbours.shape == (len(labels), 10)


def test_an_audit_of_samples_with_ids_counts_earlier_opinions(trained, monkeypatch):
    wrapper, embeddings, labels = copy.deepcopy(trained)
    ids = torch.arange(S)
    audit = wrapper.audit(embeddings, labels, ids)
    assert not torch.equal(audit.trust, wrapper.audit(embeddings, labels).trust)
    monkeypatch.setattr(label_reports, "_BLOCK", 7 * K + 1)
    in_blocks = wrapper.audit(embeddings, labels, ids)
    torch.testing.assert_close(in_blocks.trust, audit.trust, rtol=1e-4, atol=1e-5)
    assert torch.equal(in_blocks.is_doubted, audit.is_doubted)


def test_an_audit_does_not_hear_an_opinion_that_cannot_tell_classes_apart(judging):
    embeddings, labels, _ = batch(1000, 0.25)
    lost = copy.deepcopy(judging)
    # it doubts nearly all labels
    with_state(lost.noise_model.second_opinion, {"rate_sums": torch.tensor([1.0, 0.9, 0.9])})
    audit = lost.audit(embeddings, labels)
    assert torch.equal(audit.trust, lost.trust(embeddings, labels))
    assert torch.equal(audit.suggested, lost.posterior(embeddings, labels).argmax(1))


def test_the_noise_rate_lies_in_its_interval_even_if_no_label_is_in_much_doubt():
    assert label_reports.noise_rates(torch.full((4,), 0.95), torch.ones(4).bool()) == (
        pytest.approx(0.05, abs=1e-6),
        (0, pytest.approx(0.05, abs=1e-6)),
    )


def test_during_the_warm_up_nothing_is_judged():
    embeddings, labels, _ = batch(0)
    wrapper = AdaptiveNoiseAwareLoss(losses.ContrastiveLoss(), NOISY_K, NOISY_D)
    wrapper(embeddings, labels)
    audit = wrapper.audit(embeddings, labels)
    assert not audit.is_judged.any()
    assert not audit.is_doubted.any()
    assert (audit.trust == 1).all()
    assert torch.equal(audit.suggested, labels)
    assert audit.noise_rate == 0
    assert audit.noise_rate_interval == (0, 0)


def test_a_class_still_in_its_own_warm_up_is_not_judged():
    wrapper = warmed(losses.ContrastiveLoss())
    visits = wrapper.class_statistics.visits.clone()
    visits[2] = 0
    with_state(wrapper.class_statistics, visits=visits)
    embeddings, labels, _ = batch(1000)
    audit = wrapper.audit(embeddings, labels)
    assert torch.equal(audit.is_judged, labels != 2)
    assert (audit.trust[labels == 2] == 1).all()
    judged = audit.trust[audit.is_judged].double()
    assert audit.noise_rate == pytest.approx(float((1 - judged).mean()), abs=1e-6)


def test_an_audit_changes_no_state(trained):
    wrapper, embeddings, labels = trained
    before, random, mode = state_of(wrapper), torch.get_rng_state(), wrapper.training
    wrapper.audit(embeddings, labels)
    wrapper.audit(embeddings.clone().requires_grad_(), labels, torch.arange(S))
    assert state_of(wrapper) == before
    assert torch.equal(torch.get_rng_state(), random)
    assert wrapper.training is mode


def test_names_and_neighbours_of_an_audit(judging):
    embeddings, labels, _ = batch(1000)
    names = [f"class {k}" for k in range(NOISY_K)]
    samples = [f"{i}.png" for i in range(len(labels))]
    audit = judging.audit(embeddings, labels, class_names=names, sample_names=samples, k=3)
    assert audit.class_names == tuple(names)
    assert audit.sample_names == tuple(samples)
    assert audit.neighbours.shape == (len(labels), 3)
    assert audit.class_distances.shape == (NOISY_K, NOISY_K)
    assert judging.audit(embeddings, labels).class_names == tuple(map(str, range(NOISY_K)))


def test_an_audit_of_labels_of_one_class_is_no_error(judging):
    embeddings, labels, _ = batch(1000, rate=0.0)
    audit = judging.audit(embeddings[labels == 3], labels[labels == 3])
    assert not audit.is_doubted.any()


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"class_names": ["a"]}, ValueError, "class_names must hold 8 names, got 1"),
        ({"class_names": "12345678"}, TypeError, "class_names must be a sequence of names"),
        ({"sample_names": ["a"]}, ValueError, "sample_names must hold 64 names, got 1"),
        ({"k": 0}, ValueError, "k must be at least 1, got 0"),
        ({"sample_ids": torch.arange(64)}, ValueError, "num_samples must be given to"),
    ],
)
def test_options_of_an_audit_are_checked(judging, options, error, message):
    embeddings, labels, _ = batch(1000)
    with pytest.raises(error, match=message):
        judging.audit(embeddings, labels, **options)


def test_embeddings_and_labels_of_an_audit_are_checked(judging):
    embeddings, labels, _ = batch(1000)
    with pytest.raises(ValueError, match="embeddings must be of shape"):
        judging.audit(embeddings[:, :-1], labels)
    with pytest.raises(ValueError, match=r"labels must lie in \[0, 8\), got values from 1 to 8"):
        judging.audit(embeddings, labels.clamp(1, 7).index_fill(0, torch.tensor([3]), 8))
    with pytest.raises(ValueError, match=r"embeddings must be of shape \(N, D\), got \(0, 16\)"):
        judging.audit(embeddings[:0], labels[:0])
