"""Audit a training set: which of its labels are wrong, and what should they be?

Run: python examples/find_wrong_labels.py [--output DIR]    (writes wrong_labels.png)
"""

import argparse
from pathlib import Path

import matplotlib
import numpy as np
import torch
from pytorch_metric_learning.losses import MultiSimilarityLoss
from pytorch_metric_learning.samplers import MPerClassSampler
from pytorch_metric_learning.utils import common_functions as c_f
from sklearn.datasets import load_digits
from sklearn.metrics import roc_auc_score

from pml_ahsml import AdaptiveNoiseAwareLoss, inject_label_noise

matplotlib.use("Agg")
import matplotlib.pyplot as plt

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--output", type=Path, default=Path("."), help="folder for the picture")
output = parser.parse_args().output

# A tenth of the labels becomes wrong. The truth is used to count, never to train.
digits = load_digits()
images = torch.tensor(digits.data / 16, dtype=torch.float32)
truth = torch.tensor(digits.target)
labels, is_noisy = inject_label_noise(truth, 0.1, generator=torch.Generator().manual_seed(0))

# Train as usual, with the loss wrapped.
torch.manual_seed(0)
c_f.NUMPY_RANDOM = np.random.default_rng(0)  # what MPerClassSampler draws from
net = torch.nn.Sequential(torch.nn.Linear(64, 256), torch.nn.ReLU(), torch.nn.Linear(256, 64))
optimizer = torch.optim.AdamW(net.parameters(), lr=1e-3)
loss = AdaptiveNoiseAwareLoss(MultiSimilarityLoss(), num_classes=10, embedding_size=64)
sampler = MPerClassSampler(labels, m=12, length_before_new_iter=150 * 120)
for rows in torch.tensor(list(sampler)).split(120):
    optimizer.zero_grad()
    loss(net(images[rows]), labels[rows]).backward()
    optimizer.step()

# Then ask about every sample of the training set. Neither call changes the loss.
net.eval()
with torch.no_grad():
    embeddings = net(images)
trust = loss.trust(embeddings, labels)  # probability that the label is right
certainty, guesses = loss.posterior(embeddings, labels).max(1)  # the class it is believed to be

doubtful = trust < 0.5
found = is_noisy[doubtful].sum()
repaired = (guesses[doubtful & is_noisy] == truth[doubtful & is_noisy]).sum()
print(f"noise rate: {loss.noise_rate:.3f} estimated, {is_noisy.float().mean():.3f} true")
print(f"AUROC of trust: {roc_auc_score(~is_noisy, trust):.3f}")
print(f"{doubtful.sum()} labels doubted; {found} of {is_noisy.sum()} wrong ones are among them")
print(f"the guess is right for {repaired} of these {found}")

figure, axes = plt.subplots(4, 5, figsize=(7, 6.5), layout="constrained")
figure.suptitle("The 20 labels trusted least (red: the label was right after all)")
for axis, i in zip(axes.flat, trust.argsort()[:20].tolist(), strict=True):
    axis.imshow(images[i].view(8, 8).numpy(), cmap="gray_r")
    colour = "black" if is_noisy[i] else "red"
    axis.set_title(f"no. {i}: {labels[i]}, rather {guesses[i]}", fontsize=8, color=colour)
    axis.axis("off")
output.mkdir(parents=True, exist_ok=True)
figure.savefig(output / "wrong_labels.png", dpi=120)
print(f"wrote {output / 'wrong_labels.png'}")
