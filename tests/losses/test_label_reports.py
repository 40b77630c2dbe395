import pytest
import torch
from pytorch_metric_learning import losses

from pml_ahsml import AdaptiveNoiseAwareLoss
from pml_ahsml.losses import label_reports
from tests.largest_tensor import LargestTensor

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
