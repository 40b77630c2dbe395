"""A linear discriminant: classes are Gaussians that share one covariance.

It learns only the class means and one covariance, so it cannot memorise single labels as a network
does. It disagrees with wrong labels even where these lie close together.
"""

from typing import NamedTuple

import torch
from torch import Tensor

# Weight of an isotropic covariance added to the measured one. On pre-trained features, values from
# 0.1 to 1 find wrong labels equally well.
_RIDGE = 0.3

# Smallest mean variance of a coordinate. Below it, samples coincide in float32.
_SMALLEST_VARIANCE = 1e-12

# No sample weighs less than this; an eighth is the least here.
_LEAST_MASS = 0.1

# Initial noise rate, as in the label model.
FIRST_NOISE_RATE = 0.2

# Smallest noise rate. With 0, a label without counts would be impossible.
_LOWEST = 1e-4


def whitening(scatter: Tensor) -> Tensor:
    """Compute the map that turns the covariance of every class into the identity.

    W with W·Wᵀ = (Γ + 0.3·(tr Γ/D)·1)⁻¹.

    Args:
        scatter: (D, D) Γ, covariance of samples around the mean of their class.

    Returns:
        (D, D), upper triangular.

    Source:
        Friedman, Regularized discriminant analysis (Journal of the American Statistical
        Association, 1989).

    Example:
        >>> whitening(torch.eye(2) / 1.3)
        tensor([[1., 0.],
                [0., 1.]])
    """
    variance = scatter.diagonal().mean().clamp_min(_SMALLEST_VARIANCE)
    identity = torch.eye(len(scatter), dtype=scatter.dtype, device=scatter.device)
    # with the ridge it exists; torch would make the host wait to see that it does
    factor = torch.linalg.cholesky_ex(scatter.addcmul(identity, _RIDGE * variance)).L
    inverse: Tensor = torch.linalg.solve_triangular(factor, identity, upper=False)
    return inverse.T


def log_densities(samples: Tensor, sums: Tensor, masses: Tensor, whiten: Tensor) -> Tensor:
    """Log-density of each class at each sample, up to a constant per sample.

    ℓ_ik = −‖Wᵀ(u_i − ū_k)‖² / (2·(1 + 1/n_k)) − (D/2)·log(1 + 1/n_k), ū_k = Σu/n_k.

    A mean of n_k samples is itself uncertain, which widens the density by 1 + 1/n_k.

    Args:
        samples: (N, D) u_i.
        sums: (K, D) weighted sums of the samples of each class.
        masses: (K,) n_k ≥ 0, their weights.
        whiten: (D, D) W, see :func:`whitening`.

    Returns:
        (N, K), −inf for classes without samples.

    Source:
        The predictive density of a Gaussian of known covariance.

    Example:
        >>> sums, masses = torch.tensor([[0.0], [4.0]]), torch.tensor([1.0, 1.0])
        >>> log_densities(torch.tensor([[1.0]]), sums, masses, torch.eye(1)).softmax(1)
        tensor([[0.8808, 0.1192]])
    """
    return Gaussians.of(sums, masses, whiten).log_densities(samples)


class Gaussians(NamedTuple):
    """The classes, ready for :func:`log_densities` of several batches.

    Args:
        whiten: (D, D) W.
        means: (K, D) Wᵀū_k.
        variances: (K,) 1 + 1/n_k.
        constants: (K,) −(D/2)·log(1 + 1/n_k), −inf for classes without samples.
    """

    whiten: Tensor
    means: Tensor
    variances: Tensor
    constants: Tensor

    @classmethod
    def of(cls, sums: Tensor, masses: Tensor, whiten: Tensor) -> "Gaussians":
        """Prepare the classes, from the arguments of :func:`log_densities`."""
        means = sums / masses.clamp_min(torch.finfo(masses.dtype).tiny)[:, None]
        return cls(whiten, means @ whiten, *_variances(masses, len(whiten)))

    def log_densities(self, samples: Tensor) -> Tensor:
        """(N, K) log-densities of (N, D) samples."""
        gaps = torch.cdist(samples @ self.whiten, self.means).square_()
        return torch.addcdiv(self.constants, gaps, self.variances, value=-0.5)


def own_log_densities(samples: Tensor, sums: Tensor, masses: Tensor, whiten: Tensor) -> Tensor:
    """Log-density of one class per sample, as in :func:`log_densities`.

    If the sums leave out the sample itself, it does not vote for its own label.

    Args:
        samples: (N, D) u_i.
        sums: (N, D) weighted sums of the samples of each sample's class.
        masses: (N,) their weights, ≥ 0.
        whiten: (D, D) W, see :func:`whitening`.

    Returns:
        (N,), −inf for an empty sum.

    Source:
        The predictive density of a Gaussian of known covariance.

    Example:
        >>> two, one = torch.tensor([[2.0]]), torch.tensor([1.0])
        >>> own_log_densities(torch.tensor([[1.0]]), two, one, torch.eye(1))
        tensor([-0.5966])
    """
    means = sums / masses.clamp_min(torch.finfo(masses.dtype).tiny)[:, None]
    gaps = ((samples - means) @ whiten).square().sum(1)
    variances, constants = _variances(masses, len(whiten))
    return torch.addcdiv(constants, gaps, variances, value=-0.5)


