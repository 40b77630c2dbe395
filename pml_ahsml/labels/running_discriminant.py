"""A linear discriminant that follows a network in training."""

from typing import NamedTuple

import torch
from torch import Tensor

from ..checks import check_count
from ..precision import exact_dtype
from ..state.derived import Derived
from ..state.module_with_tables import ModuleWithTables
from ..state.saved_state import Rule
from .linear_discriminant import Gaussians, own_log_densities, whitening, within_scatter
from .sample_table import SampleRows, SampleTable

# Sums of a class decay by 3 % at each batch that contains it, because the network moves its
# samples. With 1 % the results are the same.
_DECAY_OF_SUMS = 0.97

# The covariance is averaged over about fifty batches.
_DECAY = 0.98

# The covariance is known after this many batches, and inverted at every fifth.
_FIRST, _EVERY = 15, 5

# Weight of a distrusted sample in the sums of its class: a power of 2, so that adding it and taking
# it out again cancel exactly.
_DISTRUSTED_WEIGHT = 0.125

# With sample ids, the covariance is computed from at most this many samples.
_MOST_OF_A_SCATTER = 4096


class Others(NamedTuple):
    """Sums over the samples of a class without the one that is judged.

    Args:
        sums: (N, D) weighted sums of the samples.
        masses: (N,) sums of their weights.
        judged: rows of the ``SampleTable`` for those that are judged; None without ids.
        classes: (N,) the class whose sum contains each of them, or will; likewise.
    """

    sums: Tensor
    masses: Tensor
    judged: SampleRows | None = None
    classes: Tensor | None = None

    def select(self, rows: Tensor) -> "Others":
        """Return the sums for some of the judged samples, given by (M,) indices."""
        judged = self.judged and SampleRows(*(column[rows] for column in self.judged))
        classes = None if self.classes is None else self.classes[rows]
        return Others(self.sums[rows], self.masses[rows], judged, classes)


