"""Five pictures of a training with wrong labels, and one from PML's tester.

Run: python examples/visualize_embeddings.py [--output DIR]    (needs pip install 'pml_ahsml[plot]')
"""

import argparse
from pathlib import Path

import matplotlib
import numpy as np
import torch
from pytorch_metric_learning.losses import MultiSimilarityLoss
from pytorch_metric_learning.samplers import MPerClassSampler
from pytorch_metric_learning.testers import GlobalEmbeddingSpaceTester
from pytorch_metric_learning.utils import common_functions as c_f
from sklearn.datasets import load_digits
from torch.utils.data import TensorDataset

from pml_ahsml import AdaptiveNoiseAwareLoss, PoincareDistance, inject_label_noise
from pml_ahsml import visualization as vis
from pml_ahsml.inference import accuracy_calculator

matplotlib.use("Agg")
import matplotlib.pyplot as plt

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--output", type=Path, default=Path("."), help="folder for the pictures")
output = parser.parse_args().output

digits = load_digits()
images = torch.tensor(digits.data / 16, dtype=torch.float32)
truth = torch.tensor(digits.target)
train, test = slice(0, 1200), slice(1200, None)
labels, is_noisy = inject_label_noise(truth[train], 0.3, generator=torch.Generator().manual_seed(0))

torch.manual_seed(0)
c_f.NUMPY_RANDOM = np.random.default_rng(0)  # what MPerClassSampler draws from
net = torch.nn.Sequential(torch.nn.Linear(64, 256), torch.nn.ReLU(), torch.nn.Linear(256, 32))
optimizer = torch.optim.AdamW(net.parameters(), lr=1e-3)
distance = PoincareDistance()
wrapped = MultiSimilarityLoss(alpha=0.43, beta=11, base=2.3, distance=distance)
loss = AdaptiveNoiseAwareLoss(wrapped, 10, 32, collect_stats=True)  # the stats for the history
history = {f"stat_{name}": [] for name in ("noise_rate", "share_trusted", "share_relabelled")}
sampler = MPerClassSampler(labels, m=8, length_before_new_iter=160 * 80)
for rows in torch.tensor(list(sampler)).split(80):
    optimizer.zero_grad()
    loss(net(images[train][rows]), labels[rows]).backward()
    optimizer.step()
    for name, values in history.items():
        values.append(getattr(loss, name))

with torch.no_grad():
    embeddings = net(images[train])
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
output.mkdir(parents=True, exist_ok=True)
figure.savefig(output / "visualize_embeddings.png", dpi=80)

# The disk of the test set, from a tester, at each epoch that it is called for.
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
