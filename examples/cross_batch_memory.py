"""A cross-batch memory that stores trusted samples only.

Run: python examples/cross_batch_memory.py
"""

from digits import embed, evaluate, fit, images, make_network, test, train, truth, wrong_labels
from pytorch_metric_learning.losses import ContrastiveLoss, CrossBatchMemory

from pml_ahsml import AdaptiveNoiseAwareLoss

labels, _ = wrong_labels(truth[train], 0.4)


def remember(loss):
    return CrossBatchMemory(loss, embedding_size=64, memory_size=400)


def wrap(loss):
    return AdaptiveNoiseAwareLoss(loss, num_classes=10, embedding_size=64)


# The memory goes inside the wrapper, which passes it the trusted samples of each batch. PML does
# not accept the wrapper inside a memory.
for name, loss in (
    ("plain", ContrastiveLoss()),
    ("with a memory", remember(ContrastiveLoss())),
    ("wrapped", wrap(ContrastiveLoss())),
    ("wrapped with a memory", wrap(remember(ContrastiveLoss()))),
):
    net = make_network()
    # small batches, as a large network would need them: two samples of each class
    fit(net, loss, images[train], labels, per_class=2, batch_size=20)
    _, map_at_r = evaluate(embed(net, images[test]), truth[test])
    print(f"{name + ':':22} MAP@R {map_at_r:.3f}")
