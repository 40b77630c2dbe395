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
        num_taking_part: number of rows that take part; None if the host has not read it.
        num_as_given: number of those that keep their given label, likewise.
    """

    trusted: Tensor
    takes_part: Tensor
    labels: Tensor
    relabels: bool
    num_taking_part: int | None = None
    num_as_given: int | None = None

    def as_given(self, labels: Tensor) -> Tensor:
        """(N,) bool, the rows that take part with their given label, one of (N,) labels."""
        return self.takes_part & (self.labels == labels) if self.relabels else self.takes_part

    def select(self, rows: Tensor) -> "Judgement":
        """Return the decisions about some rows, a (N,) bool mask."""
        return replace(
            self,
            trusted=self.trusted[rows],
            takes_part=self.takes_part[rows],
            labels=self.labels[rows],
            num_taking_part=None,
            num_as_given=None,
        )