def _variances(masses: Tensor, size: int) -> tuple[Tensor, Tensor]:
    """1 + 1/n, and −(D/2)·log(1 + 1/n) or −inf without samples."""
    variances = 1 + masses.clamp_min(0.5).reciprocal()
    return variances, (variances.log() * (-0.5 * size)).masked_fill_(masses == 0, -torch.inf)


def within_scatter(
    samples: Tensor, labels: Tensor, sums: Tensor, masses: Tensor, num_classes: int
) -> Tensor:
    """Covariance of samples around the means of their classes, with equal weight per class.

    Γ = Σ_i w_i·(u_i − ū_i)·(u_i − ū_i)ᵀ, with ū_i the mean of the n_i other samples labelled y_i,
    and w_i = n_i/(n_i + 1)/(n·K), with n the number of samples labelled y_i and K that of classes
    seen. A squared residual from a mean of n_i other samples is larger than one from the true mean
    by (n_i + 1)/n_i. Samples without others do not count.

    Args:
        samples: (N, D) u_i.
        labels: (N,) y_i, integers in [0, K).
        sums: (N, D) n_i·ū_i, sums of other samples with the same label.
        masses: (N,) n_i, the number of those samples; 0 or at least 0.1.
        num_classes: K.

    Returns:
        (D, D) Γ.

    Source:
        The pooled covariance of Fisher's discriminant, with classes weighted equally.

    Example:
        >>> one, zero = torch.ones(1), torch.zeros(1, 1)
        >>> within_scatter(one[:, None], torch.tensor([0]), zero, one, num_classes=1)
        tensor([[0.5000]])
    """
    # no bincount and no selection of rows: for their size a GPU would be waited for
    counts = samples.new_zeros(num_classes).index_add_(0, labels, masses.sign().to(samples))
    weights = masses / (masses + 1) / (counts[labels] * counts.count_nonzero()).clamp_min(1)
    # a sum of no samples may be a rounding error
    residuals = samples - sums / masses.clamp_min(_LEAST_MASS)[:, None]
    return (residuals * weights[:, None]).T @ residuals


def log_even_transitions(noise_rate: float, labels: Tensor, seen: Tensor) -> Tensor:
    """Log-probability that each class gets the sample's label, if all confusions are alike.

    T′_ky = (1 − ε_o)·[k = y] + ε_o/K, with K the number of classes seen.

    Args:
        noise_rate: ε_o in [0, 1].
        labels: (N,) y_i.
        seen: (K,) bool.

    Returns:
        (N, K) log T′_{k,y_i}.

    Source:
        This project.

    Example:
        >>> log_even_transitions(0.2, torch.tensor([0]), torch.ones(2).bool()).exp()
        tensor([[0.9000, 0.1000]])
    """
    rate = max(noise_rate, _LOWEST)
    even = rate / seen.sum().clamp_min(1).float()
    own = even + 1 - rate
    rows = even.log().expand(len(labels), len(seen))
    return rows.scatter(1, labels[:, None], own.log().expand(len(labels), 1))


def log_transitions(joint: Tensor, labels: Tensor, seen: Tensor, strength: float) -> Tensor:
    """Log-probability that each class gets the sample's label, from counted confusions.

    T′_ky = (J_ky + η·((1 − ε_J)·[k = y] + ε_J/K)) / (Σ_y J_ky + η), with ε_J the share of J off its
    diagonal and K the number of classes seen. Before anything has been counted, ε_J = 0.2.

    Args:
        joint: (K, K) J_ky ≥ 0, expected number of samples of class k labelled y.
        labels: (N,) y_i.
        seen: (K,) bool.
        strength: η > 0, pseudo-counts of the prior.

    Returns:
        (N, K) log T′_{k,y_i}.

    Source:
        The full confusion matrix of Dawid & Skene (Applied Statistics, 1979); the prior is this
        project's.

    Example:
        >>> log_transitions(torch.zeros(2, 2), torch.tensor([0]), torch.ones(2).bool(), 2.0).exp()
        tensor([[0.9000, 0.1000]])
    """
    return Confusions.of(joint, strength).log_transitions(labels, seen)


class Confusions(NamedTuple):
    """Counted confusions, ready for :func:`log_transitions` of several batches.

    Args:
        joint: (K, K) J_ky.
        wrong: () η·ε_J.
        right: () η·(1 − ε_J).
        totals: (K,) Σ_y J_ky + η.
    """

    joint: Tensor
    wrong: Tensor
    right: Tensor
    totals: Tensor

    @classmethod
    def of(cls, joint: Tensor, strength: float) -> "Confusions":
        """Prepare the confusions, from the arguments of :func:`log_transitions`."""
        # 0/0 before anything has been counted
        rate = (1 - joint.diagonal().sum() / joint.sum()).nan_to_num(nan=FIRST_NOISE_RATE)
        wrong = strength * rate.clamp(_LOWEST, 1)
        return cls(joint, wrong, strength - wrong, joint.sum(1) + strength)

    def log_transitions(self, labels: Tensor, seen: Tensor) -> Tensor:
        """(N, K) log T′_{k,y_i} of (N,) labels, with (K,) classes seen, bool or masses."""
        even = self.wrong / seen.count_nonzero().clamp_min(1)
        columns = self.joint[:, labels].T + even
        columns.scatter_add_(1, labels[:, None], self.right.expand(len(labels), 1))
        return columns.div_(self.totals).log_()
