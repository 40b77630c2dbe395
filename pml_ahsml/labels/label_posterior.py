"""The label model's posterior for a batch."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import NamedTuple

import torch
from torch import Tensor

from ..classes.class_distances import ClassDistances
from .confusion_prior import Normaliser


class Opinion(NamedTuple):
    """A SecondOpinion's posterior for a batch.

    Args:
        posterior: (N, K) over the true class.
        likelihood: (N, K) by the current embeddings alone, without the labels; rows sum to 1.
    """

    posterior: Tensor
    likelihood: Tensor


@dataclass(frozen=True)
class LabelPosterior:
    """A LabelNoiseModel's posterior for a batch, with what the model needs to learn from it.

    Args:
        evidence: distances of the samples to the classes.
        labels: (N,) labels as given.
        likelihood: (N, K) p_i(k), by the columns of the evidence.
        posterior_by_distance: (N, K) t_i(k) without counted confusions; the model learns from it.
        posterior: (N, K) t_i(k) with counted confusions and the second opinion; labels are judged
            by it. In both posteriors, rows whose label is of an unseen class are meaningless.
        trust: (N,) q_i, the posterior of the given label.
        normaliser: (K,), or (N, C) for candidates, log Z_k and E_k of the confusion prior.
        opinion: that of the ``SecondOpinion``, or None.
        answers: answer of each witness about the samples, by its name.
    """

    evidence: ClassDistances
    labels: Tensor
    likelihood: Tensor
    posterior_by_distance: Tensor
    posterior: Tensor
    trust: Tensor
    normaliser: Normaliser
    opinion: Opinion | None = None
    answers: Mapping[str, tuple[Tensor, ...] | None] = field(default_factory=dict)

    @property
    def normaliser_of_all_classes(self) -> Normaliser | None:
        """The normaliser; None if it is one of candidates, which other samples do not share."""
        return self.normaliser if self.evidence.candidates is None else None

    def select(self, rows: Tensor) -> "LabelPosterior":
        """Return the posterior of some samples, given by a (N,) bool mask or (M,) indices."""
        normaliser = self.normaliser_of_all_classes
        if rows.dtype == torch.bool:
            # once, as each selection by a mask would make the host wait for its size
            rows = rows.nonzero().squeeze(1)
        return replace(
            self,
            evidence=self.evidence.select(rows),
            labels=self.labels[rows],
            likelihood=self.likelihood[rows],
            posterior_by_distance=self.posterior_by_distance[rows],
            posterior=self.posterior[rows],
            trust=self.trust[rows],
            opinion=self.opinion and Opinion(*(table[rows] for table in self.opinion)),
            normaliser=normaliser or Normaliser(*(table[rows] for table in self.normaliser)),
            answers={
                name: answer and tuple(column[rows] for column in answer)
                for name, answer in self.answers.items()
            },
        )
