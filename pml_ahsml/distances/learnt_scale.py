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

    Factor = target·D/median of ‖e‖ over the rows. The median ignores a few odd rows. Under
    ``torch.distributed`` it is the mean of the medians of all ranks, so that all ranks have the
    same factor: they must then see their first batch at the same step. The factor is an entry of
    ``state_dict()``.

    Args:
        target: t > 0, the norm of the median row after scaling, for each of its D dimensions.

    Source:
        This project.

    Example:
        >>> scale = LearntScale(2.0)
        >>> scale.find(torch.tensor([[0.5, 0.0], [0.0, 0.5], [40.0, 0.0]]))
        >>> scale.factor
        8.0
    """

    factors: Tensor

    def __init__(self, target: float) -> None:
        super().__init__()
        self.target = target
        # 0 before the first batch
        self.register_table("factors", torch.zeros(1, dtype=torch.float32), Rule(lowest=0))

    @property
    @torch.compiler.disable  # what a compiled step has found must be seen by the next one
    def is_found(self) -> bool:
        """Whether a batch has been seen."""
        return self.numbers("factors")[0] > 0

    @property
    @torch.compiler.disable
    def factor(self) -> float:
        """The factor; 1 before the first batch."""
        return self.numbers("factors")[0] or 1.0

    @torch.compiler.disable
    @torch.no_grad()
    def find(self, embeddings: Tensor) -> None:
        """Find the factor from a batch, unless there is one.

        A batch without rows, or whose norms are 0 or not finite in the median, changes nothing.

        Args:
            embeddings: (N, D).

        Raises:
            ValueError: inside a transform of torch.func, in which no value can be read.
        """
        if self.is_found:
            return
        rows = embeddings.detach()
        norms = torch.linalg.vector_norm(rows, dim=1, dtype=exact_dtype(rows))
        try:
            median = float(norms.median()) if rows.numel() else 0.0
        except RuntimeError:
            raise ValueError(
                "embeddings must be an ordinary tensor where the scale is found, got one inside a "
                "transform of torch.func: call find_scale before"
            ) from None
        norm = mean_over_ranks(median, len(norms), rows.device)
        if math.isfinite(norm) and norm > 0:
            self.on(rows.device)
            self.factors.fill_(self.target * rows.shape[1] / norm)
            self.count_change()
