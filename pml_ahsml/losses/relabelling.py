"""When a sample is given the label that it is believed to have."""

from dataclasses import dataclass

from torch import Tensor

from ..checks import check_count, check_in_interval
from ..functional.label_posterior import geodesic_gap


@dataclass(frozen=True)
class Relabelling:
    """Relabel a distrusted sample if its likeliest class is certain and clearly nearer.

    Two conditions: the posterior of that class exceeds ``confidence``, and the sample is nearer to
    its centroid than to that of the given label by more than ``gap`` times the typical distance
    between neighbouring classes. The second keeps the model from following its own guesses where
    classes lie close, which is where a posterior that has been trained on them is overconfident.

    Args:
        confidence: in [0.5, 1].
        gap: ≥ 0, in units of the mean distance between a class and its 5 nearest classes.
        warmup: batches before the first sample is relabelled, ≥ 0. Guesses made right after the
            warm-up of the label model are wrong often enough to make a triplet loss collapse.

    Raises:
        ValueError: for an option outside its range.

    Source:
        This project; class-wise divergence as the yardstick is AHSML's idea.

    Example:
        >>> import torch
        >>> options = Relabelling(confidence=0.9, gap=0.5)
        >>> posterior = torch.tensor([[0.01, 0.99], [0.3, 0.7]])
        >>> distances = torch.tensor([[3.0, 0.5], [2.0, 1.0]])
        >>> divergence = torch.tensor([[0.0, 2.0], [2.0, 0.0]])
        >>> options.decide(posterior, distances, divergence, torch.tensor([0, 0]))
        (tensor([ True, False]), tensor([1, 1]))
    """

    confidence: float = 0.95
    gap: float = 0.5
    warmup: int = 200

    def __post_init__(self) -> None:
        check_in_interval("confidence", self.confidence, 0.5, 1.0)
        check_in_interval("gap", self.gap, 0.0, float("inf"))
        check_count("warmup", self.warmup, minimum=0)

    def decide(
        self, posterior: Tensor, distances: Tensor, divergence: Tensor, labels: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Which samples to relabel, and how.

        Args:
            posterior: (N, K) over the true class.
            distances: (N, K) geodesic distances to the class centroids.
            divergence: (K, K) geodesic distances between class centroids, nan for unseen classes.
            labels: (N,) labels as given.

        Returns:
            relabelled: (N,) bool, False where the likeliest class is the given one.
            guesses: (N,) the likeliest class of each sample.
        """
        certainty, guesses = posterior.max(1)
        gap = geodesic_gap(distances, divergence, labels, guesses)
        certain = (certainty > self.confidence) & (guesses != labels)
        return certain & (gap > self.gap), guesses
