import torch
from pytorch_metric_learning import losses, miners

from benchmarks.noise.mined import Mined


def test_the_loss_sees_the_mined_pairs_and_they_are_counted():
    e, labels = torch.randn(12, 4), torch.arange(4).repeat(3)
    loss, miner = losses.ContrastiveLoss(), miners.BatchEasyHardMiner(neg_strategy="hard")
    mined = Mined(loss, miner)
    assert mined(e, labels) == loss(e, labels, miner(e, labels))
    assert mined(e, labels) != loss(e, labels)
    assert mined.mined == [(1.0, 1.0)] * 2
