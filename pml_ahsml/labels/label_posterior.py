"""The label model's posterior for a batch."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import NamedTuple

import torch
from torch import Tensor

from ..classes.class_distances import ClassDistances
from ..classes.class_means import LabelOrder
from ..state.host_numbers import read_together, rows_where
from .confusion_prior import Normaliser
from .running_discriminant import Others


class Opinion(NamedTuple):
    """A SecondOpinion's posterior for a batch.

    Args:
        posterior: (N, K) over the true class, by which labels are judged.
        lenient: (N, K) the same, excusing labels that are often confused.
        latest: (N, K) log p̂, by the current embeddings alone, without the labels; None if it need
            not be remembered.
        points: (N, D) coordinates of the samples.
        others: the other samples with each sample's label.
        averages: (N, K) log p̄, averaged with those of earlier visits; None without sample ids.
        before: (N, K) log p̄ of the earlier visits, likewise.
        unheard_trust: (N,) trust of the label model before it hears this opinion; None without
            sample ids.
    """

    posterior: Tensor
    lenient: Tensor
    latest: Tensor | None
    points: Tensor
    others: Others
    averages: Tensor | None = None
    before: Tensor | None = None
    unheard_trust: Tensor | None = None

    def select(self, rows: Tensor) -> "Opinion":
        """Return the opinion about some samples, given by (M,) indices."""
        return Opinion(
            self.posterior[rows],
            self.lenient[rows],
            None if self.latest is None else self.latest[rows],
            self.points[rows],
            self.others.select(rows),
            None if self.averages is None else self.averages[rows],
            None if self.before is None else self.before[rows],
            None if self.unheard_trust is None else self.unheard_trust[rows],
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

    @cached_property
    def counts(self) -> "BatchCounts":
        """Counts of the batch, read from the device unless ``read_counts`` has done so."""
        self.read_counts()
        counts: BatchCounts = self.__dict__["counts"]
        return counts

    def read_counts(self, *masks: Tensor) -> list[int]:
        """Read the counts of the batch, and in how many rows each of some masks is true, in one.

        Args:
            masks: (N,) bool each.
        """
        own = self._counted
        rows = torch.stack([*own.values(), *masks]).sum(1)
        in_rows, (seen,) = read_together([], [rows, self.evidence.seen.sum()])
        numbers = [int(number) for number in in_rows]
        counted = dict(zip(own, numbers, strict=False))
        self.__dict__["counts"] = BatchCounts(seen=int(seen), **counted)
        return numbers[len(own) :]

    @cached_property
    def known(self) -> Tensor:
        """(N,) bool, the samples whose label is of a class seen before."""
        return self.evidence.seen[self.labels]

    @cached_property
    def trust_by_distance(self) -> Tensor:
        """(N,) trust in the labels without counted confusions and the second opinion."""
        columns = self.evidence.own_columns(self.labels)
        return self.posterior_by_distance.gather(1, columns[:, None]).squeeze(1)

    @property
    def _counted(self) -> dict[str, Tensor]:
        """Masks whose true rows are counted, by the name of the count."""
        masks = {"known": self.known}
        if self.evidence.sample_ids is not None:
            masks["repetitions"] = LabelOrder.of(self.evidence.sample_ids).is_again
        if self.opinion is not None:
            masks["with_others"] = self.opinion.others.masses > 0
        return masks

    def select(self, rows: Tensor) -> "LabelPosterior":
        """Return the posterior of some samples, given by a (N,) bool mask or (M,) indices."""
        if rows.dtype == torch.bool:
            # once, as each selection by a mask would make the host wait for its size
            rows = rows_where(rows)
        normaliser = self.normaliser
        if self.evidence.candidates is not None:
            normaliser = Normaliser(*(table[rows] for table in normaliser))
        return replace(
            self,
            evidence=self.evidence.select(rows),
            labels=self.labels[rows],
            likelihood=self.likelihood[rows],
            posterior_by_distance=self.posterior_by_distance[rows],
            posterior=self.posterior[rows],
            trust=self.trust[rows],
            opinion=self.opinion and self.opinion.select(rows),
            normaliser=normaliser,
            answers={
                name: answer and tuple(column[rows] for column in answer)
                for name, answer in self.answers.items()
            },
        )
