"""Shared by the examples: scikit-learn's digits, a small network, training and testing.

``images`` is (1797, 64) with values in [0, 1]; ``truth`` holds the right labels, (1797,).
"""

from argparse import ArgumentParser
from pathlib import Path

import numpy as np
import torch
from pytorch_metric_learning.distances import CosineSimilarity
from pytorch_metric_learning.samplers import MPerClassSampler
from pytorch_metric_learning.utils import common_functions as c_f
from pytorch_metric_learning.utils.accuracy_calculator import AccuracyCalculator
from pytorch_metric_learning.utils.inference import CustomKNN
from sklearn.datasets import load_digits

from pml_ahsml import PoincareDistance, PoincareKNN, inject_label_noise

digits = load_digits()
images = torch.tensor(digits.data / 16, dtype=torch.float32)
truth = torch.tensor(digits.target)
train, test = slice(0, 1200), slice(1200, None)


def wrong_labels(labels, rate):
    """Make a share of the labels wrong; return the noisy labels and which are wrong."""
    return inject_label_noise(labels, rate, generator=torch.Generator().manual_seed(0))


def make_network(embedding_size=64):
    """Make a network of two layers, which starts from the same weights each time."""
    torch.manual_seed(0)
    return torch.nn.Sequential(
        torch.nn.Linear(64, 256), torch.nn.ReLU(), torch.nn.Linear(256, embedding_size)
    )


def make_sampler(labels, per_class, batch_size, steps, seed=0):
    """Make a sampler of batches with ``per_class`` samples of each class, the same each time."""
    c_f.NUMPY_RANDOM = np.random.default_rng(seed)  # what MPerClassSampler draws from
    return MPerClassSampler(labels, per_class, length_before_new_iter=steps * batch_size)


def fit(net, loss, images, labels, *, per_class=12, batch_size=120, steps=200, seed=0):
    """Train the network; ``loss`` takes embeddings and labels."""
    optimizer = torch.optim.AdamW(net.parameters(), lr=1e-3)
    sampler = make_sampler(labels, per_class, batch_size, steps, seed)
    for rows in torch.tensor(list(sampler)).split(batch_size):
        optimizer.zero_grad()
        loss(net(images[rows]), labels[rows]).backward()
        optimizer.step()


@torch.no_grad()
def embed(net, images):
    """Compute embeddings without a gradient."""
    return net(images)


def evaluate(query, labels, reference=None, distance=None):
    """Return precision@1 and MAP@R among ``reference``, of the same labels, or within the query."""
    hyperbolic = isinstance(distance, PoincareDistance)
    knn_func = PoincareKNN(distance) if hyperbolic else CustomKNN(distance or CosineSimilarity())
    metrics = ("precision_at_1", "mean_average_precision_at_r")
    calculator = AccuracyCalculator(include=metrics, k="max_bin_count", knn_func=knn_func)
    options = {} if reference is None else {"reference": reference, "reference_labels": labels}
    accuracy = calculator.get_accuracy(query, labels, **options)
    return accuracy["precision_at_1"], accuracy["mean_average_precision_at_r"]


def output_folder(description):
    """Return the folder that ``--output`` names; create it if necessary."""
    parser = ArgumentParser(description=description)
    parser.add_argument(
        "--output", type=Path, default=Path("."), help="folder for the files it writes"
    )
    output = parser.parse_args().output
    output.mkdir(parents=True, exist_ok=True)
    return output
