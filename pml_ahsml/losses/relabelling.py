"""What becomes of the samples whose label is doubtful."""

from dataclasses import dataclass

import torch
from torch import Tensor

from ..checks import check_count, check_in_interval
from ..classes.neighbourhoods import class_spacing
from ..labels.label_posterior import LabelPosterior
from ..labels.posterior import geodesic_gap

# Trust is 1 for classes that are not judged yet, and must exceed the threshold then.
_HIGHEST_THRESHOLD = 0.9999


@dataclass(frozen=True)
class Relabelling:
    """Doubtful samples are relabelled where that is safe, and replaced by past ones elsewhere.

    Leaving out what is wrong costs the wrapped loss pairs: of 32 classes × 4 samples with half of
    the labels wrong, two samples a class are left. So that it has pairs enough to learn from,

    1. a doubtful sample takes part with the label it is believed to have, if the posterior of that
       class exceeds ``confidence`` and its centroid is nearer than that of the given label by more
       than ``gap`` times the typical distance between neighbouring classes. The second condition
       keeps the model from following its own guesses where classes lie close, which is where a
       posterior that has been trained on them is overconfident;
    2. remembered embeddings of trusted samples take part, without a gradient, if their trust
       exceeds ``trust_threshold`` now, too: what was trusted while features were poor need not be.
       Where M of N rows are left, a class that has n of the N is filled up to n·N/M, at most 2n.
       It makes up for the pairs that were lost, and outvotes wrong labels that have been believed;
    3. as a right label left out has become cheap and a wrong one kept has not, the wrapped loss
       sees a label as given only with trust above ``trust_threshold`` instead of ½.

    Remembered samples take part from the end of the warm-up, the rest waits until the estimated
    noise rate has settled (``LabelNoiseModel.has_settled``). With half of the labels wrong a
    triplet loss takes over 150 batches until it has; relabelling sooner made trainings collapse.
    Where hardly a label is wrong nothing is relabelled: next to no pairs are lost, and most samples
    that look wrong are right and hard.

    Args:
        confidence: in [0.5, 1]; with 1 nothing is relabelled.
        gap: ≥ 0, in units of the mean distance between a class and its 5 nearest classes.
        trust_threshold: in [0.5, 0.9999], for labels as given and for remembered samples.
        memory_size: embeddings to remember, 0 for none. Eight batches of 128 are old enough to hold
            several samples of a class and young enough to fit the present network.
        min_noise_rate: in [0, 1], the estimated noise rate above which samples are relabelled. Of
            ten data sets with clean labels eight are estimated below .05 with every loss tried.

    Raises:
        ValueError: for an option outside its range.

    Source:
        This project; class-wise divergence as the yardstick is AHSML's idea, a memory of past
        embeddings that of Wang et al. (XBM), CVPR 2020.

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
    trust_threshold: float = 0.8
    memory_size: int = 1024
    min_noise_rate: float = 0.05

    def __post_init__(self) -> None:
        checked = {
            "confidence": check_in_interval("confidence", self.confidence, 0.5, 1.0),
            "gap": check_in_interval("gap", self.gap, 0.0, float("inf")),
            "trust_threshold": check_in_interval(
                "trust_threshold", self.trust_threshold, 0.5, _HIGHEST_THRESHOLD
            ),
            "memory_size": check_count("memory_size", self.memory_size, minimum=0),
            "min_noise_rate": check_in_interval("min_noise_rate", self.min_noise_rate, 0.0, 1.0),
        }
        for name, value in checked.items():
            # plain numbers of Python, whatever they came as
            object.__setattr__(self, name, value)

    def decide(
        self, belief: LabelPosterior, trust: Tensor, noise_rate: float
    ) -> tuple[Tensor, Tensor]:
        """Which samples the wrapped loss sees, and with which labels.

        Args:
            belief: what the label model makes of the samples.
            trust: (N,) in their labels: the model's, or 1 where it is not asked.
            noise_rate: the model's estimate.

        Returns:
            takes_part: (N,) bool.
            believed: (N,) labels; other than given only where a sample takes part.
        """
        evidence, labels = belief.evidence, belief.labels
        as_given = trust > self.trust_threshold
        some_are_wrong = noise_rate > self.min_noise_rate  # not for nan, before it is known
        if as_given.all() or not some_are_wrong:
            return as_given, labels
        certainty, columns = evidence.of_single_classes(belief.posterior).max(1)
        guesses = evidence.classes_of(columns)
        spacing = class_spacing(evidence.neighbourhoods)
        gap = geodesic_gap(evidence.distances, spacing, evidence.own_columns(labels), columns)
        relabelled = ~as_given & (guesses != labels) & (certainty > self.confidence)
        relabelled &= gap > self.gap
        return as_given | relabelled, torch.where(relabelled, guesses, labels)
