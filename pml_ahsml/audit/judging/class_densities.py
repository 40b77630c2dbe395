"""How well each sample fits each class, judged without the sample itself."""

from collections.abc import Iterator

import numpy as np
import torch
from scipy.sparse import csr_array
from torch import Tensor

from ...labels.linear_discriminant import whitening
from .beliefs import Beliefs

# Numbers in one block of distances to all classes: 64 MB.
_BLOCK = 1 << 24

# Smaller shares of a sample in the mean of a class are left out.
_SMALLEST = 1e-3

# A class needs at least this weight of other samples to be compared with.
_LEAST_MASS = 0.5


def class_sums(points: Tensor, beliefs: Beliefs, num_classes: int) -> tuple[Tensor, Tensor]:
    """Weighted sums of the samples of each class, and of the weights.

    s_k = Σ_i q_ik·x_i, n_k = Σ_i q_ik.

    Args:
        points: (N, D) x_i.
        beliefs: q_ik.
        num_classes: K.

    Returns:
        (K, D) s_k and (K,) n_k, float64.

    Example:
        >>> beliefs = Beliefs(torch.tensor([[0, 1]]), torch.tensor([[0.75, 0.25]]))
        >>> class_sums(torch.tensor([[4.0]]), beliefs, 2)[0]
        tensor([[3.],
                [1.]], dtype=torch.float64)
    """
    rows, columns = (beliefs.weights > 0).nonzero(as_tuple=True)
    weights = beliefs.weights[rows, columns].double().numpy()
    classes = beliefs.classes[rows, columns].numpy()
    shape = (num_classes, len(points))
    matrix = csr_array((weights, (classes, rows.numpy())), shape=shape)
    masses = torch.zeros(num_classes, dtype=torch.float64)
    masses.index_add_(0, torch.from_numpy(classes), torch.from_numpy(weights))
    return torch.from_numpy(np.asarray(matrix @ points.double().numpy())), masses


def shared_covariance(points: Tensor, beliefs: Beliefs, sums: Tensor, masses: Tensor) -> Tensor:
    """Covariance of the samples around the means of their classes, with equal weight per class.

    S = 1/C·Σ_k (Σ_i q_ik·x_i·x_iᵀ/n_k − m_k·m_kᵀ), with m_k = s_k/n_k and C the number of classes
    that have samples.

    Args:
        points: (N, D) x_i.
        beliefs: q_ik.
        sums: (K, D) s_k.
        masses: (K,) n_k.

    Returns:
        (D, D), float64.

    Source:
        The pooled covariance of Fisher's discriminant, with classes weighted equally.

    Example:
        >>> beliefs = Beliefs(torch.zeros(2, 1).long(), torch.ones(2, 1))
        >>> x = torch.tensor([[0.0], [2.0]])
        >>> shared_covariance(x, beliefs, *class_sums(x, beliefs, 1))
        tensor([[1.]], dtype=torch.float64)
    """
    known = masses > 0
    inverse = torch.where(known, 1 / masses.where(known, torch.ones_like(masses)), 0.0)
    shares = (beliefs.weights.double() * inverse[beliefs.classes]).sum(1)
    scatter = torch.zeros(points.shape[1], points.shape[1], dtype=torch.float64)
    for rows in blocks(len(points), points.shape[1]):
        wide = points[rows].double()
        scatter += (wide * shares[rows, None]).T @ wide
    means = sums * inverse[:, None]
    return (scatter - means.T @ means) / known.sum().clamp_min(1)


class ClassDensities:
    """Gaussian classes that share one covariance, fitted to what is believed.

    Args:
        points: (N, D) x_i.
        beliefs: q_ik, what is believed about the class of each sample.
        num_classes: K.

    Example:
        >>> x = torch.tensor([[0.0], [1.0], [4.0], [5.0]])
        >>> beliefs = Beliefs(torch.tensor([[0], [0], [1], [1]]), torch.ones(4, 1))
        >>> ClassDensities(x, beliefs, 2).nearest(beliefs.classes.squeeze(1), 2)
        tensor([[0, 1],
                [0, 1],
                [0, 1],
                [0, 1]])
    """

    def __init__(self, points: Tensor, beliefs: Beliefs, num_classes: int) -> None:
        kept = beliefs.weights.where(beliefs.weights >= _SMALLEST, 0.0)
        self.points, self.beliefs = points, Beliefs(beliefs.classes, kept)
        self.sums, self.masses = class_sums(points, self.beliefs, num_classes)
        self.means = self.sums / self.masses.clamp_min(_SMALLEST)[:, None]

    def nearest(self, labels: Tensor, count: int) -> Tensor:
        """Find the classes that fit each sample best, its own label always among them.

        Args:
            labels: (N,) labels as given.
            count: C, at most K.

        Returns:
            (N, C) classes, ascending.
        """
        if count >= len(self.masses):
            return torch.arange(len(self.masses)).expand(len(labels), -1)
        covariance = shared_covariance(self.points, self.beliefs, self.sums, self.masses)
        whiten = whitening(covariance).to(self.points)
        means = self.means.to(self.points) @ whiten
        found = []
        for rows in blocks(len(self.points), len(self.masses)):
            gaps = torch.cdist(self.points[rows] @ whiten, means)
            gaps[:, self.masses < _LEAST_MASS] = torch.inf
            gaps.scatter_(1, labels[rows, None], -1.0)
            found.append(gaps.topk(count, largest=False).indices.sort(1).values)
        return torch.cat(found)

    def log_densities(self, classes: Tensor, rows: Tensor) -> Tensor:
        """Log-density of classes at some samples, each left out of the classes itself.

        s_ik = −‖Wᵀ(x_i − m_k⁻)‖²/(2·(1 + 1/n_k⁻)) − (D/2)·log(1 + 1/n_k⁻), with the mass
        n_k⁻ = n_k − q_ik and the mean m_k⁻ of the other samples:
        x_i − m_k⁻ = (x_i − m_k)·n_k/n_k⁻.

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
        for part in blocks(len(rows), classes.shape[1] * size):
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
        left_out = Beliefs(self.beliefs.classes[rows], self.beliefs.weights[rows])
        sums, masses = class_sums(self.points[rows], left_out, len(self.masses))
        masses = self.masses - masses
        # what differences of sums leave of a class is rounding
        masses = masses.where(masses >= _SMALLEST / 2, 0.0)
        others = self.beliefs.without(rows)
        return shared_covariance(self.points, others, self.sums - sums, masses)

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


def blocks(length: int, width: int) -> Iterator[slice]:
    """Slices of rows that hold so many numbers each that they fit into memory."""
    step = max(1, _BLOCK // max(1, width))
    for start in range(0, length, step):
        yield slice(start, min(start + step, length))
