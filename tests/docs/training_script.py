"""The parts of a training script that the blocks of README and the pages assume.

Its names are there when a block runs: 100 classes, a network in PML's two parts, a data set with
some wrong labels, and one batch of it.
"""

import torch
from pytorch_metric_learning.samplers import MPerClassSampler
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(0)
num_classes, embedding_size, batch_size = 100, 128, 64

truth = torch.arange(num_classes).repeat_interleave(6)
noisy_labels = torch.where(torch.arange(len(truth)) % 6 == 0, truth.roll(6), truth)
class_means = torch.randn(num_classes, 16)
dataset = TensorDataset(class_means[truth] + 0.5 * torch.randn(len(truth), 16), noisy_labels)
validation_set = TensorDataset(class_means[truth] + 0.5 * torch.randn(len(truth), 16), truth)
sampler = MPerClassSampler(noisy_labels, m=4, length_before_new_iter=4 * batch_size)
loader = DataLoader(dataset, batch_size, sampler=sampler)

trunk, embedder = torch.nn.Linear(16, 32), torch.nn.Linear(32, embedding_size)
model = torch.nn.Sequential(trunk, embedder)
optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)

images, labels = next(iter(loader))
embeddings = model(images)
