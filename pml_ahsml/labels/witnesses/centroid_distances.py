"""Evidence from the distances of samples to class centroids."""

import torch
from torch import Tensor

from ...classes.class_distances import ClassDistances
from .witness import Parameter, Witness, mean_product


class CentroidDistances(Witness):
    """Favours the classes whose centroids are near: −d(h_i, μ_k)/τ.

    The temperature τ is a geodesic length: how far a sample may lie from its class centroid.

    Example:
        >>> CentroidDistances().parameter.name
        'temperature'
    """

    # wide enough for every data set tried; keeps the softmax from overflow at the start
    parameter = Parameter("temperature", start=0.1, lowest=0.01, highest=2.0)

    def add_to(
        self, log_odds: Tensor, evidence: ClassDistances, answer: tuple[Tensor, ...], value: float
    ) -> Tensor:
        """Overrides ``Witness.add_to``: classes without a centroid get −inf."""
        return torch.sub(log_odds, evidence.distances, alpha=1 / value)

    def slope(
        self,
        surprise: Tensor,
        evidence: ClassDistances,
        answer: tuple[Tensor, ...] | None,
        value: float,
    ) -> Tensor:
        """mean_i Σ_k (t_i(k) − p_i(k))·d_ik / τ. Overrides ``Witness.slope``."""
        # the surprise is 0 for classes without a centroid
        return mean_product(surprise, evidence.distances, 1 / value)
