"""The matrix of geodesic distances: one matrix product, exact for near pairs.

``polar`` has the product, ``near_pairs`` the pairs that it cannot resolve, and
``distance_gradient`` the gradient.
"""

import functools
import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from ..precision import exact_dtype
from . import near_pairs
from .blocks import blocks
from .distance_gradient import for_each_sample, matrix_gradient
from .polar import (
    left_factor,
    plain_distance_matrix,
    polar_coordinates,
    right_factor,
    row_norms,
)

# Elements of a block. Large blocks cost memory; with small ones, threads wait for each other more
# often.
_BLOCK_ELEMENTS = 1 << 20

# torch below 2.3 has no is_compiling; there the autograd function breaks the graph
_is_compiling = getattr(torch.compiler, "is_compiling", lambda: False)


def distance_matrix(
    tangent: Tensor,
    ref_tangent: Tensor,
    curvature: float | Tensor,
    *,
    max_norm: float = math.inf,
    on_ball: bool = False,
) -> Tensor:
    """Compute the geodesic distances of all pairs by one matrix product, in O(N·M) memory.

    d(u, v) = (2/√c)·asinh √H,
    H = sinh²((A_u − A_v)/2) + sinh A_u·sinh A_v·‖û − v̂‖²/4,  A = 2√c‖u‖,  û = u/‖u‖.

    Near pairs are computed from coordinate differences or in float64, so equal rows are at distance
    exactly 0. The gradient of such a pair is 0, as in ``torch.cdist``. Second derivatives work and
    are slower. Half precision is computed in float32 and returned in the dtype of the arguments. On
    a GPU the accuracy is that of the matrix product: leave ``torch.set_float32_matmul_precision``
    at "highest". Float32 overflows to inf where √c·d exceeds 44; with the defaults of
    PoincareDistance it stays below 2.9.

    Args:
        tangent: (N, D) tangent vectors at the origin.
        ref_tangent: (M, D) tangent vectors at the origin.
        curvature: c > 0, a number or a tensor that may require a gradient.
        max_norm: r > 0; longer tangent vectors are shortened to it, as in ``maps.clip_norm``.
        on_ball: True if the rows are points of the ball; ``maps.logmap0`` maps such points.

    Returns:
        (N, M) geodesic lengths at curvature −c, in [0, 2(‖u‖ + ‖v‖)].

    Example:
        >>> u = torch.tensor([[0.3, 0.4], [0.0, 1.0]])
        >>> distance_matrix(u, torch.zeros(1, 2), 0.1).round(decimals=5)
        tensor([[1.],
                [2.]])
    """
    dtype = torch.promote_types(tangent.dtype, ref_tangent.dtype)
    wide = torch.promote_types(dtype, torch.float32)
    u = tangent.to(wide)
    v = u if ref_tangent is tangent else ref_tangent.to(wide)
    with torch.autocast(tangent.device.type, enabled=False):
        if _is_compiling():
            distances = plain_distance_matrix(u, v, curvature, max_norm, on_ball)
        else:
            keep = torch.is_grad_enabled()
            distances = _DistanceMatrix.apply(u, v, curvature, max_norm, on_ball, v is u, keep)[0]
    return distances.to(tangent.dtype)


class _DistanceMatrix(torch.autograd.Function):
    """Distances of all pairs, and what their gradient needs.

    Returns the distances; √(P + P²/2), inf for equal rows and negative for pairs computed one by
    one; the kinds of rows; the polar coordinates of e, and of f unless they are the same.
    """

    @staticmethod
    def forward(
        e: Tensor,
        f: Tensor,
        curvature: float | Tensor,
        max_norm: float,
        on_ball: bool,
        same: bool,
        keep: bool,
    ) -> tuple[Tensor, ...]:
        c = float(curvature)
        x = polar_coordinates(row_norms(e), c, max_norm, on_ball)
        y = x if same else polar_coordinates(row_norms(f), c, max_norm, on_ball)
        distances = left_factor(e, x, e.dtype) @ right_factor(f, y, e.dtype).T
        roots = torch.empty_like(distances) if keep else e.new_empty(0)
        kinds = torch.zeros(len(e), dtype=torch.uint8, device=e.device)
        exact_right = functools.cache(lambda: right_factor(f, y, exact_dtype(f)))
        bound = (
            near_pairs.NEAR[e.dtype] * float(x.sinh.max() * y.sinh.max())
            if distances.numel()
            else 0.0
        )
        if same:
            distances.fill_diagonal_(torch.inf)  # the diagonal must not count as near pairs
        for rows in blocks(len(e), len(f), e.device, _BLOCK_ELEMENTS):
            p = distances[rows]
            root = roots[rows] if keep else torch.empty_like(p)
            found = None
            if float(p.amin()) <= bound:
                found = near_pairs.find_near_pairs(p, x.take(rows), y)
                kinds[rows] = found.kinds
                near_pairs.recompute_near_pairs(p, found, e[rows], f, x.take(rows), y, exact_right)
            if same:
                p.diagonal(rows.start).zero_()
            torch.addcmul(p, p, p, value=0.5, out=root).sqrt_()
            p.add_(root, alpha=2**0.5).log1p_().mul_(c**-0.5)
            if found is not None:
                # equal rows have no gradient
                _replace(root, (found.many,), lambda r: torch.where(r > 0, r, torch.inf))
                _replace(root, (found.i, found.j), lambda r: torch.where(r > 0, -r, torch.inf))
            if same:
                root.diagonal(rows.start).fill_(torch.inf)
        return (
            distances,
            roots,
            kinds,
            torch.stack(x),
            x.norm.new_empty(0) if same else torch.stack(y),
        )

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
        e, f, curvature, *ctx.options = inputs[:6]
        ctx.curvature = None if isinstance(curvature, Tensor) else curvature
        kept = (curvature,) if isinstance(curvature, Tensor) else ()
        # do not save the distances: some losses and miners write into them
        ctx.save_for_backward(e, f, *output[1:], *kept)
        ctx.mark_non_differentiable(*output[1:])
        ctx.set_materialize_grads(False)

    @staticmethod
    def backward(ctx: Any, grad: Tensor | None, *_: None) -> tuple[Tensor | None, ...]:
        if grad is None:
            return (None,) * 7
        e, f, *found, curvature = (*ctx.saved_tensors, ctx.curvature)[:7]
        need = ctx.needs_input_grad[:3]
        gradients = matrix_gradient(grad, e, f, curvature, ctx.options, need, tuple(found))
        # if e and f are one tensor, the first gradient is that of both
        need = (need[0], need[1] and not ctx.options[-1], need[2])
        own = (g if wanted else None for g, wanted in zip(gradients, need, strict=True))
        return (*own, *(None,) * 4)

    @staticmethod
    def vmap(info: Any, in_dims: tuple[int | None, ...], *arguments: Any) -> Any:
        return for_each_sample(_DistanceMatrix.apply, info.batch_size, in_dims, arguments)


def _replace(matrix: Tensor, where: tuple[Tensor, ...], by: Callable[[Tensor], Tensor]) -> None:
    if len(where[0]):
        matrix[where] = by(matrix[where])
