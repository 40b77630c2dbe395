"""What AdaptiveNoiseAwareLoss costs beside the loss it wraps, and with very many classes.

A part of ``benchmarks.geometry``, which runs it and writes its tables. Ways that are compared take
turns; a ratio is the median over the rounds of the ratio within a round.
"""

import statistics
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from pytorch_metric_learning import losses
from torch import Tensor

from benchmarks.measuring import now, peak_bytes, table
from pml_ahsml import AdaptiveNoiseAwareLoss, ClassStatistics, LabelNoiseModel
from pml_ahsml.classes.class_means import Groups
from pml_ahsml.hyperbolic import hyperboloid
from pml_ahsml.labels import confusion_prior as cp

BATCH_SIZE, PER_CLASS, INPUTS = 128, 4, 384
LOSSES = ("MultiSimilarityLoss", "SupConLoss", "ContrastiveLoss")


@dataclass(frozen=True)
class Sizes:
    """How much is measured.

    Args:
        classes: K of the training steps; with 150 no neighbours are asked, with 100 they are.
        embedding_size: D of the training steps and of the steps with very many classes.
        hidden: units of the network 384→hidden→D.
        warmup: steps before the time is taken.
        steps: steps of each way in a round.
        rounds: rounds.
        proxies: (K, D) for the comparison with a ProxyAnchorLoss.
        many: K of the steps with very many classes.
        exact: K of the comparison with the exact results.
        batches: batches that are learnt from before that comparison.
    """

    classes: tuple[int, ...] = (150, 100)
    embedding_size: int = 128
    hidden: int = 512
    warmup: int = 250
    steps: int = 10
    rounds: int = 9
    proxies: tuple[tuple[int, int], ...] = ((1_000, 128), (11_318, 512))
    many: tuple[int, ...] = (11_318, 100_000, 1_000_000)
    exact: int = 1_000
    batches: int = 600


FAST = Sizes(
    classes=(40,), embedding_size=8, hidden=16, warmup=3, steps=1, rounds=1, proxies=((50, 8),),
    many=(60, 33_000), exact=60, batches=4,
)  # fmt: skip


def overhead(sizes: Sizes, device: torch.device) -> dict[str, Any]:
    """All figures."""
    return {
        "steps": [
            training_step(name, wrong, k, sizes, device)
            for k in sizes.classes
            for name in LOSSES
            for wrong in (0.0, 0.5)
        ],
        "proxies": [against_proxies(k, d, sizes, device) for k, d in sizes.proxies],
        "many": [many_classes(k, sizes, device) for k in sizes.many],
        "errors": [errors(wrong, sizes) for wrong in (0.0, 0.4)],
    }


