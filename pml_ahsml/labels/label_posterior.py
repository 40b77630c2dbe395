"""The label model's posterior for a batch."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import NamedTuple

import torch
from torch import Tensor

from ..classes.class_distances import ClassDistances
from ..classes.class_means import LabelOrder
from ..state.host_numbers import HostNumbers, rows_where
from .confusion_prior import Normaliser


class Opinion(NamedTuple):
    """A SecondOpinion's posterior for a batch.

    Args:
        posterior: (N, K) over the true class, by which labels are judged.
        lenient: (N, K) the same, excusing labels that are often confused.
        likelihood: (N, K) by the current embeddings alone, without the labels; rows sum to 1.
        points: (N, D) coordinates of the samples.
        sums: (N, D) sums of the other samples with each sample's label, see ``Others``.
        masses: (N,) their weights.
    """

    posterior: Tensor
    lenient: Tensor
    likelihood: Tensor
    points: Tensor
    sums: Tensor
    masses: Tensor


class BatchCounts(NamedTuple):
    """What the host must know of a batch to learn from it.

    Args:
        known: number of samples whose label is of a class seen before.
        seen: number of classes seen before.
        samples: number of different sample ids; 0 without ids.
        with_others: number of samples with others of their class in the ``SecondOpinion``.
    """

    known: int
    seen: int
    samples: int
    with_others: int


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

    @property
    def counts(self) -> "BatchCounts":
        """Counts of the batch, read from the device at first."""
        numbers, name, tensor = self.unread_counts
        return BatchCounts(*map(int, numbers.of(name, tensor)))

    @cached_property
    def unread_counts(self) -> tuple[HostNumbers, str, Tensor]:
        """The counts, to be read together with other numbers by ``read_together``."""
        evidence, opinion, none = self.evidence, self.opinion, self.labels.new_zeros(())
        ids = evidence.sample_ids
        counts = [
            evidence.seen[self.labels].sum(),
            evidence.seen.sum(),
            none if ids is None else LabelOrder.of(ids).is_first.sum(),
            none if opinion is None else (opinion.masses > 0).sum(),
        ]
        return HostNumbers(), "counts", torch.stack(counts)

    def select(self, rows: Tensor) -> "LabelPosterior":
        """Return the posterior of some samples, given by a (N,) bool mask or (M,) indices."""
        normaliser = self.normaliser_of_all_classes
        if rows.dtype == torch.bool:
            # once, as each selection by a mask would make the host wait for its size
            rows = rows_where(rows)
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
