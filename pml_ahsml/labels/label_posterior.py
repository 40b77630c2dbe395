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
from .running_discriminant import Others


class Opinion(NamedTuple):
    """A SecondOpinion's posterior for a batch.

    Args:
        posterior: (N, K) over the true class, by which labels are judged.
        lenient: (N, K) the same, excusing labels that are often confused.
        latest: (N, K) log p̂, by the current embeddings alone, without the labels.
        points: (N, D) coordinates of the samples.
        others: the other samples with each sample's label.
        averages: (N, K) log p̄, averaged with those of earlier visits; None without sample ids.
    """

    posterior: Tensor
    lenient: Tensor
    latest: Tensor
    points: Tensor
    others: Others
    averages: Tensor | None = None

    def select(self, rows: Tensor) -> "Opinion":
        """Return the opinion about some samples, given by (M,) indices."""
        averages = self.averages if self.averages is None else self.averages[rows]
        return Opinion(
            self.posterior[rows],
            self.lenient[rows],
            self.latest[rows],
            self.points[rows],
            self.others.select(rows),
            averages,
        )


class BatchCounts(NamedTuple):
    """What the host must know of a batch to learn from it.

    Args:
        known: number of samples whose label is of a class seen before.
        seen: number of classes seen before.
        repetitions: number of samples with the id of another before them; 0 without ids.
        with_others: number of samples with others of their class in the ``SecondOpinion``.
    """

    known: int
    seen: int
    repetitions: int = 0
    with_others: int = 0


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
        read = map(int, numbers.of(name, tensor))
        return BatchCounts(**dict(zip(self._counted, read, strict=True)))

    @cached_property
    def known(self) -> Tensor:
        """(N,) bool, the samples whose label is of a class seen before."""
        return self.evidence.seen[self.labels]

    @cached_property
    def unread_counts(self) -> tuple[HostNumbers, str, Tensor]:
        """The counts, to be read together with other numbers by ``read_together``."""
        return HostNumbers(), "counts", torch.stack(list(self._counted.values()))

    @cached_property
    def _counted(self) -> dict[str, Tensor]:
        evidence = self.evidence
        counts = {"known": self.known.sum(), "seen": evidence.seen.sum()}
        if evidence.sample_ids is not None:
            counts["repetitions"] = LabelOrder.of(evidence.sample_ids).is_again.sum()
        if self.opinion is not None:
            counts["with_others"] = (self.opinion.others.masses > 0).sum()
        return counts

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
            opinion=self.opinion and self.opinion.select(rows),
            normaliser=normaliser or Normaliser(*(table[rows] for table in self.normaliser)),
            answers={
                name: answer and tuple(column[rows] for column in answer)
                for name, answer in self.answers.items()
            },
        )
