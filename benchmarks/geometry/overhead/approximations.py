"""Measures how the approximations for many classes change the label model.

With few enough classes the exact label model can be computed as well.
"""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from benchmarks.geometry.overhead.batches import batches
from benchmarks.geometry.overhead.sizes import Sizes
from pml_ahsml import ClassStatistics, LabelNoiseModel
from pml_ahsml.classes.class_means import Groups
from pml_ahsml.labels import confusion_prior as cp
from pml_ahsml.labels.label_posterior import LabelPosterior

_EXACT = "all pairs"
# Samples scatter so far that they overlap with the nearest classes.
_SPREAD = 2.0
# As in the wrapper: visits before a class is judged, and the weight of a distrusted sample.
_VISITS = 3
_DISTRUSTED_WEIGHT = 0.1


@dataclass(frozen=True)
class Way:
    """A label model and its class statistics."""

    statistics: ClassStatistics
    model: LabelNoiseModel

    def believe(self, embeddings: Tensor, labels: Tensor) -> LabelPosterior:
        """Compute the posterior of a batch."""
        return self.model.believe(self.statistics.evidence(embeddings, labels), labels)

    def learn(self, belief: LabelPosterior, labels: Tensor, weights: Tensor) -> None:
        """Learn from the batch."""
        self.model.learn(belief)
        self.statistics.learn(belief.evidence.points, Groups.by(labels), weights)


def errors(wrong: float, sizes: Sizes) -> dict[str, Any]:
    """Measure the errors of neighbour lists and of candidates against all pairs of classes.

    Three label models learn from the same embeddings: from all pairs of classes, from lists of
    neighbours, and from candidates. The embeddings of near classes overlap.
    """
    k, d = sizes.exact, sizes.embedding_size
    limits = {_EXACT: (k, k), "lists": (0, k), "candidates": (0, 0)}
    ways = {
        name: Way(
            ClassStatistics(k, d, max_exact_classes=exact, max_compared_classes=compared),
            LabelNoiseModel(k, warmup=0),
        )
        for name, (exact, compared) in limits.items()
    }
    stream = batches(k, d, wrong, torch.device("cpu"), spread=_SPREAD)
    for _ in range(sizes.batches):
        embeddings, labels = next(stream)
        beliefs = {name: way.believe(embeddings, labels) for name, way in ways.items()}
        # all learn with the weights of the exact way, so that differences do not feed back
        weights = torch.where(beliefs[_EXACT].trust > 0.5, 1.0, _DISTRUSTED_WEIGHT)
        for name, way in ways.items():
            way.learn(beliefs[name], labels, weights)
    embeddings, labels = next(stream)
    rows = []
    for name in ("lists", "candidates"):
        differences = _differences(ways[name], ways[_EXACT], embeddings, labels)
        rows.append({"way": name, "wrong": wrong, **differences})
        print(rows[-1], flush=True)
    return {"classes": k, "batches": sizes.batches, "rows": rows}


def _differences(way: Way, exact: Way, embeddings: Tensor, labels: Tensor) -> dict[str, float]:
    """Compare what two ways say about a batch, and what they have learnt."""
    belief, wanted = (w.believe(embeddings, labels) for w in (way, exact))
    judged = exact.statistics.visits[labels] >= _VISITS
    # at the same σ, so that only the approximation of the sum shows
    spread = exact.model.spread
    log_z, _ = cp.log_normaliser(wanted.evidence.neighbourhoods, spread)
    estimate, _ = cp.log_normaliser(belief.evidence.neighbourhoods, spread)
    trust = (belief.trust - wanted.trust)[judged].abs()
    likeliest = belief.evidence.for_all_classes(belief.posterior).argmax(1)
    same = (likeliest == wanted.posterior.argmax(1))[judged]
    return {
        "log_z": float((estimate - log_z)[way.statistics.seen].abs().nanmean()),
        "trust_mean": float(trust.mean()) if len(trust) else 0.0,
        "trust_max": float(trust.max()) if len(trust) else 0.0,
        "same_class": float(same.double().mean()),
        "noise_rate": way.model.noise_rate - exact.model.noise_rate,
        "temperature": way.model.temperature / exact.model.temperature - 1,
        "spread": way.model.spread / exact.model.spread - 1,
    }
