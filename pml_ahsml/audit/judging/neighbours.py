"""The nearest other samples of each sample, and what they say about its class."""

import torch
from torch import Tensor

from ...hyperbolic.nearest_rows import largest_entries
from .beliefs import Beliefs
from .cells import has_faiss, nearest_in_cells
from .class_densities import blocks

# Rows and columns of one block of cosines: 64 MB.
_BLOCK = (2048, 8192)

# From this size on, faiss searches in cells of its own, if it is installed.
MANY = 100_000

# Numbers in one block of votes: what a core has at hand.
_VOTES = 1 << 19

# Pseudo-counts of the class frequencies among the votes.
_STRENGTH = 1.0


def nearest_others(points: Tensor, count: int, groups: Tensor | None = None) -> Tensor:
    """Find the samples with the largest cosine to each sample, itself left out.

    Args:
        points: (N, D), rows of norm 1.
        count: k.
        groups: (N,) integers; samples of the same group are left out as well. None for none.

    Returns:
        (N, k) rows, nearest first; -1 where there are no more.

    Example:
        >>> nearest_others(torch.tensor([[1.0, 0.0], [0.0, 1.0], [0.6, 0.8]]), 1)
        tensor([[2],
                [2],
                [1]])
    """
    own = torch.arange(len(points)) if groups is None else groups
    if len(points) >= MANY and has_faiss():
        return nearest_in_cells(points, count, own)

    def cosines(rows: slice, columns: slice) -> Tensor:
        block = points[rows] @ points[columns].T
        if groups is None:
            block.diagonal(rows.start - columns.start).fill_(-torch.inf)
        else:
            block.masked_fill_(groups[rows, None] == groups[columns], -torch.inf)
        return block

    size = len(points)
    values, found = largest_entries(cosines, size, size, min(count, size), block=_BLOCK)
    found = found.masked_fill(values == -torch.inf, -1)
    missing = found.new_full((size, count - found.shape[1]), -1)
    return torch.cat([found, missing], 1)


def log_votes(neighbours: Tensor, beliefs: Beliefs, classes: Tensor, frequencies: Tensor) -> Tensor:
    """Log-probability of classes by the votes of the nearest samples.

    log((b_ik + n_k/Σ_a n_a) / (Σ_a b_ia + 1)), with b_ik = Σ_{j near i} t_j(k) the votes for class
    k, and n_k/Σ_a n_a its frequency.

    Args:
        neighbours: (B, k) rows of the nearest samples, -1 for none.
        beliefs: (N, …) t_j(k), what is believed about the class of each sample.
        classes: (B, C) classes to vote on.
        frequencies: (K,) n_k/Σ_a n_a, from samples that are not asked about.

    Returns:
        (B, C).

    Source:
        k-NN votes under label noise: e.g. Bahri et al., ICML 2020.

    Example:
        >>> beliefs = Beliefs(torch.tensor([[0], [0], [1]]), torch.ones(3, 1))
        >>> log_votes(torch.tensor([[1]]), beliefs, torch.tensor([[0, 1]]), torch.ones(2) / 2).exp()
        tensor([[0.7500, 0.2500]])
    """
    found = torch.empty(classes.shape)
    for rows in blocks(len(classes), len(frequencies), _VOTES):
        near = neighbours[rows]
        there = near >= 0
        weights = beliefs.weights[near.clamp_min(0)] * there[:, :, None]
        votes = frequencies.mul(_STRENGTH).repeat(len(near), 1)
        votes.scatter_add_(1, beliefs.classes[near.clamp_min(0)].flatten(1), weights.flatten(1))
        totals = there.sum(1, keepdim=True) + _STRENGTH
        # a class that nobody is believed to be of has no votes at all
        smallest = torch.finfo(votes.dtype).tiny
        found[rows] = (votes.gather(1, classes[rows]) / totals).clamp_min(smallest).log()
    return found
