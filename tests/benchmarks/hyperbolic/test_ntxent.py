import pytest
import torch
from pytorch_metric_learning.distances import CosineSimilarity
from pytorch_metric_learning.losses import NTXentLoss

from benchmarks.hyperbolic.ntxent import RowwiseNTXentLoss
from pml_ahsml import LorentzSimilarity, PoincareDistance


def loss_and_gradient(kind, distance, *arguments):
    rows = torch.randn(24, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    rows.requires_grad_()
    loss = kind(temperature=0.1, distance=distance)(rows, *arguments)
    loss.backward()
    return loss.detach(), rows.grad


@pytest.mark.parametrize("distance", [CosineSimilarity, LorentzSimilarity, PoincareDistance])
@pytest.mark.parametrize("pairs", [None, ([0, 0, 5], [4, 8, 9], [0, 0, 0, 5], [1, 2, 23, 6])])
def test_value_and_gradient_are_those_of_ntxentloss(distance, pairs):
    labels = torch.arange(24) % 4
    pairs = None if pairs is None else tuple(map(torch.tensor, pairs))
    theirs = loss_and_gradient(NTXentLoss, distance(), labels, pairs)
    ours = loss_and_gradient(RowwiseNTXentLoss, distance(), labels, pairs)
    torch.testing.assert_close(ours, theirs)


@pytest.mark.parametrize("labels", [torch.zeros(24), torch.arange(24)])
def test_a_batch_without_one_kind_of_pairs_has_no_loss(labels):
    loss, gradient = loss_and_gradient(RowwiseNTXentLoss, CosineSimilarity(), labels)
    assert loss == 0
    assert not gradient.any()
