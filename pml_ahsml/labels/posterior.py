"""The posterior over the true class of a sample, from a small generative model of its label.

The true class k of a sample is judged by the distances to the class centroids. The label y is
usually k. With probability ε it is another class: the closer two classes are, the likelier they are
confused.
"""

import torch
from torch import Tensor


def label_posterior(log_likelihood: Tensor, log_prior: Tensor) -> Tensor:
    """Posterior over the true class: t_i(k) ∝ p_i(k)·T_{k,y_i}.

    Args:
        log_likelihood: (N, K) log p_i(k).
        log_prior: (N, K) log T_{k,y_i}, see ``confusion_prior``.

    Returns:
        (N, K), rows sum to 1. The trust in label i is its entry at y_i.

    Source:
        This project.

    Example:
        >>> p = torch.tensor([[0.9, 0.1]])
        >>> column = torch.tensor([[0.2, 0.8]])  # the label is 1; T_01 = 0.2, T_11 = 0.8
        >>> label_posterior(p.log(), column.log())
        tensor([[0.6923, 0.3077]])
    """
    return (log_likelihood + log_prior).softmax(dim=1)


def geometric_mean(one: Tensor, other: Tensor) -> Tensor:
    """Mean of two posteriors on the scale of log-odds: t_i(k) ∝ √(t′_i(k)·t″_i(k)).

    Where one of them is sure and the other is not, it is the sure one that counts.

    Args:
        one: (N, K) t′, rows sum to 1.
        other: (N, K) t″, rows sum to 1.

    Returns:
        (N, K), rows sum to 1.

    Source:
        The logarithmic opinion pool: Genest & Zidek, Combining probability distributions
        (Statistical Science, 1986).

    Example:
        >>> geometric_mean(torch.tensor([[0.5, 0.5]]), torch.tensor([[0.8, 0.2]]))
        tensor([[0.6667, 0.3333]])
    """
    # the logarithm of 0 in both would leave nothing to divide by
    tiny = torch.finfo(one.dtype).tiny
    return ((one.clamp_min(tiny).log() + other.clamp_min(tiny).log()) / 2).softmax(1)


def trusted_labels(trust: Tensor, least: float = 0.0) -> Tensor:
    """Select the trusted labels: those likelier right than wrong, and more if these are too few.

    q_i > ½. If Σ_{q_i ≤ ½} q_i > Σ_{q_i > ½} q_i, also the ⌊Σ_i q_i⌋ largest q_i.

    Σ_i q_i is the expected number of right labels. While features are poor and most labels are
    wrong, nearly all q_i may lie below ½, those of most right labels included. The largest q_i are
    right far more often than others, so as many are taken as are expected to be right. Without
    them nothing is left to learn from, and the features get worse.

    Args:
        trust: (…, N) q_i in [0, 1]; each row is judged by itself.
        least: smaller q_i are never trusted.

    Returns:
        (…, N) bool.

    Source:
        This project.

    Example:
        >>> trusted_labels(torch.tensor([0.9, 0.6, 0.4]))
        tensor([ True,  True, False])
        >>> trusted_labels(torch.tensor([0.6, 0.4, 0.4, 0.3, 0.3]))
        tensor([ True,  True,  True, False, False])
    """
    likely = trust > 0.5
    # in float64, so that the order of the rows (the rank that gathered) does not matter
    above = (trust * likely).sum(-1, dtype=torch.float64)
    total = trust.sum(-1, dtype=torch.float64)
    # how many of the largest, decided on the device: the host would wait to read it
    number = (total * (total > 2 * above)).long()
    descending = trust.sort(descending=True).values
    smallest = torch.nn.functional.pad(descending, (1, 0), value=torch.inf)
    # by value, so that ties (views of one sample) are treated alike
    trusted = likely | (trust >= smallest.gather(-1, number[..., None]))
    return reaching(least, trust, trusted)


def reaching(least: float, trust: Tensor, trusted: Tensor) -> Tensor:
    """Leave out labels whose trust lies below a limit.

    Args:
        least: smaller trusts do not suffice; 0 for no limit.
        trust: (…, N) q_i in [0, 1].
        trusted: (…, N) bool, the labels to choose from.

    Returns:
        (…, N) bool.

    Example:
        >>> reaching(0.7, torch.tensor([0.9, 0.6, 0.9]), torch.tensor([True, True, False]))
        tensor([ True, False, False])
    """
    return trusted & (trust >= least) if least > 0 else trusted


