"""The noise rate over the last batches."""

import math

import torch
from torch import Tensor

from ..state.module_with_tables import ModuleWithTables
from ..state.saved_state import Rule
from .noise_floor import SMOOTHING

# The noise rate has settled if it moved by less than this over this many batches. It jitters by
# .03. While it converges, it moves by .1 in about twenty batches.
_SETTLED, _WINDOW = 0.1, 50


class NoiseRateHistory(ModuleWithTables):
    """Smooths the noise rate, and tells whether it has settled.

    Example:
        >>> history = NoiseRateHistory()
        >>> history.add(torch.tensor(0.3))
        >>> history.smooth(torch.tensor(0.3), distrusted=torch.tensor(0.25))
        >>> round(history.value, 6), history.has_settled
        (0.3, False)
    """

    sums: Tensor
    recent: Tensor

    def __init__(self) -> None:
        super().__init__()
        # sum of the smoothing weights, of the weighted ε, and of the weighted shares not trusted
        sums = torch.zeros(3, dtype=torch.float32)
        self.register_table("sums", sums, Rule(lowest=0, highest=1))
        # ε after each of the last batches, newest first; inf for batches not seen yet
        rates = Rule(lowest=0, may_be_inf=True)
        self.register_table("recent", sums.new_full((_WINDOW,), torch.inf), rates)

    @property
    def has_settled(self) -> bool:
        """Whether ε has moved by less than 0.1 over the last 50 batches."""
        recent = self.numbers("recent")
        return max(recent) - min(recent) < _SETTLED

    @property
    def value(self) -> float:
        """Smoothed share of wrong labels; nan before :meth:`smooth` has been called.

        The larger of ε and the share of distrusted labels. ε is too small if close classes are
        confused; the share is too small if samples are out-of-distribution.
        """
        weight, *sums = self.numbers("sums")
        return max(sums) / weight if weight > 0 else math.nan

    @torch.no_grad()
    def add(self, noise_rate: Tensor) -> None:
        """Record ε after a batch."""
        self.recent = torch.cat([noise_rate[None], self.recent[:-1]])
        self.count_change()

    @torch.no_grad()
    def smooth(self, noise_rate: Tensor, distrusted: Tensor) -> None:
        """Add a batch to the smoothed value.

        Args:
            noise_rate: ε.
            distrusted: share of the labels of the batch that are not trusted.
        """
        latest = torch.stack([torch.ones_like(noise_rate), noise_rate, distrusted])
        self.sums.lerp_(latest, 1 - SMOOTHING)
        self.count_change()
