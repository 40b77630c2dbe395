"""The hardest pairs of each anchor, which other pairs are compared with."""

from typing import NamedTuple

import torch
from torch import Tensor


class HardestPairs(NamedTuple):
    """What the pairs of a batch are compared with.

    Args:
        positive: (N,) similarity of the least similar positive of each anchor, ∞ without one.
        negative: (N,) similarity of the most similar negative of each anchor, −∞ without one.
        half_range: half the range of the similarities of all pairs, in [0, 1]; 0 without pairs.
    """

    positive: Tensor
    negative: Tensor
    half_range: Tensor


def hardest_pairs(
    similarity: Tensor, positives: tuple[Tensor, Tensor], negatives: tuple[Tensor, Tensor]
) -> HardestPairs:
    """Find the hardest pairs of each anchor, and the range of the similarities of all pairs.

    Args:
        similarity: (N, M) similarities in [−1, 1] of the anchors to the references.
        positives: indices (anchor, reference) of the positive pairs.
        negatives: indices (anchor, reference) of the negative pairs.

    Returns:
        The hardest positive and negative of each anchor, and half the range.

    Source:
        The hardest pairs: Wang et al., Multi-Similarity Loss, CVPR 2019, pair mining. The
        range: this project.

    Example:
        >>> s = torch.tensor([[1.0, 0.6, 0.2], [0.6, 1.0, 0.4], [0.2, 0.4, 1.0]])
        >>> y = torch.tensor([0, 0, 1])
        >>> same, other = y[:, None] == y, y[:, None] != y
        >>> positives = same.fill_diagonal_(False).nonzero(as_tuple=True)
        >>> hardest = hardest_pairs(s, positives, other.nonzero(as_tuple=True))
        >>> hardest.positive
        tensor([0.6000, 0.6000,    inf])
        >>> hardest.negative
        tensor([0.2000, 0.4000, 0.4000])
        >>> hardest.half_range
        tensor(0.2000)
    """
    near, far = similarity[positives], similarity[negatives]
    nothing = similarity.new_full((len(similarity),), torch.inf)
    positive = nothing.scatter_reduce(0, positives[0], near, "amin")
    negative = (-nothing).scatter_reduce(0, negatives[0], far, "amax")
    values = torch.cat([near, far])
    if len(values) == 0:
        return HardestPairs(positive, negative, similarity.new_zeros(()))
    return HardestPairs(positive, negative, (values.amax() - values.amin()) / 2)
