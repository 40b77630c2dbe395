"""One training run, by the protocol of the noise benchmark."""

import itertools
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from pytorch_metric_learning.distances import CosineSimilarity
from pytorch_metric_learning.utils import common_functions as c_f
from pytorch_metric_learning.utils.accuracy_calculator import AccuracyCalculator
from pytorch_metric_learning.utils.inference import CustomKNN
from sklearn.metrics import roc_auc_score
from torch import Tensor

from benchmarks.hyperbolic.results import Job, Result
from benchmarks.hyperbolic.ways import make_loss
from benchmarks.noise.data import Benchmark, load
from benchmarks.noise.labels import noisy_labels
from benchmarks.noise.protocol import batches, num_steps
from pml_ahsml import LorentzSimilarity, PoincareKNN


def train(job: Job, data_dir: Path) -> Result:
    """Train a network and test it."""
    torch.set_num_threads(1)
    started = time.perf_counter()
    data = load(job.data, data_dir)
    net, loss = trained(job, data)
    net.eval()
    with torch.no_grad():
        embeddings = net(data.test[0])
    figures = tested(embeddings, data.test[1], loss)
    return Result(**asdict(job), **figures, seconds=time.perf_counter() - started)


def trained(job: Job, data: Benchmark) -> tuple[torch.nn.Module, Any]:
    """A network and its loss after a training on the labels of the row."""
    inputs, labels = data.train[0], noisy_labels(job.noise, job.seed, data)
    torch.manual_seed(job.seed)
    c_f.NUMPY_RANDOM = np.random.default_rng(job.seed)  # what MPerClassSampler draws from
    net: Any = data.make_net()
    if net[-1].out_features != job.size:
        net[-1] = torch.nn.Linear(net[-1].in_features, job.size)
    loss = make_loss(
        job.loss,
        job.way,
        is_wrapped=bool(job.is_wrapped),
        num_classes=data.num_classes,
        embedding_size=job.size,
    )
    optimizer = torch.optim.AdamW(net.parameters(), lr=1e-3, weight_decay=1e-4)
    for rows in itertools.islice(batches(labels), num_steps(data)):
        optimizer.zero_grad()
        loss(net(data.augment(inputs[rows])), labels[rows]).backward()
        optimizer.step()
    return net, loss


def tested(embeddings: Tensor, labels: Tensor, loss: Any) -> dict[str, float]:
    """The figures of a Result."""
    knn: Any = CustomKNN(CosineSimilarity())
    by_cosine = by_own = accuracy(embeddings, labels, knn)
    norms, at_rim = embeddings.norm(dim=1), float("nan")
    if isinstance(loss.distance, LorentzSimilarity):
        knn = PoincareKNN(loss.distance)
        by_own = accuracy(embeddings, labels, knn)
        at_rim = float((norms * loss.distance.scale >= loss.distance.clip_radius).float().mean())
    nearest = knn(embeddings, 1, embeddings, ref_includes_query=True)[1].squeeze(1)
    is_wrong = labels[nearest] != labels
    return {
        "precision_at_1": by_own[0],
        "map_at_r": by_own[1],
        "cosine_precision_at_1": by_cosine[0],
        "cosine_map_at_r": by_cosine[1],
        "at_rim": at_rim,
        "wrong_by_norm": auroc(is_wrong, -norms),
    }


def auroc(is_wrong: Tensor, scores: Tensor) -> float:
    """AUROC, nan where there is only one of the two kinds."""
    if bool(is_wrong.all()) or not bool(is_wrong.any()):
        return float("nan")
    return float(roc_auc_score(is_wrong, scores))


def accuracy(embeddings: Tensor, labels: Tensor, knn: Any) -> tuple[float, float]:
    """Precision at 1 and MAP@R of the test set among itself."""
    found = AccuracyCalculator(
        include=("precision_at_1", "mean_average_precision_at_r"), k="max_bin_count", knn_func=knn
    ).get_accuracy(embeddings, labels)
    return found["precision_at_1"], found["mean_average_precision_at_r"]
