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
        as_given: (N,) bool, those of them that keep their given label.
        relabels: whether relabelling has begun.
        trusted_by_model: (N,) bool, the rows trusted by the label model, whether or not it is used
            for them yet; None if not known.
        num_taking_part: number of rows that take part; None if the host has not read it.
        num_as_given: number of those that keep their label, likewise.
        num_not_judged: number of rows of the batch whose label is believed because the model or
            the class is still in its warm-up, likewise.
    """

    trusted: Tensor
    takes_part: Tensor
    labels: Tensor
    as_given: Tensor
    relabels: bool
    trusted_by_model: Tensor | None = None
    num_taking_part: int | None = None
    num_as_given: int | None = None
    num_not_judged: int | None = None

    def select(self, rows: Tensor) -> "Judgement":
        """Return the decisions about some rows, a (N,) bool mask."""
        return replace(
            self,
            trusted=self.trusted[rows],
            takes_part=self.takes_part[rows],
            labels=self.labels[rows],
            as_given=self.as_given[rows],
            # it depends on the other rows as well
            trusted_by_model=None,
            num_taking_part=None,
            num_as_given=None,
        )
