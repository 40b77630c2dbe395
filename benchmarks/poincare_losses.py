"""Every PML loss with a PoincareDistance: does it work, and with which margin or temperature?

Trains a small network on scikit-learn's digits with clean labels, for each setting of each loss,
and writes the table at the end of docs/poincare_losses.md. The settings are listed below: PML's
defaults first, then values for distances that reach 9.2 instead of 1 or 2. It takes about ten
minutes on two cores.

Run: python -m benchmarks.poincare_losses [--page FILE]
"""

import argparse
import inspect
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import torch
from pytorch_metric_learning import losses
from pytorch_metric_learning.distances import CosineSimilarity
from pytorch_metric_learning.samplers import MPerClassSampler
from pytorch_metric_learning.utils import common_functions as c_f
from pytorch_metric_learning.utils.accuracy_calculator import AccuracyCalculator
from pytorch_metric_learning.utils.inference import CustomKNN
from sklearn.datasets import load_digits

from pml_ahsml import PoincareDistance, PoincareKNN

# 300 batches of four samples of each class train the network in seconds, ten epochs of the digits.
NUM_CLASSES, EMBEDDING_SIZE, STEPS, BATCH_SIZE, SEEDS = 10, 64, 300, 40, (0, 1)

CLASSIFIERS = (
    losses.LargeMarginSoftmaxLoss,  # with its subclasses ArcFace, CosFace, SphereFace, SubCenter
    losses.NormalizedSoftmaxLoss,
    losses.ProxyAnchorLoss,
    losses.ProxyNCALoss,
    losses.SoftTripleLoss,
)

# Settings for distances in [0, 9.2], tried besides PML's defaults.
TRIED: dict[str, list[dict[str, Any]]] = {
    "ContrastiveLoss": [
        {"neg_margin": 4},
        {"pos_margin": 1, "neg_margin": 4},
        {"pos_margin": 1, "neg_margin": 6},
    ],
    "GeneralizedLiftedStructureLoss": [{"neg_margin": 4}, {"pos_margin": 1, "neg_margin": 4}],
    "IntraPairVarianceLoss": [{"pos_eps": 0.1, "neg_eps": 0.1}],
    "LiftedStructureLoss": [{"neg_margin": 4}, {"neg_margin": 6}],
    "MarginLoss": [{"margin": 1, "beta": 3}, {"margin": 1, "beta": 4.5}],
    "MultiSimilarityLoss": [
        {"alpha": 0.43, "beta": 11, "base": 2.3},
        {"alpha": 2, "beta": 11, "base": 2.3},
        {"alpha": 2, "beta": 11, "base": 4},
    ],
    "NCALoss": [{"softmax_scale": 0.5}, {"softmax_scale": 2}],
    "NTXentLoss": [{"temperature": 0.5}, {"temperature": 1}],
    "NormalizedSoftmaxLoss": [{"temperature": 0.5}, {"temperature": 1}],
    "ProxyAnchorLoss": [{"margin": 0.5, "alpha": 8}, {"margin": 2.3, "alpha": 8}],
    "ProxyNCALoss": [{"softmax_scale": 0.5}, {"softmax_scale": 4}],
    "RankedListLoss": [
        {"margin": 2, "Tn": 1, "alpha": 4},
        {"margin": 2, "Tn": 1, "alpha": 6},
    ],
    "SupConLoss": [{"temperature": 0.5}, {"temperature": 1}],
    "TripletMarginLoss": [{"margin": 0.5}, {"margin": 1}, {"margin": 2}],
}

# These losses accept a PoincareDistance without a warning, but do not optimise it.
IGNORES = {
    "P2SGradLoss": "takes it and ignores it: it always works with cosines",
    "ManifoldLoss": "takes it and reads distances as similarities",
}


def metric_losses() -> list[type[losses.BaseMetricLossFunction]]:
    """List the losses that PML exports, without its base classes."""
    base = {losses.BaseMetricLossFunction, losses.GenericPairLoss}
    exported = [c for _, c in sorted(vars(losses).items()) if inspect.isclass(c)]
    return [c for c in exported if issubclass(c, losses.BaseMetricLossFunction) and c not in base]


