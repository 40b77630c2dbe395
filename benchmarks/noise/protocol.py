"""One training run, with the same steps, networks and seeds for every method."""

import itertools
import statistics
import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from pytorch_metric_learning.distances import CosineSimilarity
from pytorch_metric_learning.samplers import MPerClassSampler
from pytorch_metric_learning.utils import common_functions as c_f
from pytorch_metric_learning.utils.accuracy_calculator import AccuracyCalculator
from pytorch_metric_learning.utils.inference import CustomKNN
from sklearn.metrics import roc_auc_score
from torch import Tensor

from benchmarks.noise.data import BATCH_SIZE, Benchmark, load
from benchmarks.noise.labels import noisy_labels
from benchmarks.noise.methods import METHODS, Method, Told
from benchmarks.noise.results import Job, Result
from pml_ahsml import AdaptiveNoiseAwareLoss, PoincareKNN, audit_labels

# With 4 samples of each class, a batch has 128 rows.
_CLASSES_IN_A_BATCH = 32

# Of the right labels, a method may know every tenth to be right.
_OF_RIGHT = 10


@dataclass(frozen=True)
class Samples:
    """The training set: inputs, labels as given, and which of them are wrong."""

    inputs: Tensor
    labels: Tensor
    is_noisy: Tensor

    def __getitem__(self, rows: Tensor) -> "Samples":
        return Samples(self.inputs[rows], self.labels[rows], self.is_noisy[rows])


