"""What the label model makes of a batch."""

from dataclasses import dataclass, replace

from torch import Tensor

from ..classes.evidence import Evidence
from .confusion_prior import Normaliser


@dataclass(frozen=True)
class Belief:
    """What a LabelNoiseModel makes of a batch.

    Args:
        evidence: what it goes by.
        labels: (N,) labels as given.
        likelihood: (N, K) p_i(k), by the columns of the evidence.
        without_counts: (N, K) t_i(k) without what has been counted, likewise: what is learnt from.
        posterior: (N, K) t_i(k) by what has been counted, too: what labels are judged by. Rows of
            labels whose class is unseen mean nothing, in either.
        trust: (N,) q_i, the posterior of the label as given.
        normaliser: (K,), or (N, C) for candidates, log Z_k and E_k of the confusion prior.
        neighbours: (N, k) labels of the nearest remembered samples, or None where none are asked.
        votes: (N, K) their votes, or None.
    """

    evidence: Evidence
    labels: Tensor
    likelihood: Tensor
    without_counts: Tensor
    posterior: Tensor
    trust: Tensor
    normaliser: Normaliser
    neighbours: Tensor | None = None
    votes: Tensor | None = None

    @property
    def normaliser_of_all_classes(self) -> Normaliser | None:
        """The normaliser, unless it is one of candidates, which other samples do not share."""
        return self.normaliser if self.evidence.candidates is None else None

    def select(self, rows: Tensor) -> "Belief":
        """The belief about some samples, a (N,) bool mask."""
        normaliser = self.normaliser_of_all_classes
        return replace(
            self,
            evidence=self.evidence.select(rows),
            labels=self.labels[rows],
            likelihood=self.likelihood[rows],
            without_counts=self.without_counts[rows],
            posterior=self.posterior[rows],
            trust=self.trust[rows],
            normaliser=normaliser or Normaliser(*(table[rows] for table in self.normaliser)),
            neighbours=None if self.neighbours is None else self.neighbours[rows],
            votes=None if self.votes is None else self.votes[rows],
        )
