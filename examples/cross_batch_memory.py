"""A memory of past batches that wrong labels do not get into.

Run: python examples/cross_batch_memory.py
"""

import numpy as np
import torch
from pytorch_metric_learning.distances import CosineSimilarity
from pytorch_metric_learning.losses import ContrastiveLoss, CrossBatchMemory
from pytorch_metric_learning.samplers import MPerClassSampler
from pytorch_metric_learning.utils import common_functions as c_f
from pytorch_metric_learning.utils.accuracy_calculator import AccuracyCalculator
from pytorch_metric_learning.utils.inference import CustomKNN
from sklearn.datasets import load_digits

from pml_ahsml import AdaptiveNoiseAwareLoss, inject_label_noise

STEPS, BATCH_SIZE, MEMORY_SIZE, EMBEDDING_SIZE = 200, 20, 400, 64
digits = load_digits()
images = torch.tensor(digits.data / 16, dtype=torch.float32)
truth = torch.tensor(digits.target)
train, test = slice(0, 1200), slice(1200, None)
labels, _ = inject_label_noise(truth[train], 0.4, generator=torch.Generator().manual_seed(0))
calculator = AccuracyCalculator(
    include=("mean_average_precision_at_r",), knn_func=CustomKNN(CosineSimilarity())
)


def remember(loss):
    return CrossBatchMemory(loss, EMBEDDING_SIZE, memory_size=MEMORY_SIZE)


def wrap(loss):
    return AdaptiveNoiseAwareLoss(loss, num_classes=10, embedding_size=EMBEDDING_SIZE)


def train_and_test(loss):
    torch.manual_seed(0)
    c_f.NUMPY_RANDOM = np.random.default_rng(0)  # what MPerClassSampler draws from
    net = torch.nn.Sequential(torch.nn.Linear(64, 256), torch.nn.ReLU(), torch.nn.Linear(256, 64))
    optimizer = torch.optim.AdamW(net.parameters(), lr=1e-3)
    # batches as small as a large network would leave room for: two samples of each class
    sampler = MPerClassSampler(labels, m=2, length_before_new_iter=STEPS * BATCH_SIZE)
    for rows in torch.tensor(list(sampler)).split(BATCH_SIZE):
        optimizer.zero_grad()
        loss(net(images[train][rows]), labels[rows]).backward()
        optimizer.step()
    with torch.no_grad():
        accuracy = calculator.get_accuracy(net(images[test]), truth[test])
    return accuracy["mean_average_precision_at_r"]


# The memory goes inside: the wrapper hands it the trusted samples of each batch. PML refuses the
# wrapper inside a memory, by its class name.
print(f"plain:                 MAP@R {train_and_test(ContrastiveLoss()):.3f}")
print(f"with a memory:         MAP@R {train_and_test(remember(ContrastiveLoss())):.3f}")
print(f"wrapped:               MAP@R {train_and_test(wrap(ContrastiveLoss())):.3f}")
print(f"wrapped with a memory: MAP@R {train_and_test(wrap(remember(ContrastiveLoss()))):.3f}")
