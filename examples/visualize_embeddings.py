"""Five plots of a training with wrong labels, and one from PML's tester.

Run: python examples/visualize_embeddings.py [--output DIR]    (needs pip install 'pml_ahsml[plot]')
"""

import matplotlib
from digits import embed, fit, images, make_network, output_folder, test, train, truth, wrong_labels
from pytorch_metric_learning.losses import MultiSimilarityLoss
from pytorch_metric_learning.testers import GlobalEmbeddingSpaceTester
from torch.utils.data import TensorDataset

from pml_ahsml import AdaptiveNoiseAwareLoss, PoincareDistance
from pml_ahsml import visualization as vis
from pml_ahsml.inference import accuracy_calculator

matplotlib.use("Agg")
import matplotlib.pyplot as plt

output = output_folder(__doc__)
labels, is_noisy = wrong_labels(truth[train], 0.3)
net, distance = make_network(32), PoincareDistance()
wrapped = MultiSimilarityLoss(alpha=0.43, beta=11, base=2.3, distance=distance)
loss = AdaptiveNoiseAwareLoss(wrapped, 10, 32, collect_stats=True)  # the stats for the history
history = {f"stat_{name}": [] for name in ("noise_rate", "share_trusted", "share_relabelled")}


def recorded_loss(embeddings, labels):
    value = loss(embeddings, labels)
    for name, values in history.items():
        values.append(getattr(loss, name))
    return value


fit(net, recorded_loss, images[train], labels, per_class=8, batch_size=80, steps=160)
embeddings = embed(net, images[train])
trust = loss.trust(embeddings, labels)

names = [f"digit {digit}" for digit in range(10)]
figure = plt.figure(figsize=(17, 10), layout="constrained")
axes = figure.subplot_mosaic([["classes", "trust", "tree"], ["histogram", "history", "history"]])
statistics = loss.class_statistics
vis.plot_poincare_disk(
    embeddings, truth[train], names=names, class_statistics=statistics, ax=axes["classes"]
)
vis.plot_poincare_disk(embeddings, trust=trust, distance=distance, ax=axes["trust"])
vis.plot_class_tree(loss.class_divergence(), names=names, ax=axes["tree"])
vis.plot_trust_histogram(trust, is_noisy, ax=axes["histogram"])
vis.plot_noise_history(history, true_rate=float(is_noisy.float().mean()), ax=axes["history"])
figure.savefig(output / "visualize_embeddings.png", dpi=80)

# The tester plots the disk of the test set at each epoch in which it is called.
tester = GlobalEmbeddingSpaceTester(
    normalize_embeddings=False,
    dataloader_num_workers=0,
    accuracy_calculator=accuracy_calculator(distance, include=("precision_at_1",), k=1),
    visualizer=vis.DiskProjection(distance),
    visualizer_hook=vis.visualizer_hook(output, names=names),
)
tester.test({"test": TensorDataset(images[test], truth[test])}, 1, net)
for axis in axes.values():
    print(axis.get_title())
