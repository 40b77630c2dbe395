"""A training run: steps, evaluation, and checkpoints.

On a CPU with one thread (OMP_NUM_THREADS=1) a run that was killed resumes to the last bit. More
threads, or a GPU, add up in an order that may differ from one call to the next.
"""

import json
import math
import os
from contextlib import AbstractContextManager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytorch_metric_learning
import torch
from pytorch_metric_learning.losses import CrossBatchMemory
from pytorch_metric_learning.samplers import MPerClassSampler
from pytorch_metric_learning.utils import common_functions as c_f
from pytorch_metric_learning.utils.accuracy_calculator import AccuracyCalculator
from pytorch_metric_learning.utils.inference import CustomKNN
from torch import Tensor
from torch.utils.data import DataLoader

import pml_ahsml
from pml_ahsml import PoincareDistance
from pml_ahsml.data import BatchGetter, TwoViewDataset
from pml_ahsml.inference import accuracy_calculator

from .data import ImageDataset, load
from .losses import build_distance, build_loss
from .networks import build_network
from .settings import Settings
from .transforms import TestTransform, TrainTransform

METRICS = ("precision_at_1", "mean_average_precision_at_r")
# rows of the distance matrix that evaluation holds at a time
_KNN_BATCH = 1024


class Run:
    """Everything that a run consists of; building it reads the data and makes the network.

    Args:
        settings: the options.

    Raises:
        ValueError: for options that the data, the loss or the network cannot follow, and for a
            checkpoint of other options.
        ImportError: where a library that the options ask for is missing.
    """

    def __init__(self, settings: Settings) -> None:
        if settings.tensorboard and find_spec("tensorboard") is None:
            raise ImportError(
                'tensorboard cannot be imported; the extra "images" has it, --no-tensorboard does '
                "without"
            )
        self.settings = settings
        self.device = _device(settings)
        torch.manual_seed(settings.seed)
        self.random = np.random.default_rng(settings.seed)
        self.train_split, self.test_split = load(settings)
        self.steps = settings.steps_per_epoch or len(self.train_split.paths) // settings.batch_size
        _check_batches(settings, self.train_split.labels, self.steps)
        self.network, backbone = build_network(settings)
        self.network.to(self.device)
        self.train_set, self.test_set = self._datasets(backbone.mean, backbone.std)
        self.distance = build_distance(settings)
        self.loss = build_loss(settings, self.train_split.labels, self.distance)
        self.loss.to(self.device)
        self.optimizer = self._optimizer()
        self.scheduler: Any = None
        if settings.schedule == "cosine":
            total = settings.epochs * self.steps
            self.scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(self.optimizer, total)
        self.scaler = torch.amp.GradScaler(
            self.device.type, enabled=settings.precision == "float16"
        )
        self.epoch = 0
        self.history: list[dict[str, float]] = []
        self.output = Path(settings.output)
        if settings.resume:
            self.load_checkpoint()
        elif (self.output / "checkpoint.pt").exists():
            raise ValueError(
                f"output must be without a checkpoint.pt unless resume is given, got {self.output}"
            )

    def train(self) -> dict[str, float]:
        """All epochs that are left; returns the figures of the last."""
        writer = self._writer()
        self.output.mkdir(parents=True, exist_ok=True)
        while self.epoch < self.settings.epochs:
            figures = self.train_epoch()
            self.epoch += 1
            last = self.epoch == self.settings.epochs
            if last or self.epoch % self.settings.evaluate_every == 0:
                figures |= self.evaluate()
            self.history.append(figures)
            self.save_checkpoint()
            shown = ", ".join(f"{name} {value:.4g}" for name, value in figures.items())
            print(f"epoch {self.epoch}/{self.settings.epochs}: {shown}", flush=True)
            for name, value in figures.items():
                if writer is not None:
                    writer.add_scalar(name, value, self.epoch)
        if writer is not None:
            writer.close()
        return self.history[-1]

    def train_epoch(self) -> dict[str, float]:
        """One epoch; means over its steps."""
        self.network.train()
        self.loss.train()
        sums: dict[str, float] = {}
        getter = BatchGetter()
        for batch in self._train_loader():
            images, labels = (part.to(self.device) for part in getter(batch))
            for name, value in self.step(images, labels).items():
                sums[name] = sums.get(name, 0.0) + value
        return {name: value / self.steps for name, value in sums.items()} | self._noise()

    def step(self, images: Tensor, labels: Tensor) -> dict[str, float]:
        """One step of the optimizer.

        Args:
            images: (N, 3, H, W), the views of a batch one after the other.
            labels: (N,).
        """
        with self._autocast():
            embeddings = self.network(images)
        # a loss compares by differences that half precision does not resolve
        value = self.loss(embeddings.float(), labels)
        if not torch.isfinite(value):
            raise FloatingPointError(f"the loss is {value.item()} in epoch {self.epoch + 1}")
        self.optimizer.zero_grad()
        self.scaler.scale(value).backward()
        figures = {"loss": value.item(), "lr": self.optimizer.param_groups[0]["lr"]}
        if self.settings.clip_norm is not None:
            self.scaler.unscale_(self.optimizer)
            torch.nn.utils.clip_grad_norm_(self.network.parameters(), self.settings.clip_norm)
        self.scaler.step(self.optimizer)
        self.scaler.update()
        if self.scheduler is not None:
            self.scheduler.step()
        if self.settings.noise_aware:
            figures["share_trusted"] = self.loss.stat_share_trusted
            figures["share_relabelled"] = self.loss.stat_share_relabelled
        return figures

    @torch.no_grad()
    def evaluate(self) -> dict[str, float]:
        """Recall@1 and MAP@R among the test images, whose classes were not trained on."""
        self.network.eval()
        options = {"include": METRICS, "k": "max_bin_count", "device": self.device}
        if isinstance(self.distance, PoincareDistance):
            calculator = accuracy_calculator(self.distance, **options)
        else:
            knn = CustomKNN(self.distance, batch_size=_KNN_BATCH)
            calculator = AccuracyCalculator(knn_func=knn, **options)
        embeddings = []
        for images, _ in self._loader(self.test_set, self.settings.batch_size):
            with self._autocast():
                embeddings.append(self.network(images.to(self.device)).float())
        accuracies = calculator.get_accuracy(torch.cat(embeddings), self.test_split.labels)
        return {name: float(accuracies[name]) for name in METRICS}

    def save_checkpoint(self) -> None:
        """Write OUTPUT/checkpoint.pt, which holds all that resuming needs, and results.json."""
        state = {
            "settings": self.settings.of_the_run(),
            "epoch": self.epoch,
            "history": self.history,
            "network": self.network.state_dict(),
            "loss": self.loss.state_dict(),
            "memory": [(m.queue_idx, m.has_been_filled) for m in self._memories()],
            "optimizer": self.optimizer.state_dict(),
            "scheduler": None if self.scheduler is None else self.scheduler.state_dict(),
            "scaler": self.scaler.state_dict(),
            "random": self.random.bit_generator.state,
            "torch_random": torch.get_rng_state(),
            "cuda_random": torch.cuda.get_rng_state_all() if torch.cuda.is_available() else [],
        }
        # a run that is killed while it writes keeps the checkpoint before
        path = self.output / "checkpoint.pt"
        torch.save(state, path.with_suffix(".new"))
        os.replace(path.with_suffix(".new"), path)
        results = {
            "settings": state["settings"],
            "history": self.history,
            "versions": {
                "torch": torch.__version__,
                "pytorch_metric_learning": pytorch_metric_learning.__version__,
                "pml_ahsml": pml_ahsml.__version__,
            },
        }
        (self.output / "results.json").write_text(json.dumps(results, indent=2) + "\n")

    def load_checkpoint(self) -> None:
        """Go on from OUTPUT/checkpoint.pt."""
        path = self.output / "checkpoint.pt"
        if not path.is_file():
            raise ValueError(f"output must hold a checkpoint.pt to resume from, got {self.output}")
        state = torch.load(path, map_location=self.device, weights_only=True)
        ours = self.settings.of_the_run()
        for name, value in ours.items():
            theirs = state["settings"].get(name)
            if value != theirs:
                raise ValueError(
                    f"{name} must be {theirs}, as in the checkpoint to resume from, got {value}"
                )
        self.epoch, self.history = state["epoch"], state["history"]
        self.network.load_state_dict(state["network"])
        self.loss.load_state_dict(state["loss"])
        # PML's memory does not save where it stands
        for memory, (index, filled) in zip(self._memories(), state["memory"], strict=True):
            memory.queue_idx, memory.has_been_filled = index, filled
        self.optimizer.load_state_dict(state["optimizer"])
        if self.scheduler is not None:
            self.scheduler.load_state_dict(state["scheduler"])
        self.scaler.load_state_dict(state["scaler"])
        self.random.bit_generator.state = state["random"]
        torch.set_rng_state(state["torch_random"].cpu())
        if state["cuda_random"] and torch.cuda.is_available():
            torch.cuda.set_rng_state_all([each.cpu() for each in state["cuda_random"]])

    def _datasets(self, mean: tuple[float, ...], std: tuple[float, ...]) -> tuple[Any, Any]:
        s, split = self.settings, self.train_split
        weak, strong = (
            TrainTransform(s.size, (s.min_scale, 1.0), s.interpolation, mean, std, strong)
            for strong in (False, True)
        )
        if s.views == 2:
            train: Any = TwoViewDataset(ImageDataset(split.paths, split.labels), weak, strong)
        else:
            train = ImageDataset(split.paths, split.labels, weak)
        test_transform = TestTransform(s.size, s.resize, s.interpolation, mean, std)
        test = ImageDataset(self.test_split.paths, self.test_split.labels, test_transform)
        return train, test

    def _optimizer(self) -> torch.optim.Optimizer:
        s = self.settings
        groups: list[dict[str, Any]] = [
            {"params": [p for p in self.network.parameters() if p.requires_grad]}
        ]
        proxies = list(self.loss.parameters())
        if proxies:
            groups.append({"params": proxies, "lr": s.loss_lr})
        kind = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW, "sgd": torch.optim.SGD}
        return kind[s.optimizer](groups, lr=s.lr, weight_decay=s.weight_decay)

    def _train_loader(self) -> DataLoader[Any]:
        # A new sampler each epoch: one that has been used keeps its classes in shuffled order,
        # which a resumed run could not know. It draws from PML's generator.
        c_f.NUMPY_RANDOM = self.random
        s = self.settings
        sampler = MPerClassSampler(
            self.train_split.labels,
            s.samples_per_class,
            batch_size=s.batch_size,
            length_before_new_iter=self.steps * s.batch_size,
        )
        return self._loader(self.train_set, s.batch_size, sampler)

    def _loader(self, dataset: Any, batch_size: int, sampler: Any = None) -> DataLoader[Any]:
        return DataLoader(
            dataset,
            batch_size,
            sampler=sampler,
            num_workers=self.settings.workers,
            pin_memory=self.device.type == "cuda",
        )

    def _autocast(self) -> AbstractContextManager[Any]:
        dtype = getattr(torch, self.settings.precision)
        return torch.autocast(
            self.device.type,
            dtype=None if dtype is torch.float32 else dtype,
            enabled=dtype is not torch.float32,
        )

    def _memories(self) -> list[CrossBatchMemory]:
        return [m for m in self.loss.modules() if isinstance(m, CrossBatchMemory)]

    def _noise(self) -> dict[str, float]:
        figures = {}
        if self.train_split.is_noisy is not None:
            figures["true_noise_rate"] = float(self.train_split.is_noisy.float().mean())
        if self.settings.noise_aware and not math.isnan(self.loss.noise_rate):
            figures["noise_rate"] = self.loss.noise_rate
        return figures

    def _writer(self) -> Any:
        if not self.settings.tensorboard:
            return None
        from torch.utils.tensorboard import SummaryWriter

        return SummaryWriter(str(self.output / "tensorboard"), purge_step=self.epoch + 1)


def _device(settings: Settings) -> torch.device:
    name = settings.device
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    device = torch.device(name)
    if settings.precision == "float16" and device.type != "cuda":
        raise ValueError(f"precision must be float32 or bfloat16 on {device}, got float16")
    return device


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
