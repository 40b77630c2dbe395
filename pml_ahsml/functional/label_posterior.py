"""A small generative model of a noisy label: which class is it, given where it lies and its label.

The true class k of a sample is judged by the distance to the class centroids; the label y is what
became of k on the way to the data set: usually y = k, with probability ε another class, and the
closer two classes are the likelier they are to be confused.
"""

import torch
from torch import Tensor


def class_log_likelihood(
    distances: Tensor,
    temperature: float | Tensor,
    balance: Tensor,
    seen: Tensor,
) -> Tensor:
    """Log-likelihood of each class: log p_i(k) = log softmax_k( −d(h_i, μ_k)/τ − b_k ).

    Args:
        distances: (N, K) geodesic distances of the samples to the class centroids.
        temperature: τ > 0, in units of the distance.
        balance: (K,) b_k, which keeps one class from swallowing the others.
        seen: (K,) bool, False for classes that have no centroid yet: they get probability 0.

    Returns:
        (N, K) log-probabilities; rows sum to 1 after exp, given that any class is seen.

    Source:
        This project.

    Example:
        >>> seen = torch.tensor([True, True, False])
        >>> d = torch.tensor([[1.0, 2.0, 0.0]])
        >>> class_log_likelihood(d, 1.0, torch.zeros(3), seen).exp()
        tensor([[0.7311, 0.2689, 0.0000]])
    """
    # distances of unseen classes carry nothing, and inf/τ would put nan into the gradient of τ
    logits = -distances.masked_fill(~seen, 0) / temperature - balance
    return logits.masked_fill(~seen, -torch.inf).log_softmax(dim=1)


def log_transition(
    divergence: Tensor,
    noise_rate: float | Tensor,
    spread: float | Tensor,
    seen: Tensor,
) -> Tensor:
    """Log-probability that class k is labelled y, the hierarchical confusion prior.

    T_ky = 1 − ε for y = k, and ε·softmax_{y≠k}( −d(μ_k, μ_y)/σ ) for y ≠ k. A small σ says that
    a class is confused with its neighbours, a large σ that any mistake is as likely as another.

    Args:
        divergence: (K, K) geodesic distances between class centroids; those of unseen classes may
            be nan.
        noise_rate: ε in (0, 1).
        spread: σ > 0, in units of the distance.
        seen: (K,) bool, False for classes that have no centroid yet: nothing is confused with them.

    Returns:
        (K, K) log T; each row sums to 1 after exp where at least two classes are seen.

    Source:
        This project; the class-wise divergence it stands on is AHSML's.

    Example:
        >>> d = torch.tensor([[0.0, 1.0, 2.0], [1.0, 0.0, 1.0], [2.0, 1.0, 0.0]])
        >>> log_transition(d, 0.3, 1.0, torch.ones(3, dtype=torch.bool)).exp()
        tensor([[0.7000, 0.2193, 0.0807],
                [0.1500, 0.7000, 0.1500],
                [0.0807, 0.2193, 0.7000]])
    """
    same = torch.eye(len(divergence), dtype=torch.bool, device=divergence.device)
    excluded = same | ~seen | ~seen[:, None]
    logits = (-divergence.masked_fill(excluded, 0) / spread).masked_fill(excluded, -torch.inf)
    # logsumexp instead of log_softmax: a row with nothing left stays −inf instead of nan
    log_normaliser = logits.masked_fill(excluded.all(1, keepdim=True), 0).logsumexp(1, keepdim=True)
    epsilon = torch.as_tensor(noise_rate, dtype=divergence.dtype, device=divergence.device)
    return torch.where(same, torch.log1p(-epsilon), epsilon.log() + logits - log_normaliser)


def log_joint(log_likelihood: Tensor, transition: Tensor, labels: Tensor) -> Tensor:
    """Log of p_i(k)·T_{k,y_i}: sample i is of class k and came to be labelled y_i.

    Its logsumexp over k is the log marginal likelihood of the label as given.

    Args:
        log_likelihood: (N, K) log p_i(k).
        transition: (K, K) log T.
        labels: (N,) labels as given.

    Returns:
        (N, K) log-probabilities.

    Source:
        This project.

    Example:
        >>> p = torch.tensor([[0.9, 0.1]])
        >>> t = torch.tensor([[0.8, 0.2], [0.2, 0.8]])
        >>> log_joint(p.log(), t.log(), torch.tensor([1])).exp()
        tensor([[0.1800, 0.0800]])
    """
    return log_likelihood + transition.T[labels]


def label_posterior(log_likelihood: Tensor, transition: Tensor, labels: Tensor) -> Tensor:
    """Posterior over the true class: t_i(k) ∝ p_i(k)·T_{k,y_i}.

    Args:
        log_likelihood: (N, K) log p_i(k).
        transition: (K, K) log T.
        labels: (N,) labels as given.

    Returns:
        (N, K), rows sum to 1. The trust in label i is its entry at y_i.

    Source:
        This project.

    Example:
        >>> p = torch.tensor([[0.9, 0.1]])
        >>> t = torch.tensor([[0.8, 0.2], [0.2, 0.8]])
        >>> label_posterior(p.log(), t.log(), torch.tensor([1]))
        tensor([[0.6923, 0.3077]])
    """
    return log_joint(log_likelihood, transition, labels).softmax(dim=1)


def geodesic_gap(
    distances: Tensor, divergence: Tensor, labels: Tensor, guesses: Tensor, neighbours: int = 5
) -> Tensor:
    """How much nearer a sample is to one class than to another, in units of class spacing.

    (d(h_i, μ_y) − d(h_i, μ_g)) / s, where the spacing s is the mean geodesic distance between a
    class and its nearest classes.

    Args:
        distances: (N, K) geodesic distances of the samples to the class centroids.
        divergence: (K, K) geodesic distances between class centroids, nan for unseen classes.
        labels: (N,) classes y.
        guesses: (N,) classes g.
        neighbours: nearest classes that count for the spacing; fewer where fewer are seen.

    Returns:
        (N,), positive where the sample is nearer to g; nan where y or g is unseen.

    Source:
        This project.

    Example:
        >>> d = torch.tensor([[3.0, 1.0]])
        >>> divergence = torch.tensor([[0.0, 4.0], [4.0, 0.0]])
        >>> geodesic_gap(d, divergence, torch.tensor([0]), torch.tensor([1]))
        tensor([0.5000])
    """
    seen = ~divergence.diagonal().isnan()
    between = divergence[seen][:, seen]
    same = torch.eye(len(between), dtype=torch.bool, device=between.device)
    count = max(0, min(neighbours, len(between) - 1))
    nearest = between.masked_fill(same, torch.inf).topk(count, largest=False).values
    gap = distances.gather(1, labels[:, None]) - distances.gather(1, guesses[:, None])
    known = (seen[labels] & seen[guesses])[:, None]
    return (gap / nearest.mean()).masked_fill(~known, torch.nan).squeeze(1)
