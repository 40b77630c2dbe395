"""Confusion prior: the closer two classes are, the likelier one is labelled as the other.

T_ky = 1 − ε for y = k, and ε·exp(−d(μ_k, μ_y)/σ)/Z_k for y ≠ k, Z_k = Σ_{y≠k} exp(−d(μ_k, μ_y)/σ).

A batch needs T only in the columns of its labels, but the normaliser Z_k runs over all pairs of
classes. With many classes it is estimated from the nearest of each class, one by one, and a sample
of the rest, in which each class represents several.
"""

import math
from typing import NamedTuple

import torch
from torch import Tensor

from ..classes.neighbourhoods import Neighbourhoods


class Normaliser(NamedTuple):
    """Normaliser and mean confusion distance of each class, see :func:`log_normaliser`.

    Args:
        log_z: (…) log Z_k, inf for a class that cannot be confused with any, so that T_ky = 0.
        mean_distance: (…) E_k, geodesic length, 0 for such a class.
    """

    log_z: Tensor
    mean_distance: Tensor


def log_normaliser(neighbourhoods: Neighbourhoods, spread: float | Tensor) -> Normaliser:
    """Compute log Z_k and the mean distance of a class to those it is confused with.

    Z_k = Σ_j w_kj·exp(−d_kj/σ) and E_k = Σ_j w_kj·exp(−d_kj/σ)·d_kj / Z_k.

    Args:
        neighbourhoods: (…, M) neighbourhoods of some classes.
        spread: σ > 0, in units of the distance.

    Returns:
        (…) log Z_k and (…) E_k.

    Source:
        This project.

    Example:
        >>> log_normaliser(Neighbourhoods(torch.tensor([[torch.inf, 2.0], [2.0, torch.inf]])), 1.0)
        Normaliser(log_z=tensor([-2., -2.]), mean_distance=tensor([2., 2.]))
    """
    distances, weights = neighbourhoods
    logits = distances * (-1 / spread)
    if weights is not None:
        logits += weights.log()
    log_z = logits.logsumexp(-1)
    log_z.nan_to_num_(nan=torch.nan, posinf=torch.inf, neginf=torch.inf)
    share = logits.sub_(log_z[..., None]).exp_()
    # the share of a class at distance inf is 0, and 0·inf is nan
    return Normaliser(log_z, share.mul_(distances).nansum(-1))


def log_prior(
    label_distances: Tensor,
    labels: Tensor,
    log_z: Tensor,
    noise_rate: float,
    spread: float,
) -> Tensor:
    """Log-probability that a sample of class k is labelled y_i: log T_{k,y_i}.

    Args:
        label_distances: (N, K) geodesic distances between the centroid of each label and those of
            the classes judged, inf for unseen classes.
        labels: (N,) columns of the labels y as given.
        log_z: (K,) or (N, K) log Z_k, inf where nothing is confused.
        noise_rate: ε in (0, 1).
        spread: σ > 0, in units of the distance.

    Returns:
        (N, K) log-probabilities, −inf where k or y_i is unseen and they differ.

    Source:
        This project; the class-wise divergence it uses is AHSML's.

    Example:
        >>> d = torch.tensor([[0.0, 1.0, 2.0], [1.0, 0.0, 1.0], [2.0, 1.0, 0.0]])
        >>> log_z, _ = log_normaliser(Neighbourhoods(d.clone().fill_diagonal_(torch.inf)), 1.0)
        >>> log_prior(d[:1], torch.tensor([0]), log_z, 0.3, 1.0).exp()  # column 0 of T
        tensor([[0.7000, 0.1500, 0.0807]])
    """
    other = torch.sub(math.log(noise_rate) - log_z, label_distances, alpha=1 / spread)
    return other.scatter_(1, labels[:, None], math.log1p(-noise_rate))


def confusion_shares(divergence: Tensor, spread: float | Tensor) -> Tensor:
    """Share of the wrong labels of class k that go to class y: R_ky = T_ky/ε for y ≠ k.

    Args:
        divergence: (K, K) geodesic distances between class centroids, inf on the diagonal and for
            unseen classes.
        spread: σ > 0, in units of the distance.

    Returns:
        (K, K), 0 on the diagonal; rows sum to 1, or to 0 for a class that cannot be confused with
        any.

    Source:
        This project.

    Example:
        >>> confusion_shares(torch.tensor([[torch.inf, 2.0], [2.0, torch.inf]]), 1.0)
        tensor([[0., 1.],
                [1., 0.]])
    """
    # nan where all distances of a row are inf
    return (divergence * (-1 / spread)).softmax(1).nan_to_num_(nan=0.0)
