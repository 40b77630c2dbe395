"""A training run: its parts, its steps and its evaluation."""

import math
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import torch
from pytorch_metric_learning.samplers import MPerClassSampler
from pytorch_metric_learning.utils import common_functions as c_f
from pytorch_metric_learning.utils.accuracy_calculator import AccuracyCalculator
from pytorch_metric_learning.utils.inference import CustomKNN
from torch import Tensor, nn
from torch.optim.lr_scheduler import CosineAnnealingLR
from torch.utils.data import DataLoader

from pml_ahsml import PoincareDistance, PoincareKNN
from pml_ahsml.data import BatchGetter, TwoViewDataset

from .data import ImageDataset, load
from .losses import build_distance, build_loss
from .networks import build_network
from .settings import Settings
from .transforms import evaluation_view, training_view

METRICS = ("precision_at_1", "mean_average_precision_at_r")
# Rows of the distance matrix that evaluation computes at once: 250 MB for SOP's 60,502 test images.
_KNN_BATCH = 1024


class Run:
    """All parts of a run; building it reads the data and makes the network.

    Args:
        settings: the options.

    Raises:
        ValueError: if the data, the loss or the network do not fit the options.
        ImportError: if a library that the options need is missing.
    """

    def __init__(self, settings: Settings) -> None:
        if settings.tensorboard and find_spec("tensorboard") is None:
            raise ImportError(
                'tensorboard cannot be imported; install the extra "images", or give '
                "--no-tensorboard"
            )
        self.settings = s = settings
        is_cuda = s.device == "auto" and torch.cuda.is_available()
        self.device = torch.device(s.device if s.device != "auto" else "cuda" if is_cuda else "cpu")
        torch.manual_seed(s.seed)
        self.random = np.random.default_rng(s.seed)
        self.train_split, self.test_split = load(s)
        self.steps = s.steps_per_epoch or len(self.train_split.paths) // s.batch_size
        _check_batches(s, self.train_split.labels, self.steps)
        network, normalize = build_network(s)
        self.network = network.to(self.device)
        self.train_set, self.test_set = self._datasets(normalize)
        self.distance = build_distance(s)
        self.loss = build_loss(s, self.train_split.labels, self.distance).to(self.device)
        self.optimizer = _optimizer(s, self.network, self.loss)
        total = s.epochs * self.steps
        is_cosine = s.schedule == "cosine"
        self.scheduler = CosineAnnealingLR(self.optimizer, total) if is_cosine else None
        self.output = Path(s.output)
        self.epoch, self.history = 0, []

    def train_epoch(self) -> dict[str, float]:
        """Train one epoch; return means over its steps."""
        self.network.train()
        self.loss.train()
        sums: dict[str, float] = {}
        getter = BatchGetter()
        for batch in self._train_loader():
            images, labels = (part.to(self.device) for part in getter(batch))
            for name, value in self.step(images, labels).items():
                sums[name] = sums.get(name, 0.0) + value
        figures = {name: value / self.steps for name, value in sums.items()}
        if self.train_split.is_noisy is not None:
            figures["true_noise_rate"] = float(self.train_split.is_noisy.float().mean())
        if self.settings.noise_aware and not math.isnan(self.loss.noise_rate):
            figures["noise_rate"] = self.loss.noise_rate
        return figures

    def step(self, images: Tensor, labels: Tensor) -> dict[str, float]:
        """Take one step of the optimizer.

        Args:
            images: (N, 3, H, W), all first views of the batch, then all second views.
            labels: (N,).
        """
        value = self.loss(self._embed(images), labels)
        if not torch.isfinite(value):
            raise FloatingPointError(f"the loss is {value.item()} in epoch {self.epoch + 1}")
        self.optimizer.zero_grad()
        value.backward()
        figures = {"loss": value.item(), "lr": self.optimizer.param_groups[0]["lr"]}
        if self.settings.clip_norm is not None:
            nn.utils.clip_grad_norm_(self.network.parameters(), self.settings.clip_norm)
        self.optimizer.step()
        if self.scheduler is not None:
            self.scheduler.step()
        if self.settings.noise_aware:
            figures["share_trusted"] = self.loss.stat_share_trusted
            figures["share_relabelled"] = self.loss.stat_share_relabelled
        return figures

    @torch.no_grad()
    def evaluate(self) -> dict[str, float]:
        """Return Recall@1 and MAP@R among the test images, whose classes are not trained on."""
        self.network.eval()
        if isinstance(self.distance, PoincareDistance):
            knn: Any = PoincareKNN(self.distance)
        else:
            knn = CustomKNN(self.distance, batch_size=_KNN_BATCH)
        calculator = AccuracyCalculator(
            include=METRICS, k="max_bin_count", device=self.device, knn_func=knn
        )
        loader = self._loader(self.test_set)
        embeddings = torch.cat([self._embed(images.to(self.device)) for images, _ in loader])
        accuracies = calculator.get_accuracy(embeddings, self.test_split.labels)
        return {name: float(accuracies[name]) for name in METRICS}

    def _embed(self, images: Tensor) -> Tensor:
        half = self.settings.precision == "bfloat16"
        with torch.autocast(self.device.type, torch.bfloat16, enabled=half):
            embeddings = self.network(images)
        return embeddings.float()  # bfloat16 is too coarse for the differences in a loss

    def _datasets(self, normalize: nn.Module) -> tuple[Any, Any]:
        s, split, test = self.settings, self.train_split, self.test_split
        weak, strong = (
            training_view(s.size, s.min_scale, s.interpolation, normalize, strong)
            for strong in (False, True)
        )
        view = evaluation_view(s.size, s.resize, s.interpolation, normalize)
        test_set = ImageDataset(test.paths, test.labels, view)
        if s.views == 1:
            return ImageDataset(split.paths, split.labels, weak), test_set
        return TwoViewDataset(ImageDataset(split.paths, split.labels), weak, strong), test_set

    def _train_loader(self) -> DataLoader[Any]:
        # A new sampler each epoch: a used one keeps its shuffled order of classes, which a resumed
        # run would not know. It draws from PML's generator.
        c_f.NUMPY_RANDOM = self.random
        s = self.settings
        length = self.steps * s.batch_size
        labels, m = self.train_split.labels, s.samples_per_class
        sampler = MPerClassSampler(labels, m, s.batch_size, length_before_new_iter=length)
        return self._loader(self.train_set, sampler)

    def _loader(self, dataset: Any, sampler: Any = None) -> DataLoader[Any]:
        s, pin = self.settings, self.device.type == "cuda"
        return DataLoader(
            dataset, s.batch_size, sampler=sampler, num_workers=s.workers, pin_memory=pin
        )


def _optimizer(s: Settings, network: nn.Module, loss: nn.Module) -> torch.optim.Optimizer:
    groups: list[dict[str, Any]] = [
        {"params": [p for p in network.parameters() if p.requires_grad]}
    ]
    proxies = list(loss.parameters())
    if proxies:
        groups.append({"params": proxies, "lr": s.loss_lr})
    kind = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW, "sgd": torch.optim.SGD}
    return kind[s.optimizer](groups, lr=s.lr, weight_decay=s.weight_decay)


def _check_batches(settings: Settings, labels: Tensor, steps: int) -> None:
    per_batch, num_classes = settings.batch_size // settings.samples_per_class, len(labels.unique())
    if per_batch > num_classes:
        raise ValueError(
            f"batch_size must be at most samples_per_class times the {num_classes} classes of the "
            f"training set, {settings.samples_per_class * num_classes}, got {settings.batch_size}"
        )
    if steps == 0:
        raise ValueError(
            f"batch_size must be at most the number of training images, {len(labels)}, unless "
            f"steps_per_epoch is given, got {settings.batch_size}"
        )
