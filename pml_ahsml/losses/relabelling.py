"""Relabelling of samples with doubtful labels."""

import warnings
from dataclasses import dataclass, field

import torch
from torch import Tensor

from ..checks import check_count, check_in_interval
from ..classes.neighbourhoods import class_spacing
from ..labels.label_posterior import LabelPosterior
from ..labels.posterior import geodesic_gap

# Trust is 1 for classes that are not judged yet, which must exceed the threshold.
HIGHEST_THRESHOLD = 0.9999

# Fields that have become keywords of the wrapper.
_RENAMED = {"trust_threshold": "trust_threshold", "memory_size": "replay_memory"}


@dataclass(frozen=True)
class Relabelling:
    """Relabels doubtful samples with their likeliest class, where that is safe.

    Leaving out wrong labels costs the wrapped loss pairs: of 32 classes × 4 samples with half of
    the labels wrong, two samples per class are left. A doubtful sample is relabelled if the
    posterior of its likeliest class exceeds ``confidence`` and the centroid of that class is nearer
    than that of the given label by more than ``gap`` times the typical distance between
    neighbouring classes. The second condition keeps the model from following its own guesses where
    classes lie close together. There, a posterior trained on such guesses is overconfident.

    Relabelling waits until the estimated noise rate has settled (``LabelNoiseModel.has_settled``).
    With half of the labels wrong and a triplet loss, that takes over 150 batches. Relabelling
    sooner made training collapse. If hardly any label is wrong, nothing is relabelled: almost no
    pairs are lost, and most samples that look wrong are right but hard.

    Args:
        confidence: in [0.5, 1]; with 1 nothing is relabelled.
        gap: ≥ 0, in units of the mean distance between a class and its 5 nearest classes.
        trust_threshold: deprecated; give it to the wrapper.
        memory_size: deprecated; give it to the wrapper as ``replay_memory``.
        min_noise_rate: in [0, 1], the estimated noise rate above which samples are relabelled. With
            clean labels, the estimate is below .05 on eight of ten data sets with every loss tried.

    Raises:
        ValueError: if an option is out of range.

    Source:
        This project; class-wise divergence as the yardstick is AHSML's idea.

    Example:
        >>> from pytorch_metric_learning.losses import MultiSimilarityLoss
        >>> from pml_ahsml import AdaptiveNoiseAwareLoss
        >>> careful = Relabelling(confidence=0.99, gap=1.0)
        >>> loss = AdaptiveNoiseAwareLoss(
        ...     MultiSimilarityLoss(), num_classes=3, embedding_size=4, relabel=careful
        ... )
    """

    confidence: float = 0.95
    gap: float = 0.5
    trust_threshold: float | None = field(default=None, repr=False)
    memory_size: int | None = field(default=None, repr=False)
    min_noise_rate: float = 0.05

    def __post_init__(self) -> None:
        checked = {
            "confidence": check_in_interval("confidence", self.confidence, 0.5, 1.0),
            "gap": check_in_interval("gap", self.gap, 0.0, float("inf")),
            "min_noise_rate": check_in_interval("min_noise_rate", self.min_noise_rate, 0.0, 1.0),
        }
        if self.trust_threshold is not None:
            checked["trust_threshold"] = check_trust_threshold(self.trust_threshold)
        if self.memory_size is not None:
            checked["memory_size"] = check_count("memory_size", self.memory_size, minimum=0)
        for name, value in checked.items():
            # store plain Python numbers, whatever type was given
            object.__setattr__(self, name, value)
        for name in _RENAMED.keys() & checked.keys():
            warnings.warn(
                f"{name} of Relabelling is deprecated: give {_RENAMED[name]} to "
                "AdaptiveNoiseAwareLoss",
                DeprecationWarning,
                stacklevel=3,
            )

    def decide(
        self, belief: LabelPosterior, as_given: Tensor, noise_rate: float
    ) -> tuple[Tensor, Tensor]:
        """Decide which samples the wrapped loss sees, and with which labels.

        Args:
            belief: the label model's posterior for the samples.
            as_given: (N,) bool, the samples that take part with their given label.
            noise_rate: the model's estimate.

        Returns:
            takes_part: (N,) bool, these samples and the relabelled ones.
            believed: (N,) labels; they differ from the given ones only for relabelled samples.
        """
        evidence, labels = belief.evidence, belief.labels
        if not noise_rate > self.min_noise_rate:  # nan before it is known
            return as_given, labels
        certainty, columns = evidence.of_single_classes(belief.posterior).max(1)
        guesses = evidence.classes_of(columns)
        spacing = class_spacing(evidence.neighbourhoods)
        gap = geodesic_gap(evidence.distances, spacing, evidence.own_columns(labels), columns)
        relabelled = ~as_given & (guesses != labels) & (certainty > self.confidence)
        relabelled &= gap > self.gap
        return as_given | relabelled, torch.where(relabelled, guesses, labels)


def check_trust_threshold(value: float) -> float:
    """Return the threshold as a plain Python number; raise unless it lies in [0.5, 0.9999]."""
    return check_in_interval("trust_threshold", value, 0.5, HIGHEST_THRESHOLD)
