"""Draw the pictures of README and of "How do I know it works?", on scikit-learn's digits.

Run: python docs/pictures.py    (writes suspects.png here and guides/*.png; some seconds)
"""

import sys
from pathlib import Path

import matplotlib
import torch
from pytorch_metric_learning.losses import MultiSimilarityLoss
from torch import Tensor

FOLDER = Path(__file__).parent
sys.path.insert(0, str(FOLDER.parent / "examples"))
from digits import embed, images, make_network, make_sampler, truth, wrong_labels

from pml_ahsml import AdaptiveNoiseAwareLoss
from pml_ahsml.visualization import plot_noise_history, plot_trust_histogram

matplotlib.use("Agg")
import matplotlib.pyplot as plt

STATS = ("stat_noise_rate", "stat_share_trusted", "stat_share_relabelled")
_BATCH_SIZE, _STEPS = 120, 300


def train(labels: Tensor, steps: int = _STEPS) -> tuple[dict[str, list[float]], Tensor, Tensor]:
    """What the wrapper recorded, then trust and likeliest class of each sample."""
    net = make_network()
    loss = AdaptiveNoiseAwareLoss(
        MultiSimilarityLoss(), num_classes=10, embedding_size=64, collect_stats=True
    )
    optimizer = torch.optim.AdamW(net.parameters(), lr=1e-3)
    history: dict[str, list[float]] = {name: [] for name in STATS}
    sampler = make_sampler(labels, per_class=12, batch_size=_BATCH_SIZE, steps=steps)
    for rows in torch.tensor(list(sampler)).split(_BATCH_SIZE):
        optimizer.zero_grad()
        loss(net(images[rows]), labels[rows]).backward()
        optimizer.step()
        for name in STATS:
            history[name].append(getattr(loss, name))
    embeddings = embed(net.eval(), images)
    posterior = loss.posterior(embeddings, labels)
    return history, loss.trust(embeddings, labels), posterior.argmax(1)


def draw_suspects(path: Path) -> None:
    """The ten labels trusted least, of which a tenth are wrong."""
    labels, is_noisy = wrong_labels(truth, 0.1)
    _, trust, guesses = train(labels)
    figure, axes = plt.subplots(2, 5, figsize=(6.5, 3.2), layout="constrained")
    for axis, i in zip(axes.flat, trust.argsort()[: axes.size].tolist(), strict=True):
        axis.imshow(images[i].view(8, 8).numpy(), cmap="gray_r")
        colour = "black" if is_noisy[i] else "tab:red"
        title = f"labelled {labels[i]}\nlooks like {guesses[i]}"
        axis.set_title(title, fontsize=10, color=colour)
        axis.axis("off")
    figure.savefig(path, dpi=130)
    plt.close(figure)


def draw_health(labels: Tensor, path: Path) -> None:
    """Noise rate and shares while it trains, and the trust in all labels at the end."""
    is_noisy = labels != truth
    history, trust, _ = train(labels)
    figure, (left, right) = plt.subplots(1, 2, figsize=(10, 3.8), layout="constrained")
    plot_noise_history(history, true_rate=float(is_noisy.float().mean()), ax=left)
    plot_trust_histogram(trust, is_noisy if is_noisy.any() else None, ax=right)
    figure.savefig(path, dpi=100)
    plt.close(figure)


def states() -> dict[str, Tensor]:
    """Labels for each picture."""
    order = torch.randperm(len(truth), generator=torch.Generator().manual_seed(0))
    return {"healthy": wrong_labels(truth, 0.2)[0], "no_noise": truth, "collapsed": truth[order]}


def main(folder: Path = FOLDER) -> None:
    """Draw all of them."""
    (folder / "guides").mkdir(parents=True, exist_ok=True)
    draw_suspects(folder / "suspects.png")
    for name, labels in states().items():
        draw_health(labels, folder / "guides" / f"{name}.png")


if __name__ == "__main__":
    main()
