"""The Minkowski product of all pairs, scaled to a similarity in [−1, 1].

The product of two points of the hyperboloid is −cosh(√c·d) = −(1 + P), with P as in ``polar``. The
largest P among rows clipped to the norm r is P_max = 2·sinh² A_r, A_r = 2√c·r. So the similarity

    s = 1 − 2P/P_max = 1 − P/K,   K = sinh² A_r,

lies in [−1, 1]. It is linear in P: one matrix product, no logarithm, and the rounding errors of a
cosine. The gradient is in ``minkowski_gradient``.
"""

import functools
from typing import Any

import torch
from torch import Tensor

from ..precision import exact_dtype
from . import near_pairs
from .blocks import blocks
from .distance_gradient import for_each_sample
from .minkowski_gradient import matrix_gradient
from .polar import (
    largest_sinh_squared,
    left_factor,
    plain_similarity_matrix,
    polar_coordinates,
    right_factor,
    row_norms,
)

# Elements of the matrix worked on at once, as in ``geodesic``.
_BLOCK_ELEMENTS = 1 << 20

# A pair is near if P is below this multiple of sinh A·sinh B. In s = 1 − P/K an error of P counts
# by itself, not relative to P as in a distance, so only rows equal but for rounding need care.
# A product of thousands of terms in float32 is off by some 1e-6 at most.
_NEAR = {torch.float32: 2.0**-16, torch.float64: 2.0**-40}

# torch below 2.3 cannot tell; there the autograd function breaks the graph
_is_compiling = getattr(torch.compiler, "is_compiling", lambda: False)


def similarity_matrix(
    tangent: Tensor,
    ref_tangent: Tensor,
    curvature: float | Tensor,
    max_norm: float,
    *,
    on_ball: bool = False,
) -> Tensor:
    """Compute the scaled Minkowski products of all pairs by one matrix product.

    s(u, v) = 1 − 2·(cosh(√c·d) − 1)/(cosh(√c·d_max) − 1)
            = 1 − 2·(sinh²((A_u − A_v)/2) + sinh A_u·sinh A_v·‖û − v̂‖²/4)/sinh² A_r,

    A_u = 2√c‖u‖, û = u/‖u‖, A_r = 2√c·r, d_max = 4r. Where both norms are r, it is the cosine.
    Pairs that differ by hardly more than rounding are computed from coordinate differences or in
    float64, so that equal rows have exactly 1. Second derivatives work and are slower. Half
    precision is computed in float32 and returned in the dtype of the arguments. Float32 overflows
    where A_r exceeds 44; with r = 2.3 and c = 0.1 it is 1.5.

    Args:
        tangent: (N, D) tangent vectors at the origin.
        ref_tangent: (M, D) tangent vectors at the origin.
        curvature: c > 0, a number or a tensor that may require a gradient.
        max_norm: r > 0, finite; longer tangent vectors are shortened to it, as in
            ``maps.clip_norm``.
        on_ball: True if the rows are points of the ball; ``maps.logmap0`` maps such points.

    Returns:
        (N, M) similarities in [−1, 1].

    Source:
        Lorentzian distance: Law et al., ICML 2019. The scale: this project.

    Example:
        >>> u = torch.tensor([[2.3, 0.0], [-2.3, 0.0], [0.0, 0.0]])
        >>> similarity_matrix(u, u[:1], 0.1, 2.3).round(decimals=4)
        tensor([[ 1.0000],
                [-1.0000],
                [ 0.6931]])
    """
    dtype = torch.promote_types(tangent.dtype, ref_tangent.dtype)
    wide = torch.promote_types(dtype, torch.float32)
    u = tangent.to(wide)
    v = u if ref_tangent is tangent else ref_tangent.to(wide)
    with torch.autocast(tangent.device.type, enabled=False):
        if _is_compiling():
            similarity = plain_similarity_matrix(u, v, curvature, max_norm, on_ball)
        else:
            similarity = _SimilarityMatrix.apply(u, v, curvature, max_norm, on_ball, v is u)[0]
    return similarity.to(tangent.dtype)