@dataclass(frozen=True)
class Trained:
    """The result of a training.

    Args:
        net: the network.
        loss: the loss, with what it has learnt.
        samples: the training set.
        data: the data set that the samples come from.
        method: the way of training.
        seen: share of wrong labels in each batch.
    """

    net: torch.nn.Module
    loss: torch.nn.Module
    samples: Samples
    data: Benchmark
    method: Method
    seen: list[float]

    @property
    def noise_rate_seen(self) -> float:
        """Share of wrong labels in the last half of the batches."""
        return statistics.fmean(self.seen[len(self.seen) // 2 :])


def train(job: Job, data_dir: Path, longer: int = 1) -> Result:
    """Train and evaluate one run, with ``longer`` times the epochs of the protocol."""
    started = time.perf_counter()
    run = trained(job, data_dir, longer)
    precision, map_at_r = evaluate(run.net, run.data, run.method)
    noise_rate, auroc = judge(run)
    return Result(
        **asdict(job),
        precision_at_1=precision,
        map_at_r=map_at_r,
        noise_rate=noise_rate,
        noise_rate_seen=run.noise_rate_seen,
        trust_auroc=auroc,
        seconds=time.perf_counter() - started,
    )


def trained(
    job: Job, data_dir: Path, longer: int = 1, methods: Mapping[str, Method] = METHODS
) -> Trained:
    """Train a network and its loss, by the method that the job names."""
    torch.set_num_threads(1)
    method, data = methods[job.run], load(job.data, data_dir)
    inputs, truth = data.train
    labels = noisy_labels(job.noise, job.seed, data)
    samples = Samples(inputs, labels, labels != truth)
    if method.clean_only:
        samples = samples[~samples.is_noisy]
    if method.cleaned:
        audit = audit_labels(inputs.flatten(1), labels)
        samples = samples[audit.cleaned("drop").mask]
    torch.manual_seed(job.seed)
    c_f.NUMPY_RANDOM = np.random.default_rng(job.seed)  # what MPerClassSampler draws from
    net = data.make_net()
    loss = method.loss(job.loss, told_about(samples, data.num_classes))
    seen = fit(net, loss, samples, data, method, num_steps(data, longer))
    return Trained(net, loss, samples, data, method, seen)


def told_about(samples: Samples, num_classes: int) -> Told:
    """Compute what a method may know about the samples; it takes what it needs."""
    counts = torch.bincount(samples.labels, minlength=num_classes)
    wrong = torch.bincount(samples.labels, samples.is_noisy.float(), minlength=num_classes)
    there = counts > 0
    # a batch has equally many samples of each label
    right = (~samples.is_noisy).nonzero().squeeze(1)
    return Told(counts, float((wrong[there] / counts[there]).mean()), right[::_OF_RIGHT])


def num_steps(data: Benchmark, longer: int = 1) -> int:
    """Return the number of batches of a training; training on clean labels gets as many."""
    return longer * data.epochs * (len(data.train[1]) // BATCH_SIZE)


def fit(
    net: torch.nn.Module,
    loss: torch.nn.Module,
    samples: Samples,
    data: Benchmark,
    method: Method,
    steps: int,
) -> list[float]:
    """Train, and return the share of wrong labels in each batch."""
    num_views = method.num_views
    optimizer = torch.optim.AdamW(net.parameters(), lr=1e-3, weight_decay=1e-4)
    proxies = list(loss.parameters())
    if proxies:
        optimizer.add_param_group({"params": proxies, "lr": 1e-2})
    seen = []
    for rows in itertools.islice(batches(samples.labels), steps):
        batch = samples[rows]
        optimizer.zero_grad()
        views = torch.cat([data.augment(batch.inputs) for _ in range(num_views)])
        ids = {"sample_ids": rows.repeat(num_views)} if method.has_ids else {}
        loss(net(views), batch.labels.repeat(num_views), **ids).backward()
        optimizer.step()
        seen.append(float(batch.is_noisy.float().mean()))
    return seen


def batches(labels: Tensor) -> Iterator[Tensor]:
    """Yield batches of 32 classes × 4 samples without end; of all classes if there are fewer."""
    per_class = max(BATCH_SIZE // _CLASSES_IN_A_BATCH, -(-BATCH_SIZE // len(labels.unique())))
    length = max(len(labels), 32 * BATCH_SIZE) // BATCH_SIZE * BATCH_SIZE
    sampler = MPerClassSampler(labels, per_class, length_before_new_iter=length)
    while True:
        yield from torch.tensor(list(sampler)).split(BATCH_SIZE)


@torch.no_grad()
def evaluate(net: torch.nn.Module, data: Benchmark, method: Method) -> tuple[float, float]:
    """Return precision at 1 and MAP@R on the test set."""
    net.eval()
    inputs, labels = data.test
    accuracy = AccuracyCalculator(
        include=("precision_at_1", "mean_average_precision_at_r"),
        k="max_bin_count",
        knn_func=PoincareKNN() if method.is_hyperbolic else CustomKNN(CosineSimilarity()),
    ).get_accuracy(net(inputs), labels)
    return accuracy["precision_at_1"], accuracy["mean_average_precision_at_r"]


@torch.no_grad()
def judge(run: Trained) -> tuple[float, float]:
    """Return the estimated noise rate and the AUROC of trust; nan for a loss without them."""
    loss, is_noisy = run.loss, run.samples.is_noisy
    if not isinstance(loss, AdaptiveNoiseAwareLoss):
        return float("nan"), float("nan")
    if not is_noisy.any():
        return loss.noise_rate, float("nan")
    return loss.noise_rate, float(roc_auc_score(~is_noisy, trust(run)))


@torch.no_grad()
def trust(run: Trained) -> Tensor:
    """Return the (N,) trust of an AdaptiveNoiseAwareLoss in its training labels."""
    assert isinstance(run.loss, AdaptiveNoiseAwareLoss)
    return run.loss.trust(*_training_set(run))


def audited_trust(run: Trained) -> Tensor:
    """Return the (N,) trust of an audit of a training with an AdaptiveNoiseAwareLoss."""
    assert isinstance(run.loss, AdaptiveNoiseAwareLoss)
    return run.loss.audit(*_training_set(run)).trust


@torch.no_grad()
def _training_set(run: Trained) -> tuple[Tensor, Tensor, Tensor | None]:
    """Embeddings and labels, and the ids that the loss knows them by."""
    run.net.eval()
    inputs, labels = run.samples.inputs, run.samples.labels
    embeddings = torch.cat([run.net(part) for part in inputs.split(1024)])
    return embeddings, labels, torch.arange(len(labels)) if run.method.has_ids else None