class RunningDiscriminant(ModuleWithTables):
    """Class means and one covariance of the current embeddings.

    Without sample ids, the sums of a class decay over time. With ``num_samples``, they are sums
    over a ``SampleTable``, so that a sample is in them once and can be left out.

    Args:
        num_classes: K ≥ 2.
        embedding_size: D ≥ 1.
        num_samples: training set size S, or None if samples have no ids.

    Raises:
        ValueError: if an option is out of range.

    Example:
        >>> discriminant = RunningDiscriminant(num_classes=2, embedding_size=1)
        >>> points, labels = torch.tensor([[0.0], [1.0], [4.0], [5.0]]), torch.tensor([0, 0, 1, 1])
        >>> for _ in range(16):
        ...     discriminant.learn(points, labels, torch.ones(4).bool())
        >>> discriminant.is_ready
        True
        >>> discriminant.log_densities(torch.tensor([[0.8]]), torch.tensor([1])).argmax(1)
        tensor([0])
    """

    sums: Tensor
    masses: Tensor
    scatter: Tensor
    whiten: Tensor
    batches: Tensor

    def __init__(
        self, num_classes: int, embedding_size: int, num_samples: int | None = None
    ) -> None:
        num_classes = check_count("num_classes", num_classes, minimum=2)
        embedding_size = check_count("embedding_size", embedding_size, minimum=1)
        table = (
            None if num_samples is None else SampleTable(num_samples, num_classes, embedding_size)
        )
        super().__init__()

        def zeros(*shape: int) -> Tensor:
            return torch.zeros(shape, dtype=torch.float32)

        self.samples = table
        self._gaussians: Derived[Gaussians] = Derived()
        self.register_table("sums", zeros(num_classes, embedding_size), Rule())
        self.register_table("masses", zeros(num_classes), Rule(lowest=0))
        # the covariance, and the map that makes it the identity
        self.register_table("scatter", zeros(embedding_size, embedding_size), Rule())
        self.register_table("whiten", zeros(embedding_size, embedding_size), Rule())
        self.register_table("batches", zeros(), Rule(lowest=0, is_whole=True))

    @property
    def is_ready(self) -> bool:
        """Whether the covariance is known."""
        return self.numbers("batches")[0] >= _FIRST

    def others(self, labels: Tensor, sample_ids: Tensor | None = None) -> Others:
        """Sums over the other samples with each sample's label; needs ids to leave it out.

        Args:
            labels: (N,) labels as given.
            sample_ids: (N,) or None.
        """
        if self.samples is None or sample_ids is None:
            return Others(self.sums[labels], self.masses[labels])
        return self._without(self.samples.rows(sample_ids), labels)

    def log_densities(
        self,
        points: Tensor,
        labels: Tensor,
        sample_ids: Tensor | None = None,
        others: Others | None = None,
    ) -> Tensor:
        """Log-density of each class at each sample, up to a constant per sample.

        Args:
            points: (N, D).
            labels: (N,) labels as given.
            sample_ids: (N,) ids of samples to leave out of their own class; None for none.
            others: what :meth:`others` returns for them, if already known.

        Returns:
            (N, K), −inf for a class without another sample.
        """
        classes = self._gaussians.of(Gaussians.of, self.sums, self.masses, self.whiten)
        densities = classes.log_densities(points)
        others = self.others(labels, sample_ids) if others is None else others
        if others.classes is None:
            return densities
        own = own_log_densities(points, others.sums, others.masses, self.whiten)
        return densities.scatter_(1, others.classes[:, None], own[:, None])

    @torch.no_grad()
    def learn(
        self,
        points: Tensor,
        labels: Tensor,
        trusted: Tensor,
        sample_ids: Tensor | None = None,
        others: Others | None = None,
        has_others: bool | None = None,
    ) -> None:
        """Update the class means and the covariance from a batch.

        Args:
            points: (N, D).
            labels: (N,) labels as given.
            trusted: (N,) bool; with ids, other samples weigh less in their class.
            sample_ids: (N,) each once; None without ids.
            others: what :meth:`others` returned for them, to save time.
            has_others: whether any of them has others, if the host knows it.
        """
        others = self.others(labels, sample_ids) if others is None else others
        if has_others is None:
            has_others = bool((others.masses > 0).any())
        # in float64, so that the order of the rows (the rank that gathered) does not matter
        points = points.to(exact_dtype(points))
        if has_others:
            number = int(self.numbers("batches")[0]) + 1
            self.batches += 1
            self._learn_scatter(points, labels, others, number)
        if others.judged is None or sample_ids is None:
            self._forget_and_add(points, labels)
        else:
            assert others.classes is not None
            self._exchange(others.judged, others.classes, points, labels, trusted, sample_ids)
        self.count_change()

    def _learn_scatter(self, points: Tensor, labels: Tensor, others: Others, number: int) -> None:
        is_time = number >= _FIRST and number % _EVERY == 0
        if self.samples is None:
            latest = self._scatter_of(points, labels, others)
            self.scatter.lerp_(latest, 1 - _DECAY)
            if is_time:
                self.whiten = whitening(self.scatter / (1 - _DECAY**number))
        elif is_time:
            rows = self.samples.rows(self.samples.some_ids(_MOST_OF_A_SCATTER, number))
            # those never seen have no others, and do not count
            seen, labels = rows.labels >= 0, rows.labels.clamp_min(0)
            sums, masses, *_ = self._without(rows, labels)
            others = Others(sums, masses.masked_fill(~seen, 0))
            self.scatter.copy_(self._scatter_of(rows.embeddings, labels, others))
            self.whiten = whitening(self.scatter)

    def _forget_and_add(self, points: Tensor, labels: Tensor) -> None:
        latest, counts = self._sums_of(points, labels)
        # 1 for classes that are not in the batch
        kept = torch.rsub(counts.clamp_max(1), 1, alpha=1 - _DECAY_OF_SUMS)
        self.sums.mul_(kept[:, None]).add_(latest)
        self.masses.mul_(kept).add_(counts)

    def _exchange(
        self,
        then: SampleRows,
        classes_then: Tensor,
        points: Tensor,
        labels: Tensor,
        trusted: Tensor,
        sample_ids: Tensor,
    ) -> None:
        """Replace the old embeddings of samples by the new ones, in the sums and the table."""
        assert self.samples is not None
        weights = trusted.to(then.weights).clamp_min_(_DISTRUSTED_WEIGHT)
        # rounded as in the table, so that the sums match it
        now = SampleRows(points.half(), labels, weights)
        places = torch.cat([classes_then, labels])
        changes = torch.cat([-then.weights, now.weights])
        embeddings = torch.cat([then.embeddings, now.embeddings]).to(points)
        latest, counts = self._sums_of(embeddings, places, changes)
        self.sums += latest
        self.masses += counts
        self.samples.store(sample_ids, now)

    def _sums_of(
        self, points: Tensor, labels: Tensor, weights: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """(K, D) sums of the points of each class, and (K,) their weights; 1 each by default."""
        # with a column of ones for the weights
        columns = torch.nn.functional.pad(points, (0, 1), value=1.0)
        if weights is not None:
            columns *= weights[:, None]
        sums = columns.new_zeros(len(self.sums), columns.shape[1]).index_add_(0, labels, columns)
        return sums[:, :-1], sums[:, -1]

    def _scatter_of(self, points: Tensor, labels: Tensor, others: Others) -> Tensor:
        # in float64, so that the order of the rows does not matter
        wide = points.to(exact_dtype(points))
        return within_scatter(wide, labels, others.sums, others.masses, len(self.masses)).to(
            self.scatter
        )

    def _without(self, rows: SampleRows, labels: Tensor) -> Others:
        # for a new sample, the class whose sum will contain it
        then = torch.where(rows.labels < 0, labels, rows.labels)
        sums = self.sums[then] - rows.weights[:, None] * rows.embeddings
        return Others(sums, self.masses[then] - rows.weights, rows, then)
