"""The two-line change that wraps a loss, for ContrastiveLoss and MultiSimilarityLoss.

Run: python examples/wrap_existing_losses.py
"""

from digits import embed, evaluate, fit, images, make_network, test, train, truth, wrong_labels
from pytorch_metric_learning.losses import ContrastiveLoss, MultiSimilarityLoss

from pml_ahsml import AdaptiveNoiseAwareLoss  # the first line

labels, is_noisy = wrong_labels(truth[train], 0.4)


def map_at_r(loss):
    net = make_network()
    fit(net, loss, images[train], labels)
    return evaluate(embed(net, images[test]), truth[test])[1]


for make_loss in (ContrastiveLoss, MultiSimilarityLoss):
    loss = make_loss()
    plain = map_at_r(loss)

    loss = make_loss()
    loss = AdaptiveNoiseAwareLoss(loss, num_classes=10, embedding_size=64)  # the second line
    wrapped = map_at_r(loss)

    print(
        f"{make_loss.__name__}: MAP@R {plain:.3f} plain, {wrapped:.3f} wrapped; "
        f"noise rate {loss.noise_rate:.2f} estimated, {is_noisy.float().mean():.2f} true"
    )
