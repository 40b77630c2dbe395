"""What is made of the rows of a batch."""

from dataclasses import dataclass, replace

from torch import Tensor


@dataclass(frozen=True)
class Judgement:
    """Which labels are believed.

    Args:
        trusted: (N,) bool, by ``label_posterior.trusted_labels``; what the centroids go by.
        takes_part: (N,) bool, what the wrapped loss sees.
        labels: (N,) as given, or as believed where a row is relabelled.
        relabels: whether relabelling has begun.
    """

    trusted: Tensor
    takes_part: Tensor
    labels: Tensor
    relabels: bool

    def select(self, rows: Tensor) -> "Judgement":
        """The judgement of some rows, a (N,) bool mask."""
        return replace(
            self,
            trusted=self.trusted[rows],
            takes_part=self.takes_part[rows],
            labels=self.labels[rows],
        )
