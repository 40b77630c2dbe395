"""Digits with 40 % wrong labels: a plain loss, the same loss wrapped, and what it found out.

Run: python examples/quickstart.py [--output DIR]
"""

import argparse
import json
import warnings
from pathlib import Path

import matplotlib
import numpy as np
import torch
from pytorch_metric_learning.distances import CosineSimilarity
from pytorch_metric_learning.losses import MultiSimilarityLoss
from pytorch_metric_learning.samplers import MPerClassSampler
from pytorch_metric_learning.testers import GlobalEmbeddingSpaceTester
from pytorch_metric_learning.trainers import MetricLossOnly
from pytorch_metric_learning.utils import common_functions as c_f
from pytorch_metric_learning.utils.accuracy_calculator import AccuracyCalculator
from pytorch_metric_learning.utils.inference import CustomKNN
from sklearn.datasets import load_digits
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import train_test_split
from torch.utils.data import TensorDataset

from pml_ahsml import AdaptiveNoiseAwareLoss, PoincareDistance, PoincareKNN, inject_label_noise

matplotlib.use("Agg")
import matplotlib.pyplot as plt

# PML's progress bar shows the loss with its gradient attached, of which torch warns
warnings.filterwarnings("ignore", "Converting a tensor with requires_grad=True to a scalar")
SEED, STEPS, BATCH_SIZE, NUM_CLASSES, EMBEDDING_SIZE = 0, 270, 120, 10, 64
METRICS = ("precision_at_1", "mean_average_precision_at_r")


def train_and_test(name, loss, images, labels, test_set, knn_func):
    """PML's own trainer and tester; returns the network and its accuracies."""
    print(f"\n{name}", flush=True)
    torch.manual_seed(SEED)
    c_f.NUMPY_RANDOM = np.random.default_rng(SEED)  # what MPerClassSampler draws from
    trunk = torch.nn.Sequential(torch.nn.Linear(64, 256), torch.nn.ReLU())
    embedder = torch.nn.Linear(256, EMBEDDING_SIZE)
    net = torch.nn.Sequential(trunk, embedder)
    trainer = MetricLossOnly(
        models={"trunk": trunk, "embedder": embedder},
        optimizers={
            "trunk_optimizer": torch.optim.AdamW(trunk.parameters(), lr=1e-3),
            "embedder_optimizer": torch.optim.AdamW(embedder.parameters(), lr=1e-3),
        },
        batch_size=BATCH_SIZE,
        loss_funcs={"metric_loss": loss},
        dataset=TensorDataset(images, labels),
        sampler=MPerClassSampler(labels, m=12, length_before_new_iter=9 * BATCH_SIZE),
        iterations_per_epoch=STEPS,
        dataloader_num_workers=0,
    )
    trainer.train()
    tester = GlobalEmbeddingSpaceTester(
        normalize_embeddings=False,  # the k-NN below compares as the loss does
        dataloader_num_workers=0,
        batch_size=512,
        accuracy_calculator=AccuracyCalculator(METRICS, k="max_bin_count", knn_func=knn_func),
    )
    accuracies = tester.test({"test": test_set}, 1, trunk, embedder)["test"]
    return net, {metric: accuracies[f"{metric}_level0"] for metric in METRICS}


def plot_distrusted(path, images, labels, clean, trust, posterior):
    """The labels distrusted most, and trust against the truth."""
    figure = plt.figure(figsize=(11, 5.2), layout="constrained")
    left, right = figure.subfigures(1, 2, width_ratios=(3, 2))
    left.suptitle("The 24 labels trusted least (red: the label was right after all)")
    for axis, i in zip(left.subplots(4, 6).flat, trust.argsort()[:24].tolist(), strict=True):
        axis.imshow(images[i].view(8, 8), cmap="gray_r")
        guess, colour = int(posterior[i].argmax()), "black" if labels[i] != clean[i] else "red"
        axis.set_title(f"label {labels[i]}, is {guess}", fontsize=8, color=colour)
        axis.axis("off")
    axis = right.subplots()
    groups = [trust[labels == clean].numpy(), trust[labels != clean].numpy()]
    axis.hist(groups, bins=20, range=(0, 1), label=["right labels", "wrong labels"])
    axis.axvline(0.5, color="gray", linestyle="--")
    axis.set(xlabel="trust", ylabel="training samples", yscale="log", title="Trust in each label")
    axis.legend(loc="upper center")
    figure.savefig(path, dpi=120)


def main(output):
    digits = load_digits()
    images = torch.tensor(digits.data / 16, dtype=torch.float32)
    truth = torch.tensor(digits.target)
    train, test = train_test_split(
        torch.arange(len(truth)), test_size=1 / 3, stratify=truth, random_state=SEED
    )
    images_train, clean, test_set = (
        images[train],
        truth[train],
        TensorDataset(images[test], truth[test]),
    )
    noisy, is_noisy = inject_label_noise(clean, 0.4, generator=torch.Generator().manual_seed(SEED))

    def wrap(loss):
        return AdaptiveNoiseAwareLoss(loss, NUM_CLASSES, EMBEDDING_SIZE)

    cosine, plain = CustomKNN(CosineSimilarity()), MultiSimilarityLoss
    # Distances reach 9.2 where cosine similarities span 2: base and exponents by that factor.
    hyperbolic = MultiSimilarityLoss(alpha=0.43, beta=11, base=2.3, distance=PoincareDistance())
    wrapped, right = wrap(plain()), ~is_noisy
    net, results = None, {}
    for name, loss, x, y, knn in (
        ("plain", plain(), images_train, noisy, cosine),
        ("wrapped", wrapped, images_train, noisy, cosine),
        ("hyperbolic", wrap(hyperbolic), images_train, noisy, PoincareKNN(hyperbolic.distance)),
        ("clean_only", plain(), images_train[right], clean[right], cosine),
    ):
        trained, results[name] = train_and_test(name, loss, x, y, test_set, knn)
        net = trained if name == "wrapped" else net
    with torch.no_grad():
        embeddings = net(images_train)
    trust, posterior = wrapped.trust(embeddings, noisy), wrapped.posterior(embeddings, noisy)
    results["wrapped"] |= {
        "noise_rate": wrapped.noise_rate,
        "trust_auroc": roc_auc_score(right, trust),
    }
    results["true_noise_rate"] = float(is_noisy.float().mean())

    print(f"\n{'':12}precision@1   MAP@R")
    for name in ("plain", "wrapped", "hyperbolic", "clean_only"):
        print(f"{name:12}{results[name][METRICS[0]]:11.3f}{results[name][METRICS[1]]:8.3f}")
    print(f"noise rate: estimated {wrapped.noise_rate:.3f}, true {results['true_noise_rate']:.3f}")
    print(f"AUROC of trust against the truth: {results['wrapped']['trust_auroc']:.3f}")
    output.mkdir(parents=True, exist_ok=True)
    (output / "quickstart.json").write_text(json.dumps(results, indent=2) + "\n")
    plot_distrusted(output / "quickstart.png", images_train, noisy, clean, trust, posterior)
    print(f"wrote {output / 'quickstart.json'} and {output / 'quickstart.png'}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--output", type=Path, default=Path("."), help="folder for the results")
    main(parser.parse_args().output)
