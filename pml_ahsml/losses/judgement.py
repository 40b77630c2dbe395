"""Decisions about the rows of a batch."""

from dataclasses import dataclass, replace
from functools import cached_property

from torch import Tensor

from ..labels.posterior import trusted_labels


@dataclass(frozen=True)
class Judgement:
    """Which rows of a batch are trusted, take part and are relabelled.

    Args:
        trust: (N,) trust in the labels, 1 where the model is not used.
        takes_part: (N,) bool, the rows that the wrapped loss sees.
        labels: (N,) labels after relabelling.
        as_given: (N,) bool, those of them that keep their given label.
        relabels: whether relabelling has begun.
        num_taking_part: number of rows that take part; None if the host has not read it.
        num_as_given: number of those that keep their label, likewise.
        least_trust: rows trusted less are not trusted, because the noise rate is known.
        num_not_judged: number of rows whose label is believed because the model or the class is
            still in its warm-up, likewise.
    """

    trust: Tensor
    takes_part: Tensor
    labels: Tensor
    as_given: Tensor
    relabels: bool
    num_taking_part: int | None = None
    num_as_given: int | None = None
    num_not_judged: int | None = None
    least_trust: float = 0.0

    @cached_property
    def trusted(self) -> Tensor:
        """(N,) bool, by ``posterior.trusted_labels``; used to update the centroids."""
        return trusted_labels(self.trust, self.least_trust)

    def select(self, rows: Tensor) -> "Judgement":
        """Return the decisions about some rows, a (N,) bool mask."""
        selected = replace(
            self,
            trust=self.trust[rows],
            takes_part=self.takes_part[rows],
            labels=self.labels[rows],
            as_given=self.as_given[rows],
            num_taking_part=None,
            num_as_given=None,
            num_not_judged=None,
        )
        # which rows are trusted depends on the others as well
        selected.__dict__["trusted"] = self.trusted[rows]
        return selected
