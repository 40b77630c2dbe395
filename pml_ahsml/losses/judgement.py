"""Decisions about the rows of a batch."""

from dataclasses import dataclass, replace

from torch import Tensor


@dataclass(frozen=True)
class Judgement:
    """Which rows of a batch are trusted, take part and are relabelled.

    Args:
        trusted: (N,) bool, by ``posterior.trusted_labels``; used to update the centroids.
        takes_part: (N,) bool, the rows that the wrapped loss sees.
        labels: (N,) labels after relabelling.
        relabels: whether relabelling has begun.
    """

    trusted: Tensor
    takes_part: Tensor
    labels: Tensor
    relabels: bool

    def select(self, rows: Tensor) -> "Judgement":
        """Return the decisions about some rows, a (N,) bool mask."""
        return replace(
            self,
            trusted=self.trusted[rows],
            takes_part=self.takes_part[rows],
            labels=self.labels[rows],
        )