def taken_at_their_word(posterior: Tensor, labels: Tensor, rows: Tensor) -> Tensor:
    """Make the posterior of some samples one-hot at their given label.

    Args:
        posterior: (N, K).
        labels: (N,) labels as given.
        rows: (N,) bool, the samples whose label is believed.

    Returns:
        (N, K), one-hot at the label in these rows.

    Source:
        This project.

    Example:
        >>> t = torch.tensor([[0.4, 0.6], [0.4, 0.6]])
        >>> taken_at_their_word(t, torch.tensor([0, 0]), torch.tensor([True, False]))
        tensor([[1.0000, 0.0000],
                [0.4000, 0.6000]])
    """
    certain = torch.zeros_like(posterior).scatter_(1, labels[:, None], 1.0)
    return torch.where(rows[:, None], certain, posterior)


def prior_slopes(
    posterior: Tensor,
    trust: Tensor,
    label_distances: Tensor,
    mean_distance: Tensor,
    labels: Tensor,
    noise_rate: float,
    spread: float,
) -> tuple[Tensor, Tensor]:
    """Slopes of the log marginal likelihood of the labels, mean_i log Σ_k p_i(k)·T_{k,y_i}.

    Each is an expectation under the posterior minus that before the label was seen:

    - by logit ε: mean_i(1 − q_i) − ε, the share of labels believed wrong minus the noise rate;
    - by log σ: mean_i Σ_{k≠y_i} t_i(k)·(d(μ_k, μ_y) − E_k) / σ, distances of confused classes.

    Args:
        posterior: (N, K) t_i(k).
        trust: (N,) q_i = t_i(y_i).
        label_distances: (N, K) geodesic distances d(μ_k, μ_{y_i}); inf for classes never seen,
            whose t_i(k) is 0.
        mean_distance: (K,) or (N, K) E_k, the mean distance of class k to those it is confused
            with.
        labels: (N,) columns of the labels as given.
        noise_rate: ε in (0, 1).
        spread: σ > 0.

    Returns:
        Two slopes, (); up is likelier.

    Source:
        This project.

    Example:
        >>> t, between = torch.tensor([[0.9, 0.1]]), torch.tensor([[0.0, 2.0]])
        >>> slopes = prior_slopes(t, t[:, 0], between, torch.ones(2), torch.tensor([0]), 0.5, 1.0)
        >>> [round(float(slope), 6) for slope in slopes]
        [-0.4, 0.1]
    """
    # summed in float64, so that the order of the rows (the rank that gathered) does not matter
    wide = torch.float64
    # 0 at k = y instead of a difference: the rest may be tiny, and Adam follows its sign
    confused = posterior.scatter(1, labels[:, None], 0.0)
    # without the nan of 0·inf
    wider = (label_distances - mean_distance).mul_(confused).nansum(dtype=wide)
    return (1 - noise_rate) - trust.mean(dtype=wide), wider / (len(labels) * spread)


def geodesic_gap(distances: Tensor, spacing: Tensor, labels: Tensor, guesses: Tensor) -> Tensor:
    """How much nearer a sample is to one class than to another, in units of class spacing.

    (d(h_i, μ_y) − d(h_i, μ_k)) / spacing.

    Args:
        distances: (N, K) geodesic distances of the samples to the class centroids, inf for classes
            never seen.
        spacing: the mean geodesic distance between a class and its nearest classes.
        labels: (N,) classes y.
        guesses: (N,) classes k.

    Returns:
        (N,), positive where the sample is nearer to k; nan where y or k is unseen.

    Source:
        This project.

    Example:
        >>> d = torch.tensor([[3.0, 1.0]])
        >>> geodesic_gap(d, torch.tensor(4.0), torch.tensor([0]), torch.tensor([1]))
        tensor([0.5000])
    """
    to_label, to_guess = distances.gather(1, torch.stack([labels, guesses], 1)).unbind(1)
    gap = (to_label - to_guess) / spacing
    return gap.masked_fill((to_label + to_guess).isinf(), torch.nan)