def make(
    cls: type,
    setting: dict[str, Any],
    num_classes: int = NUM_CLASSES,
    embedding_size: int = EMBEDDING_SIZE,
    **kwargs: Any,
) -> Any:
    """Make an instance of a loss with the arguments it requires."""
    required: dict[str, dict[str, Any]] = {
        "P2SGradLoss": {"descriptors_dim": embedding_size, "num_classes": num_classes},
        "RankedListLoss": {"margin": 0.4, "Tn": 1},
        "ManifoldLoss": {"l": embedding_size},
    }
    needed = required.get(cls.__name__, {})
    if issubclass(cls, CLASSIFIERS):
        needed = {"num_classes": num_classes, "embedding_size": embedding_size}
    return cls(**{**needed, **setting}, **kwargs)


def train_and_test(make_loss: Any, knn: Any) -> float:
    """Return the MAP@R on the test digits, averaged over the seeds."""
    digits = load_digits()
    images = torch.tensor(digits.data / 16, dtype=torch.float32)
    labels = torch.tensor(digits.target)
    calculator = AccuracyCalculator(include=("mean_average_precision_at_r",), knn_func=knn)
    total = 0.0
    for seed in SEEDS:
        torch.manual_seed(seed)
        c_f.NUMPY_RANDOM = np.random.default_rng(seed)  # what MPerClassSampler draws from
        net = torch.nn.Sequential(
            torch.nn.Linear(64, 256), torch.nn.ReLU(), torch.nn.Linear(256, EMBEDDING_SIZE)
        )
        loss = make_loss()
        optimizer = torch.optim.AdamW([*net.parameters(), *loss.parameters()], lr=1e-3)
        sampler = MPerClassSampler(labels[:1200], m=4, length_before_new_iter=STEPS * BATCH_SIZE)
        for rows in torch.tensor(list(sampler)).split(BATCH_SIZE):
            optimizer.zero_grad()
            loss(net(images[rows]), labels[rows]).backward()
            optimizer.step()
        with torch.no_grad():
            accuracy = calculator.get_accuracy(net(images[1200:]), labels[1200:])
        total += accuracy["mean_average_precision_at_r"] / len(SEEDS)
    return total


def row(cls: type[losses.BaseMetricLossFunction]) -> str:
    """Make one line of the table."""
    name = cls.__name__
    if name in IGNORES:
        return f"| {name} | {IGNORES[name]} | | |"
    try:
        loss = make(cls, {}, distance=PoincareDistance())
        embeddings = torch.randn(20, EMBEDDING_SIZE, requires_grad=True)
        loss(embeddings, torch.arange(20) % NUM_CLASSES).backward()
    except Exception as error:
        message = f": {str(error).splitlines()[0]}" if str(error) else " without a message"
        return f"| {name} | refuses: {type(error).__name__}{message} | | |"
    scores = []
    for setting in [{}, *TRIED.get(name, [])]:
        score = train_and_test(
            lambda setting=setting: make(cls, setting, distance=PoincareDistance()), PoincareKNN()
        )
        scores.append((score, setting))
        print(f"  {name} {setting}: {score:.3f}", flush=True)
    best, setting = max(scores, key=lambda pair: pair[0])
    own = train_and_test(lambda: make(cls, {}), CustomKNN(CosineSimilarity()))
    said = ", ".join(f"{k}={v}" for k, v in setting.items()) or "PML's defaults"
    default = "" if not setting else f"{scores[0][0]:.3f}"
    return f"| {name} | works: {said} | {best:.3f} ({default or 'same'}) | {own:.3f} |"


def main(page: Path) -> None:
    """Try all losses and write the table."""
    warnings.filterwarnings("ignore")  # PML warns with newer versions of torch and numpy
    rows = []
    for cls in metric_losses():
        rows.append(row(cls))
        print(rows[-1], flush=True)
    write_table(rows, page)


def write_table(rows: list[str], page: Path) -> None:
    """Replace the rows at the end of the page."""
    text = page.read_text(encoding="utf-8")
    page.write_text(text[: text.index(HEAD)] + HEAD + "\n".join(rows) + "\n", encoding="utf-8")


HEAD = """| loss | PoincareDistance | MAP@R (defaults) | own distance |
|---|---|---|---|
"""

if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--page",
        type=Path,
        default=Path("docs/poincare_losses.md"),
        help="a page that ends with the table",
    )
    main(parser.parse_args().page)