def batches(
    num_classes: int, size: int, wrong: float, device: torch.device, spread: float = 0.6
) -> Iterator[tuple[Tensor, Tensor]]:
    """Inputs of 32 classes × 4 and their labels, a share of them wrong; without end.

    Classes in groups of ten around points of a normal distribution. A class is what is labelled so,
    as for a sampler that knows the labels as given: of 4 samples, 4·wrong are of other classes.
    """
    generator = torch.Generator().manual_seed(0)
    groups = torch.randn(-(-num_classes // 10), size, generator=generator)
    centres = groups.repeat_interleave(10, 0)[:num_classes]
    centres = centres + 0.7 * torch.randn(num_classes, size, generator=generator)
    while True:
        chosen = torch.randperm(num_classes, generator=generator)[: BATCH_SIZE // PER_CLASS]
        labels = chosen.repeat_interleave(PER_CLASS)
        shift = torch.randint(1, num_classes, labels.shape, generator=generator)
        is_wrong = torch.rand(len(labels), generator=generator) < wrong
        truth = torch.where(is_wrong, (labels + shift) % num_classes, labels)
        noise = torch.randn(len(labels), size, generator=generator)
        yield (centres[truth] + spread * noise).to(device), labels.to(device)


class Training:
    """A network with a loss and an optimiser of its own."""

    def __init__(self, loss: torch.nn.Module, sizes: Sizes, device: torch.device) -> None:
        torch.manual_seed(0)
        self.loss = loss
        self.network = torch.nn.Sequential(
            torch.nn.Linear(INPUTS, sizes.hidden),
            torch.nn.ReLU(),
            torch.nn.Linear(sizes.hidden, sizes.embedding_size),
        ).to(device)
        parameters = self.network.parameters()
        self.optimizer = torch.optim.AdamW(parameters, lr=1e-3, weight_decay=1e-4)

    def seconds(self, some: list[tuple[Tensor, Tensor]]) -> float:
        """Seconds of a step on each of these batches, in the mean."""
        device = some[0][0].device
        started = now(device)
        for inputs, labels in some:
            self.optimizer.zero_grad()
            self.loss(self.network(inputs), labels).backward()
            self.optimizer.step()
        return (now(device) - started) / len(some)


def training_step(
    name: str, wrong: float, num_classes: int, sizes: Sizes, device: torch.device
) -> dict[str, Any]:
    """Forward, backward and optimiser, with a loss alone and wrapped (default options)."""
    make = getattr(losses, name)
    wrapper = AdaptiveNoiseAwareLoss(make(), num_classes, sizes.embedding_size)
    rows = []
    wrapper.loss.register_forward_pre_hook(lambda _, arguments: rows.append(len(arguments[0])))
    alone, wrapped = Training(make(), sizes, device), Training(wrapper, sizes, device)
    stream = batches(num_classes, INPUTS, wrong, device)
    for _ in range(sizes.warmup):
        some = [next(stream)]
        alone.seconds(some)
        wrapped.seconds(some)
    rows.clear()
    taken = []
    for _ in range(sizes.rounds):
        some = [next(stream) for _ in range(sizes.steps)]
        taken.append((alone.seconds(some), wrapped.seconds(some)))
    row = {
        "loss": name,
        "classes": num_classes,
        "wrong": wrong,
        "alone_ms": 1e3 * statistics.median(t[0] for t in taken),
        "wrapped_ms": 1e3 * statistics.median(t[1] for t in taken),
        "ratio": statistics.median(t[1] / t[0] for t in taken),
        "rows": statistics.fmean(rows),
    }
    print(
        f"{name}, K = {num_classes}, {100 * wrong:.0f} % wrong: alone {row['alone_ms']:.2f} ms, "
        f"wrapped {row['wrapped_ms']:.2f} ms = {row['ratio']:.2f} ×, on {row['rows']:.0f} rows",
        flush=True,
    )
    return row


def grown_up(num_classes: int, embedding_size: int, device: torch.device) -> AdaptiveNoiseAwareLoss:
    """A wrapped ContrastiveLoss as it is late in a training: all classes seen, half of them wrong.

    Neighbours are at any lengths, on which no time depends: to fill them by training takes K/32
    steps.
    """
    wrapper = AdaptiveNoiseAwareLoss(losses.ContrastiveLoss(), num_classes, embedding_size)
    of_classes, model = wrapper.class_statistics.on(device), wrapper.noise_model.on(device)
    for rows, tangent in zip(
        torch.arange(num_classes, device=device).split(1 << 14),
        class_centres(num_classes, embedding_size, device).split(1 << 14),
        strict=True,
    ):
        points = hyperboloid.hyperboloid_lift(of_classes.tangent(tangent), 0.1)
        of_classes.means[rows] = points
    of_classes.visits.fill_(10)
    of_classes.neighbour_distances.uniform_(2, 4)
    if of_classes.is_exact:
        of_classes.neighbour_distances.fill_diagonal_(torch.inf)
    else:
        of_classes.neighbour_weights.fill_(1)
    model.adam_steps.fill_(1000)
    model.label_counts.fill_(10)
    model.log_parameters[0] = 0  # ε = ½
    model.recent_noise_rates.fill_(0.5)
    return wrapper


def class_centres(num_classes: int, embedding_size: int, device: torch.device) -> Tensor:
    """(K, D) normal points."""
    generator = torch.Generator().manual_seed(0)
    return torch.randn(num_classes, embedding_size, generator=generator).to(device)


def embeddings_of(centres: Tensor, number: int) -> tuple[Tensor, Tensor]:
    """A batch of embeddings near the centres of their classes, and labels, half of them wrong."""
    generator = torch.Generator().manual_seed(number)
    count = BATCH_SIZE // PER_CLASS
    truth = torch.randint(len(centres), (count,), generator=generator).repeat_interleave(PER_CLASS)
    other = torch.randint(len(centres), truth.shape, generator=generator)
    labels = torch.where(torch.rand(len(truth), generator=generator) < 0.5, other, truth)
    noise = torch.randn(len(truth), centres.shape[1], generator=generator)
    embeddings = centres[truth.to(centres.device)] + 0.1 * noise.to(centres.device)
    return embeddings.requires_grad_(), labels.to(centres.device)


def seconds_of(loss: torch.nn.Module, embeddings: Tensor, labels: Tensor) -> float:
    """Seconds of forward and backward."""
    started = now(embeddings.device)
    loss(embeddings, labels).backward()
    return now(embeddings.device) - started


def against_proxies(
    num_classes: int, embedding_size: int, sizes: Sizes, device: torch.device
) -> dict[str, Any]:
    """The wrapper's own cost against that of a loss with as many proxies, forward and backward.

    Its own cost is the time with a ContrastiveLoss inside less that of the ContrastiveLoss alone.
    """
    wrapper = grown_up(num_classes, embedding_size, device)
    proxies = losses.ProxyAnchorLoss(num_classes, embedding_size).to(device)
    alone = losses.ContrastiveLoss()
    centres = class_centres(num_classes, embedding_size, device)
    taken = []
    for number in range(sizes.rounds + 1):
        batch = embeddings_of(centres, number)
        taken.append([seconds_of(loss, *batch) for loss in (wrapper, alone, proxies)])
        proxies.zero_grad()
    del taken[0]  # warm-up
    row = {
        "classes": num_classes,
        "embedding_size": embedding_size,
        "own_ms": 1e3 * statistics.median(t[0] - t[1] for t in taken),
        "proxies_ms": 1e3 * statistics.median(t[2] for t in taken),
        "ratio": statistics.median((t[0] - t[1]) / t[2] for t in taken),
    }
    print(
        f"K = {num_classes:,}, D = {embedding_size}: the wrapper's own {row['own_ms']:.1f} ms, "
        f"ProxyAnchorLoss {row['proxies_ms']:.1f} ms: {row['ratio']:.2f}",
        flush=True,
    )
    return row


def many_classes(num_classes: int, sizes: Sizes, device: torch.device) -> dict[str, Any]:
    """Time and memory of a step with very many classes."""
    wrapper = grown_up(num_classes, sizes.embedding_size, device)
    centres = class_centres(num_classes, sizes.embedding_size, device)
    seconds = [
        seconds_of(wrapper, *embeddings_of(centres, number)) for number in range(sizes.rounds + 1)
    ][1:]
    batch = embeddings_of(centres, sizes.rounds + 1)
    state = (wrapper.class_statistics.state_dict(), wrapper.noise_model.state_dict())
    row = {
        "classes": num_classes,
        "ms": 1e3 * statistics.median(seconds),
        "state_mb": sum(t.nbytes for tables in state for t in tables.values()) / 1e6,
        "peak_mb": peak_bytes(lambda: void(seconds_of(wrapper, *batch)), device) / 1e6,
        "table_mb": 4e-6 * num_classes * BATCH_SIZE,
    }
    print(
        f"K = {num_classes:,}: {row['ms']:.0f} ms a step, state {row['state_mb']:.0f} MB, beyond "
        f"it {row['peak_mb']:.0f} MB",
        flush=True,
    )
    return row


def void(_: object) -> None:
    """Drop a result."""


def errors(wrong: float, sizes: Sizes) -> dict[str, Any]:
    """What the approximations for many classes do to the label model, where all can be compared.

    Three label models learn from the same embeddings, which overlap with those of the nearest
    classes: from all pairs of classes, from lists of neighbours, and from candidates.
    """
    k, d = sizes.exact, sizes.embedding_size
    limits = {"all pairs": (k, k), "lists": (0, k), "candidates": (0, 0)}
    ways = {
        name: (
            ClassStatistics(k, d, max_exact_classes=exact, max_compared_classes=compared),
            LabelNoiseModel(k, warmup=0),
        )
        for name, (exact, compared) in limits.items()
    }
    stream = batches(k, d, wrong, torch.device("cpu"), spread=2.0)
    for batch in range(sizes.batches + 1):
        embeddings, labels = next(stream)
        beliefs = {
            name: model.believe(of_classes.evidence(embeddings, labels), labels)
            for name, (of_classes, model) in ways.items()
        }
        if batch == sizes.batches:
            break
        weights = torch.where(beliefs["all pairs"].trust > 0.5, 1.0, 0.1)
        for name, (of_classes, model) in ways.items():
            model.learn(beliefs[name])
            of_classes.learn(beliefs[name].evidence.points, Groups.by(labels), weights)
    exact, rows = ways["all pairs"], []
    judged = exact[0].visits[labels] >= 3
    posterior = beliefs["all pairs"].posterior[judged]
    log_z, _ = cp.log_normaliser(beliefs["all pairs"].evidence.neighbourhoods, exact[1].spread)
    for name in ("lists", "candidates"):
        of_classes, model = ways[name]
        evidence = beliefs[name].evidence
        estimate, _ = cp.log_normaliser(evidence.neighbourhoods, exact[1].spread)
        trust = (beliefs[name].trust - beliefs["all pairs"].trust)[judged].abs()
        same = evidence.for_all_classes(beliefs[name].posterior)[judged].argmax(1)
        rows.append(
            {
                "way": name,
                "wrong": wrong,
                "log_z": float((estimate - log_z)[of_classes.seen].abs().nanmean()),
                "trust_mean": float(trust.mean()) if len(trust) else 0.0,
                "trust_max": float(trust.max()) if len(trust) else 0.0,
                "same_class": float((same == posterior.argmax(1)).double().mean()),
                "noise_rate": model.noise_rate - exact[1].noise_rate,
                "temperature": model.temperature / exact[1].temperature - 1,
                "spread": model.spread / exact[1].spread - 1,
            }
        )
        print(rows[-1], flush=True)
    return {"classes": k, "batches": sizes.batches, "rows": rows}


def report(figures: dict[str, Any], machine: str) -> str:
    """The figures as Markdown."""
    text = [
        "## What the wrapper costs\n",
        "A training step (forward, backward, AdamW) of a network 384→512→128 on batches of "
        f"{BATCH_SIZE}, with a loss alone and wrapped in an "
        "AdaptiveNoiseAwareLoss with default options, past its warm-up; wrong labels are other "
        "classes at random. With up to 102 classes neighbours are asked. Ratios are medians over "
        "the rounds in which both take turns. "
        '"Rows" are what the wrapped loss is called with, remembered samples among them. '
        f"{machine}\n",
        table(
            ["loss", "classes", "wrong labels", "alone ms", "wrapped ms", "wrapped / alone",
             "rows"],
            [
                [r["loss"], str(r["classes"]), f"{100 * r['wrong']:.0f} %", f"{r['alone_ms']:.2f}",
                 f"{r['wrapped_ms']:.2f}", f"{r['ratio']:.2f}", f"{r['rows']:.0f}"]
                for r in figures["steps"]
            ],
        ),
        "The wrapper's own cost (with a ContrastiveLoss inside, less that loss) against a "
        f"ProxyAnchorLoss with as many proxies, forward and backward of {BATCH_SIZE} embeddings:\n",
        table(
            ["K", "D", "own ms", "ProxyAnchorLoss ms", "own / ProxyAnchorLoss"],
            [
                [f"{r['classes']:,}", str(r["embedding_size"]), f"{r['own_ms']:.1f}",
                 f"{r['proxies_ms']:.1f}", f"{r['ratio']:.2f}"]
                for r in figures["proxies"]
            ],
        ),
        "With very many classes, D = 128, forward and backward of a wrapped ContrastiveLoss. "
        "Memory is the state, which grows with K·D, and the most that a step holds beyond it; for "
        "comparison one float32 table of the batch against all classes:\n",
        table(
            ["K", "ms a step", "state MB", "step MB", "a table of 128 × K, MB"],
            [
                [f"{r['classes']:,}", f"{r['ms']:.0f}", f"{r['state_mb']:.0f}",
                 f"{r['peak_mb']:.0f}", f"{r['table_mb']:.0f}"]
                for r in figures["many"]
            ],
        ),
        "With more than 1,000 classes the confusion prior is estimated from lists of neighbours, "
        "with more than 32,768 a sample is also judged by candidate classes only. Their errors "
        f"against all pairs of {figures['errors'][0]['classes']:,} classes, after "
        f"{figures['errors'][0]['batches']} batches: of log Z in the mean, of the trust in a label "
        "in the mean and at most, how often the likeliest class is the same, and of ε, τ and σ.\n",
        table(
            ["", "wrong labels", "log Z", "trust, mean", "trust, max", "same class", "ε", "τ", "σ"],
            [
                [r["way"], f"{100 * r['wrong']:.0f} %", f"{r['log_z']:.3f}",
                 f"{r['trust_mean']:.1e}", f"{r['trust_max']:.1e}", f"{r['same_class']:.3f}",
                 f"{r['noise_rate']:+.4f}", f"{100 * r['temperature']:+.1f} %",
                 f"{100 * r['spread']:+.1f} %"]
                for of_noise in figures["errors"] for r in of_noise["rows"]
            ],
        ),
    ]  # fmt: skip
    return "\n".join(text)
