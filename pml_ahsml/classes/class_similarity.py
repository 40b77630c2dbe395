"""Class-wise similarity and the adaptive margins of AHSML."""

import torch
from torch import Tensor

from ..hyperbolic.products import product


def class_similarity(similarity: Tensor, labels: Tensor, num_classes: int) -> tuple[Tensor, Tensor]:
    """Compute the mean similarity within and between the classes of a batch.

    S_aa = 2/(n_a² − n_a)·Σ_{i<j of a} s_ij,  S_ab = 1/(n_a·n_b)·Σ_{i of a, j of b} s_ij.

    Args:
        similarity: (N, N) similarities of the samples of the batch.
        labels: (N,) classes in [0, num_classes).
        num_classes: K.

    Returns:
        within: (K,) S_aa, nan for classes with fewer than two samples.
        between: (K, K) S_ab, nan on the diagonal and for classes without samples.

    Source:
        AHSML, class-wise divergence (see docs/method.md).

    Example:
        >>> s = torch.tensor([[1.0, 0.8, 0.1], [0.8, 1.0, 0.3], [0.1, 0.3, 1.0]])
        >>> within, between = class_similarity(s, torch.tensor([0, 0, 1]), 2)
        >>> within
        tensor([0.8000,    nan])
        >>> between
        tensor([[   nan, 0.2000],
                [0.2000,    nan]])
    """
    # torch's one_hot looks at the values of labels first
    classes = torch.arange(num_classes, device=labels.device)
    member = (labels[:, None] == classes).to(similarity.dtype)
    counts = member.sum(0)
    sums = product(product(member.T, similarity), member)
    sums = (sums + sums.T) / 2  # rounding must not order S_ab and S_ba
    self_sums = product(member.T, similarity.diagonal())
    ordered_pairs = counts * (counts - 1)
    within = torch.where(
        ordered_pairs > 0, (sums.diagonal() - self_sums) / ordered_pairs, torch.nan
    )
    pairs = counts.outer(counts)
    between = torch.where(pairs > 0, sums / pairs, torch.nan)
    return within, between.fill_diagonal_(torch.nan)


def rescale(values: Tensor, span: float) -> Tensor:
    """Rescale values to [0, span] by minimum and maximum, ignoring nan.

    Args:
        values: tensor of any shape, nan for unknown values.
        span: length of the range, ≥ 0. AHSML uses 0.2.

    Returns:
        The same shape. Unknown values become span/2, which favours no class. So do all values if
        the known ones are equal.

    Source:
        The range: AHSML.

    Example:
        >>> rescale(torch.tensor([1.0, 2.0, 3.0, torch.nan]), 0.2)
        tensor([0.0000, 0.1000, 0.2000, 0.1000])
    """
    if values.numel() == 0:
        return values
    known = values.isfinite()
    low = torch.where(known, values, torch.inf).amin()
    width = torch.where(known, values, -torch.inf).amax() - low
    scaled = (values - low) * (span / torch.where(width > 0, width, 1.0))
    return torch.where(known & (width > 0), scaled, span / 2)


def adaptive_margins(
    within: Tensor, between: Tensor, gamma: float, span: float
) -> tuple[Tensor, Tensor]:
    """Compute class-wise adaptive margins in similarity: M_p(a) = γ + Ŝ_aa, M_n(a, b) = γ − Ŝ_ab.

    A tight class must become tighter, and two close classes are pushed apart harder.

    Args:
        within: (K,) S_aa, nan where unknown.
        between: (K, K) S_ab, nan where unknown.
        gamma: γ, the base margin. AHSML uses 0.5.
        span: the range [0, span] of Ŝ. AHSML uses 0.2.

    Returns:
        positive: (K,) M_p, in [γ, γ + span]: a positive pair should be at least this similar.
        negative: (K, K) M_n, in [γ − span, γ]: a negative pair should be at most this similar.

    Source:
        AHSML. Here Ŝ_aa and Ŝ_ab are rescaled separately, see docs/method.md.

    Example:
        >>> between = torch.tensor([[torch.nan, 0.2], [0.2, torch.nan]])
        >>> adaptive_margins(torch.tensor([0.6, 0.8]), between, 0.5, 0.2)[0]
        tensor([0.5000, 0.7000])
    """
    return gamma + rescale(within, span), gamma - rescale(between, span)


def view_margins(similarity: Tensor, labels: Tensor, num_classes: int) -> Tensor:
    """Compute the margins of view pairs: M_a(a) = min_{i,j of a} s_ij.

    Two views of one sample should be at least as similar as any two samples of its class.

    Args:
        similarity: (N, N) similarities of all rows of the batch, views included.
        labels: (N,) classes in [0, num_classes).
        num_classes: K.

    Returns:
        (K,) similarities. A class with fewer than two rows gets the mean of the other classes, or
        nan if there is none.

    Source:
        AHSML, sample-wise consistency. docs/method.md says which choices are not AHSML's.

    Example:
        >>> s = torch.tensor([[1.0, 0.8, 0.1], [0.8, 1.0, 0.3], [0.1, 0.3, 1.0]])
        >>> view_margins(s, torch.tensor([0, 0, 1]), 2)
        tensor([0.8000, 0.8000])
    """
    if len(labels) == 0:
        return similarity.new_full((num_classes,), torch.nan)
    pairs = (labels[:, None] == labels).fill_diagonal_(False)
    least = similarity.masked_fill(~pairs, torch.inf).amin(1)
    margins = least.new_full((num_classes,), torch.inf).scatter_reduce_(0, labels, least, "amin")
    known = margins.isfinite()
    return torch.where(known, margins, margins[known].mean())


def margin_offsets(
    within: Tensor, between: Tensor, labels: Tensor, ref_labels: Tensor, span: float
) -> Tensor:
    """Compute the offsets that put the adaptive margins into the similarities of pairs.

    The offset is Ŝ_aa for a positive pair of class a, and −Ŝ_ab for a negative pair of classes a
    and b. Then comparing s_ij − offset with γ equals comparing s_ij with M_p(a) or M_n(a, b).

    Args:
        within: (K,) S_aa, nan where unknown.
        between: (K, K) S_ab, nan where unknown.
        labels: (N,) classes in [0, K).
        ref_labels: (M,) classes in [0, K).
        span: the range [0, span] of Ŝ. AHSML uses 0.2.

    Returns:
        (N, M) offsets in similarity.

    Source:
        Margins: AHSML.

    Example:
        >>> between = torch.tensor([[torch.nan, 0.2], [0.2, torch.nan]])
        >>> y = torch.tensor([0, 1])
        >>> margin_offsets(torch.tensor([0.6, 0.8]), between, y, y, 0.2)
        tensor([[ 0.0000, -0.1000],
                [-0.1000,  0.2000]])
    """
    positive, negative = adaptive_margins(within, between, 0.0, span)
    table = negative.diagonal_scatter(positive)
    return table.index_select(0, labels).index_select(1, ref_labels)
