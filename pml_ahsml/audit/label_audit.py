"""What an audit found out about the labels of a data set."""

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from .rows import Cleaned, ClassSummary, Confusion, Duplicate, Suspect
from .tables import class_summaries, confusions, suspects

POLICIES = ("drop", "relabel", "keep")

# A label is doubted if it is more likely wrong than right.
_DOUBTED = 0.5


@dataclass(frozen=True)
class LabelAudit:
    """Which labels of a data set are wrong, and what they should be.

    Made by :func:`pml_ahsml.audit_labels` or ``AdaptiveNoiseAwareLoss.audit``.

    Args:
        labels: (N,) labels as given.
        trust: (N,) probability that each label is right, from what *other* samples say.
        suggested: (N,) likeliest class of each sample.
        confidence: (N,) probability of the suggested class.
        is_judged: (N,) bool; the others lack evidence, for example in a class with one sample.
        is_of_no_class: (N,) bool, samples that seem to belong to none of the classes.
        noise_rate: estimated share of wrong labels.
        noise_rate_interval: bounds that hold the share of wrong labels with 90 % probability.
        neighbours: (N, k) rows of the nearest other samples, nearest first; -1 where there is none.
        duplicate_pairs: (P, 2) rows of near-duplicates with different labels.
        duplicate_similarity: (P,) cosines of their embeddings.
        class_distances: (K, K) distances between the classes, for the class tree; nan for classes
            without samples. None with too many classes for a tree.
        class_names: K names.
        sample_names: N names, or None.
    """

    labels: Tensor
    trust: Tensor
    suggested: Tensor
    confidence: Tensor
    is_judged: Tensor
    is_of_no_class: Tensor
    noise_rate: float
    noise_rate_interval: tuple[float, float]
    neighbours: Tensor
    duplicate_pairs: Tensor
    duplicate_similarity: Tensor
    class_distances: Tensor | None
    class_names: tuple[str, ...]
    sample_names: tuple[str, ...] | None = None

    @property
    def is_doubted(self) -> Tensor:
        """(N,) bool: the label is more likely wrong than right."""
        return self.is_judged & (self.trust < _DOUBTED)

    def suspects(self, limit: int | None = None) -> list[Suspect]:
        """The doubted labels, most doubtful first."""
        return suspects(self, limit)

    def classes(self) -> list[ClassSummary]:
        """What is said of each class, the class with the largest share of doubted labels first."""
        return class_summaries(self)

    def confusions(self) -> list[Confusion]:
        """Pairs of classes that are confused, most samples first."""
        return confusions(self)

    def duplicates(self) -> list[Duplicate]:
        """Near-duplicates with different labels, most similar first."""
        names = self.class_names
        return [
            Duplicate(i, j, names[self.labels[i]], names[self.labels[j]], similarity)
            for (i, j), similarity in zip(
                self.duplicate_pairs.tolist(), self.duplicate_similarity.tolist(), strict=True
            )
        ]

    def cleaned(self, policy: str = "drop") -> Cleaned:
        """Labels to train on, and the samples to train on."""
        if policy not in POLICIES:
            raise ValueError(f"policy must be one of {POLICIES}, got {policy!r}")
        everything = torch.ones_like(self.is_doubted)
        if policy == "keep":
            return Cleaned(self.labels, everything)
        if policy == "drop":
            return Cleaned(self.labels, ~self.is_doubted & ~self.is_of_no_class)
        labels = torch.where(self.is_doubted & ~self.is_of_no_class, self.suggested, self.labels)
        return Cleaned(labels, ~self.is_of_no_class)

    def with_verdicts(self, right: Tensor, wrong: Tensor) -> "LabelAudit":
        """A copy in which somebody's verdicts replace what was estimated."""
        trust = torch.where(right, 1.0, torch.where(wrong, 0.0, self.trust))
        return replace(self, trust=trust, is_judged=self.is_judged | right | wrong)
