"""The scale at which embeddings fit the ball, found from a batch."""

import math

import torch
from torch import Tensor

from ..precision import exact_dtype
from ..state.gather import mean_over_ranks
from ..state.module_with_tables import ModuleWithTables
from ..state.saved_state import Rule


class LearntScale(ModuleWithTables):
    """A factor for embeddings, found from the first batch and then kept.

    Factor = target/median of ‖e‖/√D, the root mean square of the coordinates of a row. The median
    ignores a few odd rows. Under ``torch.distributed`` it is the mean of the medians of all ranks,
    so that all ranks have the same factor: they must then see their first batch at the same step.
    The factor is an entry of ``state_dict()``.

    Args:
        target: t > 0, the root mean square of the coordinates of the median row after scaling.

    Source:
        This project.

    Example:
        >>> scale = LearntScale(2.0)
        >>> scale.find(torch.tensor([[0.5, -0.5], [0.5, 0.5], [40.0, 0.0]]))
        >>> scale.factor
        4.0
    """

    factors: Tensor

    def __init__(self, target: float) -> None:
        super().__init__()
        self.target = target
        # 0 before the first batch
        self.register_table("factors", torch.zeros(1, dtype=torch.float64), Rule(lowest=0))

    @property
    def is_found(self) -> bool:
        """Whether a batch has been seen."""
        return self.numbers("factors")[0] > 0

    @property
    def factor(self) -> float:
        """The factor; 1 before the first batch."""
        return self.numbers("factors")[0] or 1.0

    @torch.no_grad()
    def find(self, embeddings: Tensor) -> None:
        """Find the factor from a batch, unless there is one.

        A batch without rows, or whose norms are 0 or not finite in the median, changes nothing.

        Args:
            embeddings: (N, D).
        """
        if self.is_found:
            return
        rows = embeddings.detach()
        sizes = rows.to(exact_dtype(rows)).square().mean(1).sqrt()
        median = float(sizes.median()) if rows.numel() else 0.0
        size = mean_over_ranks(median, len(sizes), rows.device)
        if math.isfinite(size) and size > 0:
            self.on(rows.device)
            self.factors.fill_(self.target / size)
            self.count_change()
