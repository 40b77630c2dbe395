"""How well each sample fits each class, judged without the sample itself."""

from collections.abc import Iterator

import numpy as np
import torch
from scipy.sparse import csr_array
from torch import Tensor

from ...labels.linear_discriminant import whitening
from .beliefs import Beliefs

# Numbers in one block: 8 MB.
_BLOCK = 1 << 21

# … of differences to means, which are read several times: what a core has at hand.
NEAR_BLOCK = 1 << 18

# Of many classes, those are compared that are nearest in their part of so many.
_PART = 16

# Smaller shares of a sample in the mean of a class are left out.
_SMALLEST = 1e-3

# A class needs at least this weight of other samples to be compared with.
_LEAST_MASS = 0.5


def class_sums(points: Tensor, beliefs: Beliefs, num_classes: int) -> tuple[Tensor, Tensor]:
    """Weighted sums of the samples of each class, and of the weights.

    n_k·μ_k = Σ_i t_i(k)·h_i, n_k = Σ_i t_i(k).

    Args:
        points: (N, D) h_i.
        beliefs: t_i(k).
        num_classes: K.

    Returns:
        (K, D) n_k·μ_k and (K,) n_k, float64.

    Example:
        >>> beliefs = Beliefs(torch.tensor([[0, 1]]), torch.tensor([[0.75, 0.25]]))
        >>> class_sums(torch.tensor([[4.0]]), beliefs, 2)[0]
        tensor([[3.],
                [1.]], dtype=torch.float64)
    """
    return _sums(points, beliefs.shares(num_classes))


def shared_covariance(points: Tensor, beliefs: Beliefs, sums: Tensor, masses: Tensor) -> Tensor:
    """Covariance of the samples around the means of their classes, with equal weight per class.

    Γ = mean_k (Σ_i t_i(k)·h_i·h_iᵀ/n_k − μ_k·μ_kᵀ), over the classes that have samples.

    Args:
        points: (N, D) h_i.
        beliefs: t_i(k).
        sums: (K, D) n_k·μ_k.
        masses: (K,) n_k.

    Returns:
        (D, D) Γ, float64.

    Source:
        The pooled covariance of Fisher's discriminant, with classes weighted equally.

    Example:
        >>> beliefs = Beliefs(torch.zeros(2, 1).long(), torch.ones(2, 1))
        >>> points = torch.tensor([[0.0], [2.0]])
        >>> shared_covariance(points, beliefs, *class_sums(points, beliefs, 1))
        tensor([[1.]], dtype=torch.float64)
    """
    return _covariance(points, beliefs.shares(len(masses)), sums, masses)


class ClassDensities:
    """Gaussian classes that share one covariance, fitted to what is believed.

    Args:
        points: (N, D) h_i.
        beliefs: t_i(k), what is believed about the class of each sample.
        num_classes: K.

    Example:
        >>> points = torch.tensor([[0.0], [1.0], [4.0], [5.0]])
        >>> beliefs = Beliefs(torch.tensor([[0], [0], [1], [1]]), torch.ones(4, 1))
        >>> ClassDensities(points, beliefs, 2).nearest(beliefs.classes, 2)
        tensor([[0, 1],
                [0, 1],
                [0, 1],
                [0, 1]])
    """

    def __init__(self, points: Tensor, beliefs: Beliefs, num_classes: int) -> None:
        kept = beliefs.weights.where(beliefs.weights >= _SMALLEST, 0.0)
        self.points, self.beliefs = points, Beliefs(beliefs.classes, kept)
        self.shares = self.beliefs.shares(num_classes)
        self.sums, self.masses = _sums(points, self.shares)
        self.means = self.sums / self.masses.clamp_min(_SMALLEST)[:, None]

    def nearest(self, wanted: Tensor, count: int) -> Tensor:
        """Find the classes that fit each sample best.

        Args:
            wanted: (N, M) classes that are among them in any case, such as its label.
            count: C ≥ M, at most K.

        Returns:
            (N, C) classes, ascending.
        """
        if count >= len(self.masses):
            return torch.arange(len(self.masses)).expand(len(self.points), -1)
        covariance = _covariance(self.points, self.shares, self.sums, self.masses)
        whiten = whitening(covariance).to(self.points)
        means = self.means.to(self.points) @ whiten
        # half the squared distance, less what is the same for all classes
        offsets = means.square().sum(1).div_(2).masked_fill_(self.masses < _LEAST_MASS, torch.inf)
        # in place: small tensors that stay between large ones that go leave memory in pieces
        found = torch.empty(len(self.points), count, dtype=torch.long)
        for rows in blocks(len(self.points), len(self.masses)):
            gaps = torch.addmm(offsets, self.points[rows] @ whiten, means.T, alpha=-1)
            gaps.scatter_(1, wanted[rows], -torch.inf)
            found[rows] = smallest(gaps, count).sort(1).values
        return found

    def log_densities(self, classes: Tensor, rows: Tensor) -> Tensor:
        """Log-density of classes at some samples, each left out of the classes itself.

        ℓ_ik = −‖Wᵀ(h_i − μ_k⁻)‖²/(2·(1 + 1/n_k⁻)) − (D/2)·log(1 + 1/n_k⁻), with the mass
        n_k⁻ = n_k − t_i(k) and the mean μ_k⁻ of the other samples:
        h_i − μ_k⁻ = (h_i − μ_k)·n_k/n_k⁻.

        All of the samples asked about are left out of the covariance: a sample that had a part in
        it would look near to the class of its label. In 512 dimensions, labels drawn at random
        for 200 samples would all look right.

        Args:
            classes: (B, C), those of the beliefs or all in question for the first time.
            rows: (B,) the samples, a small part of all.

        Returns:
            (B, C); −inf for classes without other samples.

        Source:
            The predictive density of a Gaussian of known covariance, leave-one-out.
        """
        size = self.points.shape[1]
        whiten = whitening(self._covariance_without(rows)).to(self.points)
        points, means = self.points[rows] @ whiten, self.means.to(self.points) @ whiten
        gaps = torch.empty(classes.shape)
        for part in blocks(len(rows), classes.shape[1] * size, NEAR_BLOCK):
            moves = points[part, None] - means[classes[part]]
            gaps[part] = moves.square_().sum(2)
        masses = self.masses.to(self.points)[classes]
        others = masses - self._own(classes, rows)
        known = others >= _LEAST_MASS
        others = others.where(known, torch.ones_like(others))
        wider = 1 + 1 / others
        gaps.mul_((masses / others).square_()).div_(-2 * wider)
        return gaps.sub_(0.5 * size * wider.log()).masked_fill_(~known, -torch.inf)

    def _covariance_without(self, rows: Tensor) -> Tensor:
        """(D, D) covariance of the samples outside of some rows, around means of their own."""
        sums, masses = _sums(self.points[rows], self.shares[rows.numpy()])
        masses = self.masses - masses
        # what differences of sums leave of a class is rounding
        masses = masses.where(masses >= _SMALLEST / 2, 0.0)
        others = torch.ones(len(self.points), dtype=torch.bool)
        others[rows] = False
        rows = others.nonzero().squeeze(1)
        return _covariance(self.points, self.shares, self.sums - sums, masses, rows)

    def _own(self, classes: Tensor, rows: Tensor) -> Tensor:
        """(B, C) share of each sample in the means of the classes."""
        believed = self.beliefs.classes[rows]
        weights = self.beliefs.weights[rows]
        if believed.shape == classes.shape and torch.equal(believed, classes):
            return weights
        own = torch.zeros(classes.shape)
        for column in range(believed.shape[1]):
            own += (classes == believed[:, column, None]) * weights[:, column, None]
        return own