def pairwise_similarity(
    tangent: Tensor, ref_tangent: Tensor, curvature: float | Tensor, max_norm: float
) -> Tensor:
    """Compute the scaled Minkowski product of row i of one and row i of the other argument.

    Args:
        tangent: (N, D) tangent vectors at the origin, of norm ≤ ``max_norm``.
        ref_tangent: (N, D) such vectors.
        curvature: c > 0, a number or a tensor that may require a gradient.
        max_norm: r > 0, the norm at which s is the cosine.

    Returns:
        (N,) similarities in [−1, 1] as in :func:`similarity_matrix`, in the dtype of the arguments.
        Derivatives of any order exist.

    Example:
        >>> u = torch.tensor([[2.3, 0.0]])
        >>> pairwise_similarity(u, -u, 0.1, 2.3)
        tensor([-1.0000])
    """
    exact = exact_dtype(tangent)
    with torch.autocast(tangent.device.type, enabled=False):
        half = near_pairs.half_sinh_squared(tangent.to(exact), ref_tangent.to(exact), curvature)
        c = torch.as_tensor(curvature, dtype=exact, device=tangent.device)
        similarity: Tensor = 1 - 2 * half / largest_sinh_squared(c, max_norm)
        return similarity.to(tangent.dtype)


class _SimilarityMatrix(torch.autograd.Function):
    """Similarities of all pairs, and the polar coordinates that their gradient needs.

    Those of f have no elements where e and f are the same rows.
    """

    @staticmethod
    def forward(
        e: Tensor,
        f: Tensor,
        curvature: float | Tensor,
        max_norm: float,
        on_ball: bool,
        same: bool,
    ) -> tuple[Tensor, ...]:
        c = float(curvature)
        x = polar_coordinates(row_norms(e), c, max_norm, on_ball)
        y = x if same else polar_coordinates(row_norms(f), c, max_norm, on_ball)
        similarity = left_factor(e, x, e.dtype) @ right_factor(f, y, e.dtype).T
        exact_right = functools.cache(lambda: right_factor(f, y, exact_dtype(f)))
        bound = _NEAR[e.dtype] * float(x.sinh.max() * y.sinh.max()) if similarity.numel() else 0.0
        slope = -1 / float(largest_sinh_squared(c, max_norm))
        if same:
            similarity.fill_diagonal_(torch.inf)  # so that the diagonal is no near pair
        for rows in blocks(len(e), len(f), e.device, _BLOCK_ELEMENTS):
            p = similarity[rows]
            if float(p.amin()) <= bound:
                own = x.take(rows)
                found = near_pairs.find_near_pairs(p, own, y, _NEAR[p.dtype])
                near_pairs.recompute_near_pairs(p, found, e[rows], f, own, y, exact_right)
            # rounding can lead beyond −1, where an arccosine ends
            p.mul_(slope).add_(1).clamp_min_(-1)
            if same:
                p.diagonal(rows.start).fill_(1)
        return similarity, torch.stack(x), x.norm.new_empty(0) if same else torch.stack(y)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
        e, f, curvature, *ctx.options = inputs
        ctx.curvature = None if isinstance(curvature, Tensor) else curvature
        kept = (curvature,) if isinstance(curvature, Tensor) else ()
        # the similarities are not kept: some losses and miners write into them
        ctx.save_for_backward(e, f, *output[1:], *kept)
        ctx.mark_non_differentiable(*output[1:])
        ctx.set_materialize_grads(False)

    @staticmethod
    def backward(ctx: Any, grad: Tensor | None, *_: None) -> tuple[Tensor | None, ...]:
        if grad is None:
            return (None,) * 6
        e, f, x_polar, y_polar, curvature = (*ctx.saved_tensors, ctx.curvature)[:5]
        need = ctx.needs_input_grad[:3]
        gradients = matrix_gradient(grad, e, f, curvature, ctx.options, need, (x_polar, y_polar))
        # if e and f are one tensor, the gradient by e is the whole
        need = (need[0], need[1] and not ctx.options[-1], need[2])
        own = (g if wanted else None for g, wanted in zip(gradients, need, strict=True))
        return (*own, *(None,) * 3)

    @staticmethod
    def vmap(info: Any, in_dims: tuple[int | None, ...], *arguments: Any) -> Any:
        return for_each_sample(_SimilarityMatrix.apply, info.batch_size, in_dims, arguments)
