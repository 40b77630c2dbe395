"""What an audit found out about the labels of a data set."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from os import PathLike
from typing import Any

import torch
from torch import Tensor

from ..checks import check_count
from .cleaning import cleaned
from .datalab import datalab_columns
from .files import suspects_to_csv, to_json
from .page import to_html
from .report import report
from .rows import ClassSummary, Cleaned, Confusion, Duplicate, Suspect
from .tables import class_summaries, confusions, duplicates, most_doubtful_first, suspects
from .verdicts import check_verdicts, read_verdicts

# A label is doubted if it is more likely wrong than right.
_DOUBTED = 0.5


@dataclass(frozen=True, eq=False)
class LabelAudit:
    """Which labels of a data set are wrong, and what they should be.

    Made by :func:`pml_ahsml.audit_labels` or ``AdaptiveNoiseAwareLoss.audit``.

    Args:
        labels: (N,) labels as given.
        trust: (N,) probability that each label is right, from what *other* samples say.
        suggested: (N,) label of the likeliest class of each sample.
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
        class_values: (K,) the label of each class, ascending; None for 0, 1, …, K − 1.

    Example:
        Five samples, the second of which is labelled "dog" though its neighbours are cats:

        >>> audit = LabelAudit(
        ...     labels=torch.tensor([0, 1, 0, 1, 1]),
        ...     trust=torch.tensor([0.9, 0.1, 0.9, 0.9, 0.9]),
        ...     suggested=torch.tensor([0, 0, 0, 1, 1]),
        ...     confidence=torch.tensor([0.9, 0.875, 0.9, 0.9, 0.9]),
        ...     is_judged=torch.ones(5, dtype=torch.bool),
        ...     is_of_no_class=torch.zeros(5, dtype=torch.bool),
        ...     noise_rate=0.26,
        ...     noise_rate_interval=(0.02, 0.6),
        ...     neighbours=torch.tensor([[2, 1], [0, 2], [1, 0], [4, -1], [3, -1]]),
        ...     duplicate_pairs=torch.empty(0, 2, dtype=torch.long),
        ...     duplicate_similarity=torch.empty(0),
        ...     class_distances=torch.tensor([[0.0, 1.0], [1.0, 0.0]]),
        ...     class_names=("cat", "dog"),
        ... )
        >>> [(s.index, s.given, s.suggested, s.disagreeing) for s in audit.suspects()]
        [(1, 'dog', 'cat', (0, 2))]
        >>> audit.confusions()
        [Confusion(given='dog', suggested='cat', count=1, reverse=0)]
        >>> audit.cleaned("relabel").labels
        tensor([0, 0, 0, 1, 1])
        >>> audit.cleaned("drop").mask
        tensor([ True, False,  True,  True,  True])
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
    class_values: Tensor | None = None

    @property
    def labels_of_classes(self) -> Tensor:
        """(K,) the label of each class."""
        if self.class_values is None:
            return torch.arange(len(self.class_names))
        return self.class_values

    def numbers_of(self, labels: Tensor) -> Tensor:
        """Places of the classes of some labels in ``class_names``; those of -1 are -1."""
        if self.class_values is None:
            return labels
        numbers = torch.searchsorted(self.class_values, labels.contiguous())
        return numbers.where(labels >= 0, -1)

    @property
    def is_doubted(self) -> Tensor:
        """(N,) bool, true where a label is more likely wrong than right."""
        return self.is_judged & (self.trust < _DOUBTED)

    def suspects(self, limit: int | None = None) -> list[Suspect]:
        """The doubted labels, most doubtful first.

        Args:
            limit: at most so many, ≥ 0; all by default.

        Raises:
            ValueError: if ``limit`` is negative.
            TypeError: if ``limit`` is not an integer.
        """
        return self._rows(self.is_doubted, limit)

    def of_no_class(self, limit: int | None = None) -> list[Suspect]:
        """The samples that seem to belong to none of the classes, least trusted first.

        Some of their labels may be doubted, too: these stand in :meth:`suspects` as well.

        Args:
            limit: at most so many, ≥ 0; all by default.

        Raises:
            ValueError: if ``limit`` is negative.
            TypeError: if ``limit`` is not an integer.
        """
        return self._rows(self.is_of_no_class, limit)

    def _rows(self, chosen: Tensor, limit: int | None) -> list[Suspect]:
        if limit is not None:
            limit = check_count("limit", limit, minimum=0)
        return suspects(self, most_doubtful_first(self, chosen, limit))

    def classes(self) -> list[ClassSummary]:
        """What is said of each class, the class with the largest share of doubted labels first."""
        return class_summaries(self)

    def confusions(self) -> list[Confusion]:
        """Pairs of classes that are confused, most samples first."""
        return confusions(self)

    def duplicates(self) -> list[Duplicate]:
        """Near-duplicates with different labels, most similar first."""
        return duplicates(self)

    def cleaned(self, policy: str = "drop") -> Cleaned:
        """Labels to train on, and the samples to train on.

        Args:
            policy: "drop" leaves out doubted labels and samples of no class. "relabel" replaces
                doubted labels by the suggested ones, and leaves out samples of no class and
                doubted ones for which no other class is suggested. "keep" changes nothing.

        Raises:
            ValueError: if ``policy`` is unknown.
        """
        return cleaned(self, policy)

    def report(self) -> str:
        """A text of at most a screen: how many labels are wrong, where, and how to go on."""
        return report(self)

    def to_csv(self, path: str | PathLike[str], limit: int | None = None) -> None:
        """Write the doubted labels and the samples of no class, least trusted first.

        The columns ``verdict`` and ``label`` are empty: fill them in with any spreadsheet and hand
        the file to :meth:`apply`.

        Args:
            path: of the file, which is replaced.
            limit: at most so many rows, ≥ 0; all by default.

        Raises:
            ValueError: if ``limit`` is negative.
            TypeError: if ``limit`` is not an integer.
        """
        if limit is not None:
            limit = check_count("limit", limit, minimum=0)
        suspects_to_csv(self, path, limit)

    def to_json(self, path: str | PathLike[str]) -> None:
        """Write all of it: the tables, and trust and suggested class of every sample.

        Args:
            path: of the file, which is replaced. It holds strict JSON: null stands for a number
                that is not known.
        """
        to_json(self, path)

    def to_html(
        self,
        path: str | PathLike[str],
        images: Any = None,
        texts: Sequence[str] | None = None,
        *,
        limit: int = 300,
        title: str = "Label audit",
    ) -> None:
        """Write a page to look at: one file, which needs no network.

        It shows what :meth:`report` says, the histogram of trust, classes, confused pairs, the
        class tree and cards of the most doubtful samples. Tick each as wrong, right or unsure, and
        download the ticks for :meth:`apply`.

        Args:
            path: of the file, which is replaced.
            images: N paths of image files, arrays or tensors (H, W), (H, W, C) or (C, H, W), or
                pillow's images. Anything with a length and ``images[i]`` will do: only those of the
                page are read. Values that are not uint8 are bytes if they lie in [0, 1] times 255,
                and are stretched to that range otherwise. Needs pillow.
            texts: N texts.
            limit: number of cards, ≥ 0. 300 is an hour's work and a page of some megabytes.
            title: of the page.

        Raises:
            ValueError: if a length or a shape is wrong.
            TypeError: if an argument is of a wrong type.
            ImportError: if ``images`` are given and pillow is not installed.
        """
        to_html(self, path, images, texts, check_count("limit", limit, minimum=0), title)

    def datalab_issues(self) -> dict[str, Any]:
        """The label issues as cleanlab's Datalab names them.

        Returns:
            Columns of N entries each: ``is_label_issue`` (bool), ``label_score`` (trust),
            ``given_label`` and ``predicted_label`` (names of classes). ``pandas.DataFrame`` takes
            them, and has the columns of ``Datalab.get_issues("label")`` then.
        """
        return datalab_columns(self)

    def apply(self, path: str | PathLike[str]) -> "LabelAudit":
        """A copy in which the verdicts of a file replace what was estimated.

        Args:
            path: a CSV file, as the page and :meth:`to_csv` write it. Its columns ``index`` and
                ``verdict`` are read, and ``label`` where there is one: the name of the right class
                of a sample whose label is "wrong"; left empty, the suggested class stands. Other
                columns are ignored. A verdict is "wrong", "right", "unsure" or empty; the last two
                change nothing.

        Returns:
            The copy. Its noise rate stays as estimated: those who look at suspects first see more
            wrong labels than there are elsewhere.

        Raises:
            ValueError: if the file cannot be read so; the message says the line.
        """
        return self.with_verdicts(*read_verdicts(path, self))

    def with_verdicts(
        self, right: Tensor, wrong: Tensor, corrected: Tensor | None = None
    ) -> "LabelAudit":
        """A copy in which somebody's verdicts replace what was estimated.

        Args:
            right: (N,) bool, samples whose label is right.
            wrong: (N,) bool, samples whose label is wrong.
            corrected: (N,) integers, the right label of those that are wrong; -1 leaves the
                suggested one.

        Raises:
            ValueError: if a shape or a class is wrong, or a label is both right and wrong.
            TypeError: if a mask is not of dtype bool, or ``corrected`` not of integers.
        """
        check_verdicts(right, wrong, corrected, len(self.labels), self.labels_of_classes)
        known = right.clone()
        suggested = torch.where(right, self.labels, self.suggested)
        if corrected is not None:
            given = wrong & (corrected >= 0)
            suggested = torch.where(given, corrected, suggested)
            known |= given
        trust = torch.where(right, 1.0, torch.where(wrong, 0.0, self.trust))
        return replace(
            self,
            trust=trust.to(self.trust),
            suggested=suggested,
            confidence=torch.where(known, 1.0, self.confidence).to(self.confidence),
            is_judged=self.is_judged | right | wrong,
            is_of_no_class=self.is_of_no_class & ~known,
        )
