"""Digits with 40 % wrong labels: a plain loss, the same loss wrapped, and what it found out.

Run: python examples/quickstart.py [--output DIR]    (writes quickstart.json and quickstart.png)
"""

import argparse
import json
from pathlib import Path

import matplotlib
import numpy as np
import torch
from pytorch_metric_learning.distances import CosineSimilarity
from pytorch_metric_learning.losses import MultiSimilarityLoss
from pytorch_metric_learning.samplers import MPerClassSampler
from pytorch_metric_learning.utils import common_functions as c_f
from pytorch_metric_learning.utils.accuracy_calculator import AccuracyCalculator
from pytorch_metric_learning.utils.inference import CustomKNN
from sklearn.datasets import load_digits
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import train_test_split

from pml_ahsml import AdaptiveNoiseAwareLoss, PoincareDistance, PoincareKNN, inject_label_noise

matplotlib.use("Agg")
from pml_ahsml.visualization import plot_trust_histogram

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--output", type=Path, default=Path("."), help="folder for the results")
output = parser.parse_args().output
METRICS = ("precision_at_1", "mean_average_precision_at_r")

digits = load_digits()
images = torch.tensor(digits.data / 16, dtype=torch.float32)
truth = torch.tensor(digits.target)
train, test = train_test_split(range(len(truth)), test_size=1 / 3, stratify=truth, random_state=0)
noisy, is_noisy = inject_label_noise(truth[train], 0.4, generator=torch.Generator().manual_seed(0))


def train_and_test(loss, images_train, labels, knn_func):
    torch.manual_seed(0)
    c_f.NUMPY_RANDOM = np.random.default_rng(0)  # what MPerClassSampler draws from
    net = torch.nn.Sequential(torch.nn.Linear(64, 256), torch.nn.ReLU(), torch.nn.Linear(256, 64))
    optimizer = torch.optim.AdamW(net.parameters(), lr=1e-3)
    sampler = MPerClassSampler(labels, m=12, length_before_new_iter=270 * 120)
    for rows in torch.tensor(list(sampler)).split(120):
        optimizer.zero_grad()
        loss(net(images_train[rows]), labels[rows]).backward()
        optimizer.step()
    calculator = AccuracyCalculator(include=METRICS, k="max_bin_count", knn_func=knn_func)
    with torch.no_grad():
        return net, calculator.get_accuracy(net(images[test]), truth[test])


right, cosine = ~is_noisy, CustomKNN(CosineSimilarity())
wrapped = AdaptiveNoiseAwareLoss(MultiSimilarityLoss(), num_classes=10, embedding_size=64)
# Distances reach 9.2 where cosine similarities span 2: base and exponents by that factor.
hyperbolic = MultiSimilarityLoss(alpha=0.43, beta=11, base=2.3, distance=PoincareDistance())
hyperbolic = AdaptiveNoiseAwareLoss(hyperbolic, num_classes=10, embedding_size=64)
nets, results = {}, {}
print(f"{'':12}precision@1   MAP@R")
for name, loss, x, y, knn_func in (
    ("plain", MultiSimilarityLoss(), images[train], noisy, cosine),
    ("wrapped", wrapped, images[train], noisy, cosine),
    ("hyperbolic", hyperbolic, images[train], noisy, PoincareKNN(hyperbolic.distance)),
    ("clean_only", MultiSimilarityLoss(), images[train][right], noisy[right], cosine),
):
    nets[name], results[name] = train_and_test(loss, x, y, knn_func)
    print(f"{name:12}{results[name][METRICS[0]]:11.3f}{results[name][METRICS[1]]:8.3f}", flush=True)

with torch.no_grad():
    trust = wrapped.trust(nets["wrapped"](images[train]), noisy)
auroc, true_rate = roc_auc_score(right, trust), float(is_noisy.float().mean())
results["wrapped"] |= {"noise_rate": wrapped.noise_rate, "trust_auroc": auroc}
results["true_noise_rate"] = true_rate
print(f"noise rate {wrapped.noise_rate:.3f} (true: {true_rate:.3f}), AUROC of trust {auroc:.3f}")
output.mkdir(parents=True, exist_ok=True)
(output / "quickstart.json").write_text(json.dumps(results, indent=2) + "\n")
plot_trust_histogram(trust, is_noisy).figure.savefig(output / "quickstart.png", dpi=120)
print(f"wrote {output / 'quickstart.json'} and {output / 'quickstart.png'}")
