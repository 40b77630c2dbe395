"""k-NN voting among recent samples with their given labels."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from ...checks import check_count
from ...classes.class_distances import ClassDistances, mean_over_views
from ...hyperbolic.hyperboloid import factors_of
from ...hyperbolic.nearest_rows import nearest_rows
from ...state.derived import Derived
from ...state.recent_samples import RecentSamples
from ...state.saved_state import Rule, check_on_hyperboloid
from . import neighbour_votes as nv
from .witness import Parameter, Witness

# Ten votes show which class prevails with half of the labels wrong. Fewer vote if classes have
# fewer than twice as many remembered samples: the farthest would be of other classes.
_MOST_NEIGHBOURS = 10

# A memory that holds half an earlier visit of each sample is too long for its data set. It is never
# cut to less than two batches of 128.
_TOO_MANY_COPIES, SHORTEST_MEMORY = 0.5, 256

# Agreement changes with the network; averaging over about twenty batches evens out chance.
_SMOOTHING = 0.95
_ENOUGH = 1 - _SMOOTHING**20


class NeighbourMemory(RecentSamples, Witness):
    """Remembers recent samples, and lets the nearest ones vote on the class of a sample.

    A centroid represents a class that lies in one place. If a class lies in several (a digit that
    is written in two ways), samples far from the centroid look mislabelled, are left out, and are
    never brought nearer. Their neighbours know better: most right labels there are of their class.
    The k = min(10, M/2K) nearest of the last M samples vote with their given labels. With fewer
    than two votes, that is for more than M/4 classes, there is no voting.

    In a data set that is small compared with M, samples return while they are still remembered. An
    earlier visit of a sample votes for its label, right or wrong. How often this happens shows in
    how much more often the nearest row has the sample's label than farther ones (``rank_weights``).
    Such votes count less, and the memory is halved, down to 256, while it is expected to hold more
    than half an earlier visit of each sample.

    Args:
        num_classes: K ≥ 2.
        embedding_size: D.
        size: M ≥ 256, number of recent samples kept for k-NN voting. With 1,024, ten classes have a
            hundred each.

    Raises:
        ValueError: if an option is out of range.

    Source:
        This project.

    Example:
        >>> memory = NeighbourMemory(num_classes=2, embedding_size=1, size=256)
        >>> points = torch.tensor([[1.0, 0.0], [3.0, 8.0**0.5]]).repeat(64, 1)
        >>> labels = torch.tensor([0, 1]).repeat(64)
        >>> memory.neighbours(points) is None  # until half of the memory is filled
        True
        >>> memory.remember(points, labels, None)
        >>> memory.votes(memory.neighbours(points[:1]), labels[:1])
        tensor([[10.,  0.]])
    """

    # ω, the weight of one vote; if votes carry no information it falls to the lowest value
    parameter = Parameter("vote_weight", start=0.2, lowest=0.003, highest=3.0)

    length: Tensor
    agreement: Tensor

    def __init__(self, num_classes: int, embedding_size: int, size: int = 1024) -> None:
        num_classes = check_count("num_classes", num_classes, minimum=2)
        embedding_size = check_count("embedding_size", embedding_size, minimum=1)
        size = check_count("size", size, minimum=SHORTEST_MEMORY)
        super().__init__(size, embedding_size + 1, num_classes)  # points of the hyperboloid
        self.num_classes = num_classes
        self._weights: Derived[Tensor] = Derived()
        self._roots: Derived[Tensor] = Derived()
        # number of newest rows that are searched
        lengths = Rule(lowest=SHORTEST_MEMORY, highest=size)
        self.register_table("length", torch.tensor(size), lengths)
        # sum of the smoothing weights, and of the weighted shares of samples whose r-th nearest
        # row has their label
        shares = torch.zeros(1 + _MOST_NEIGHBOURS, dtype=torch.float32)
        self.register_table("agreement", shares, Rule(lowest=0, highest=1))
        self._searched: Derived[tuple[Tensor, Tensor, Tensor]] = Derived()

    @property
    def num_neighbours(self) -> int:
        """k; 0 if there are too many classes for voting."""
        return self._num_neighbours_of(self.num_searched)

    @property
    def num_searched(self) -> int:
        """Number of newest rows that are searched; ``length``, or half of it."""
        length = int(self.numbers("length")[0])
        return length // 2 if self._is_too_long else length

    def neighbours(self, points: Tensor) -> Tensor | None:
        """Return the labels of the nearest remembered samples.

        Args:
            points: (N, D + 1) points of the hyperboloid.

        Returns:
            (N, k) labels as given, nearest first; None while less than half of the memory is
            filled, or with too many classes.
        """
        length, count = self.num_searched, self.num_neighbours
        filled = min(self.num_filled, length)
        if count == 0 or filled < length // 2:
            return None
        rings = self.vectors, self.labels
        # past samples that stand in are compared with the same rows as their batch
        searched = self._searched.of(self._searched_rows, *rings, self._newest, filled)
        others, labels, factors = searched
        return labels[nearest_rows(points.to(others), others, count, factors)]

    def votes(self, neighbours: Tensor, labels: Tensor) -> Tensor:
        """Count the votes for each class, with earlier visits of a sample discounted.

        Args:
            neighbours: (N, k) from :meth:`neighbours`.
            labels: (N,) the samples' own labels.

        Returns:
            (N, K) in [0, k].
        """
        weight, weights = self.numbers("agreement")[0], None
        # otherwise nothing is known of the rows that are searched now
        if weight > 0 and not self._is_too_long:
            count = neighbours.shape[1]
            weights = self._weights.of(_weights_of, self.agreement, weight, count)
        return nv.votes(neighbours, labels, weights, self.num_classes)

    def ask(self, evidence: ClassDistances, labels: Tensor) -> tuple[Tensor, Tensor] | None:
        """(N, k) labels of the nearest remembered samples and (N, K) their votes.

        Overrides ``Witness.ask``. There is no voting if samples are compared with candidates only.
        """
        neighbours = None if evidence.candidates is not None else self.neighbours(evidence.points)
        if neighbours is None:
            return None
        votes = self.votes(neighbours, labels)
        if evidence.view_ids is not None:
            votes = mean_over_views(votes, evidence.view_ids)
        return neighbours, votes

    def add_to(
        self, log_odds: Tensor, evidence: ClassDistances, answer: tuple[Tensor, ...], value: float
    ) -> Tensor:
        """Adds ω·b_ik. Overrides ``Witness.add_to``."""
        return torch.add(log_odds, answer[1], alpha=value)

    def slope(
        self,
        surprise: Tensor,
        evidence: ClassDistances,
        answer: tuple[Tensor, ...] | None,
        value: float,
    ) -> Tensor:
        """ω·mean_i Σ_k (t_i(k) − p_i(k))·b_ik. Overrides ``Witness.slope``."""
        if answer is None:
            return surprise.new_zeros(())
        return nv.weight_gradient(surprise, answer[1], value)

    @torch.no_grad()
    def remember(self, points: Tensor, labels: Tensor, answer: tuple[Tensor, ...] | None) -> None:
        """Remember a batch, and how often its labels agree with those of its neighbours.

        Overrides ``Witness.remember``.

        Args:
            points: (N, D + 1) points of the hyperboloid.
            labels: (N,) labels as given.
            answer: what :meth:`ask` returned for them.
        """
        if self._is_too_long:
            self.length.fill_(self.num_searched)
            # from here on it is measured on other rows, and perhaps fewer ranks
            self.agreement.zero_()
        if self.num_neighbours == 0:
            return
        if answer is not None and len(labels):
            shares = (answer[0] == labels[:, None]).mean(0, dtype=self.agreement.dtype)
            latest = torch.nn.functional.pad(shares, (1, 0), value=1.0)
            self.agreement[: len(latest)].lerp_(latest, 1 - _SMOOTHING)
        # in a canonical order: which rows are forgotten must not depend on the rank that gathered
        # them
        roots = self._roots.of(_roots, points.shape[1], points.dtype, points.device)
        order = _own_order(points, labels, roots)
        self.push(points[order], labels[order])

    def _check_together(self, state: Mapping[str, Any], prefix: str) -> None:
        super()._check_together(state, prefix)
        check_on_hyperboloid(
            prefix + "vectors", state[prefix + "vectors"], state[prefix + "labels"] >= 0
        )

    def _searched_rows(self, *inputs: Any) -> tuple[Tensor, Tensor, Tensor]:
        """The newest rows, their labels and their ``factors_of``."""
        others, labels = self.newest_rows(inputs[-1])
        return others, labels, factors_of(others)

    @property
    def _is_too_long(self) -> bool:
        """Whether the rows searched so far hold too many earlier visits of the samples."""
        length = int(self.numbers("length")[0])
        weight, *sums = self.numbers("agreement")
        if length // 2 < SHORTEST_MEMORY or weight < _ENOUGH:
            return False
        shares = [total / weight for total in sums[: self._num_neighbours_of(length)]]
        return nv.expected_copies(shares) > _TOO_MANY_COPIES

    def _num_neighbours_of(self, length: int) -> int:
        count = min(_MOST_NEIGHBOURS, length // (2 * self.num_classes))
        return count if count > 1 else 0


def _weights_of(agreement: Tensor, weight: float, count: int) -> Tensor:
    return nv.rank_weights(agreement[1 : 1 + count] / weight)


def _roots(count: int, dtype: torch.dtype, device: torch.device) -> Tensor:
    """(count,) square roots of 1, 2, …."""
    return torch.arange(1, 1 + count, dtype=dtype, device=device).sqrt()


def _own_order(points: Tensor, labels: Tensor, roots: Tensor) -> Tensor:
    """(N,) an order of the rows that does not depend on their input order.

    By the last coordinate; ties (a dead unit) are broken by a mixture of all coordinates, then by
    the label.
    """
    mixture = (points * roots).sum(1)
    order = labels.argsort(stable=True)
    for key in (mixture, points[:, -1]):
        order = order[key[order].argsort(stable=True)]
    return order