def smallest(values: Tensor, count: int) -> Tensor:
    """Find the columns of the smallest values of each row, in any order.

    Args:
        values: (N, K).
        count: C, at most K.

    Returns:
        (N, C).

    Example:
        >>> smallest(torch.tensor([[3.0, 1.0, 2.0]]), 2).sort().values
        tensor([[1, 2]])
    """
    parts, rest = divmod(values.shape[1], _PART)
    if parts < 2 * count:
        return values.topk(count, largest=False).indices
    # the smallest are in the parts with the smallest minima; each part is every parts-th column
    whole = values[:, : parts * _PART].unflatten(1, (_PART, parts))
    nearest = whole.amin(1).topk(count, largest=False).indices
    columns = (nearest[:, None] + parts * torch.arange(_PART)[:, None]).flatten(1)
    end = torch.arange(rest).expand(len(values), -1) + parts * _PART
    columns = torch.cat([columns, end], 1)
    return columns.gather(1, values.gather(1, columns).topk(count, largest=False).indices)


def blocks(length: int, width: int, numbers: int | None = None) -> Iterator[slice]:
    """Slices of rows that hold so many numbers each that they fit into memory."""
    step = max(1, (numbers or _BLOCK) // max(1, width))
    for start in range(0, length, step):
        yield slice(start, min(start + step, length))


def _sums(points: Tensor, shares: csr_array) -> tuple[Tensor, Tensor]:
    """(K, D) weighted sums, and (K,) weights, from (N, K) shares of samples in classes."""
    sums = np.zeros((shares.shape[1], points.shape[1]))
    for rows in blocks(len(points), points.shape[1]):
        sums += shares[rows].T @ points[rows].double().numpy()
    return torch.from_numpy(sums), torch.from_numpy(np.asarray(shares.sum(0)))


def _covariance(
    points: Tensor, shares: csr_array, sums: Tensor, masses: Tensor, chosen: Tensor | None = None
) -> Tensor:
    """(D, D) as :func:`shared_covariance`, by the shares of (B,) chosen rows; None for all."""
    known = masses > 0
    inverse = torch.where(known, 1 / masses.where(known, torch.ones_like(masses)), 0.0)
    weights = torch.from_numpy(shares @ inverse.numpy())
    scatter = torch.zeros(points.shape[1], points.shape[1], dtype=torch.float64)
    for rows in blocks(len(points if chosen is None else chosen), points.shape[1]):
        part = rows if chosen is None else chosen[rows]
        wide = points[part].double()
        scatter += (wide * weights[part, None]).T @ wide
    means = sums * inverse[:, None]
    return (scatter - means.T @ means) / known.sum().clamp_min(1)
