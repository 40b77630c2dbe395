"""The two-line change that wraps a loss, for ContrastiveLoss and MultiSimilarityLoss.

Run: python examples/wrap_existing_losses.py
"""

import numpy as np
import torch
from pytorch_metric_learning.distances import CosineSimilarity
from pytorch_metric_learning.losses import ContrastiveLoss, MultiSimilarityLoss
from pytorch_metric_learning.samplers import MPerClassSampler
from pytorch_metric_learning.utils import common_functions as c_f
from pytorch_metric_learning.utils.accuracy_calculator import AccuracyCalculator
from pytorch_metric_learning.utils.inference import CustomKNN
from sklearn.datasets import load_digits

from pml_ahsml import AdaptiveNoiseAwareLoss, inject_label_noise  # the first line

digits = load_digits()
images = torch.tensor(digits.data / 16, dtype=torch.float32)
truth = torch.tensor(digits.target)
train, test = slice(0, 1200), slice(1200, None)
labels, is_noisy = inject_label_noise(truth[train], 0.4, generator=torch.Generator().manual_seed(0))
calculator = AccuracyCalculator(
    include=("mean_average_precision_at_r",), knn_func=CustomKNN(CosineSimilarity())
)


def train_and_test(loss):
    torch.manual_seed(0)
    c_f.NUMPY_RANDOM = np.random.default_rng(0)  # what MPerClassSampler draws from
    net = torch.nn.Sequential(torch.nn.Linear(64, 256), torch.nn.ReLU(), torch.nn.Linear(256, 64))
    optimizer = torch.optim.AdamW(net.parameters(), lr=1e-3)
    sampler = MPerClassSampler(labels, m=12, length_before_new_iter=24_000)
    for rows in torch.tensor(list(sampler)).split(120):
        optimizer.zero_grad()
        loss(net(images[train][rows]), labels[rows]).backward()
        optimizer.step()
    with torch.no_grad():
        accuracy = calculator.get_accuracy(net(images[test]), truth[test])
    return accuracy["mean_average_precision_at_r"]


for make_loss in (ContrastiveLoss, MultiSimilarityLoss):
    loss = make_loss()
    plain = train_and_test(loss)

    loss = make_loss()
    loss = AdaptiveNoiseAwareLoss(loss, num_classes=10, embedding_size=64)  # the second line
    wrapped = train_and_test(loss)

    print(
        f"{make_loss.__name__}: MAP@R {plain:.3f} plain, {wrapped:.3f} wrapped; "
        f"noise rate {loss.noise_rate:.2f} estimated, {is_noisy.float().mean():.2f} true"
    )
