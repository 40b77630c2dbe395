"""The trust that a label must have, where the noise rate is known."""

import torch
from torch import Tensor

from ..checks import check_in_interval
from ..state.module_with_tables import ModuleWithTables
from ..state.saved_state import Rule

# Rounding must not lift the threshold above trusts that are all alike.
_ROUNDING = 1e-6

# Averaging over about fifty batches evens out chance: the share of wrong labels differs from batch
# to batch.
_DECAY = 0.98


class LeastTrust(ModuleWithTables):
    """Learns below which trust the known share of labels lies.

    The threshold is the R-quantile of the trust in the labels of a batch, averaged over some fifty
    batches. Whoever knows that a share R is wrong need not believe the trust, only its order.

    Args:
        noise_rate: R in [0, 0.9], the least share of wrong labels.

    Raises:
        TypeError, ValueError: if the rate is no number or out of range.

    Source:
        PRISM (Liu et al., CVPR 2021) averages the R-quantile of its own probability; this project.

    Example:
        >>> least = LeastTrust(noise_rate=0.25)
        >>> least.value  # nothing has been seen
        0.0
        >>> least.learn(torch.tensor([0.2, 0.9, 0.9, 0.9, 1.0]))
        >>> round(least.value, 4)
        0.9
    """

    sums: Tensor

    def __init__(self, noise_rate: float) -> None:
        noise_rate = check_in_interval("noise_rate", noise_rate, 0.0, 0.9)
        super().__init__()
        self.noise_rate = noise_rate
        # sum of the smoothing weights, and of the weighted quantiles
        sums = torch.zeros(2, dtype=torch.float32)
        self.register_table("sums", sums, Rule(lowest=0, highest=1))

    @property
    def value(self) -> float:
        """The threshold in [0, 1]; 0 before anything has been learnt."""
        weight, quantile = self.numbers("sums")
        return (1 - _ROUNDING) * quantile / weight if weight > 0 else 0.0

    @torch.no_grad()
    def learn(self, trust: Tensor) -> None:
        """Update from one batch.

        Args:
            trust: (N,) trust in the labels, N ≥ 1.
        """
        quantile = trust.to(self.sums).quantile(self.noise_rate)
        latest = torch.stack([torch.ones_like(quantile), quantile])
        self.sums.lerp_(latest, 1 - _DECAY)
        self.count_change()
