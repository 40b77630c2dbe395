"""The matrix of geodesic distances as one autograd function: fast, small, exact for near pairs.

With α = cosh A − 1 = 2 sinh²(A/2), and β likewise of B, the hyperbolic law of cosines reads

    P = cosh(√c·d) − 1 = α·cosh B + β − sinh A·sinh B·cos θ,    √c·d = log(1 + P + √(P² + 2P)),

so P of all pairs is one matrix product, of the rows [−sinh A·û, α, 1] with the rows
[sinh B·v̂, cosh B, β], and the gradients are one more on each side, sums over pairs included. α
keeps the digits that cosh A loses near the origin.

The product resolves P to some eps·sinh A·sinh B. Near pairs, those with less than a multiple of
that, are computed again: one by one from differences where a row has few of them; by the same
product in float64 where it has many, as in a batch that has collapsed.
"""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor

from ..precision import exact_dtype
from .blocks import blocks, pair_blocks, take_rows, wide_parts
from .distance_gradient import FEW_NEAR, MANY_NEAR, matrix_gradient
from .one_by_one import one_by_one
from .plain_distance import PRODUCT_FLOOR
from .polar import Polar, difference_form, left_factor, polar_coordinates, right_factor, row_norms

# A pair is near if P is below this multiple of sinh A·sinh B. In float32 the product is off by some
# 2e-7 of that scale: by 1e-5 of the distance of a pair that is just not near.
_NEAR = {torch.float32: 2.0**-7, torch.float64: 2.0**-20}

# A row has many near pairs if they are more than this share of its pairs, and more than this
# number: a pair alone costs some 50 times its share of a product.
_FEW_SHARE, _FEW = 1 / 64, 4

# Elements of the matrix worked on at once. Large blocks cost memory, small ones wait for their
# threads more often.
_BLOCK_ELEMENTS = 1 << 20


def distance_matrix(
    e: Tensor, f: Tensor, curvature: float | Tensor, max_norm: float, on_ball: bool
) -> Tensor:
    """All pairs, by the autograd function; arguments as of ``geodesic.distance_matrix``.

    Args:
        e: (N, D) rows in float32 or float64.
        f: (M, D) rows of the same dtype; the same tensor for the distances among its rows.
        curvature: c > 0.
        max_norm: r > 0, the tangent norm at which rows are clipped.
        on_ball: rows are points of the ball instead of tangent vectors.

    Returns:
        (N, M) geodesic lengths.

    Source:
        This project.

    Example:
        >>> u = torch.tensor([[0.3, 0.4], [0.0, 1.0]])
        >>> distance_matrix(u, torch.zeros(1, 2), 0.1, 2.3, False).round(decimals=5)
        tensor([[1.],
                [2.]])
    """
    distances: Tensor = _DistanceMatrix.apply(
        e, f, curvature, max_norm, on_ball, f is e, torch.is_grad_enabled()
    )[0]
    return distances


class _DistanceMatrix(torch.autograd.Function):
    """Distances, and what their gradient needs; the gradient is a function of its own."""

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
        bound = _NEAR[e.dtype] * float(x.sinh.max() * y.sinh.max()) if distances.numel() else 0.0
        if same:
            distances.fill_diagonal_(torch.inf)  # known, and so not among the near pairs
        for rows in blocks(len(e), len(f), e.device, _BLOCK_ELEMENTS):
            p = distances[rows]
            root = roots[rows] if keep else torch.empty_like(p)
            near = None
            if float(p.amin()) <= bound:
                near = _near_pairs(p, x.take(rows), y)
                kinds[rows] = near.kinds
                _recompute(p, near, e[rows], f, x.take(rows), y, exact_right)
            if same:
                p.diagonal(rows.start).zero_()
            torch.addcmul(p, p, p, value=0.5, out=root).sqrt_()
            p.add_(root, alpha=2**0.5).log1p_().mul_(c**-0.5)
            if near is not None:
                # equal rows get no gradient; negative are the pairs that the product leaves alone
                _replace(root, (near.many,), lambda r: torch.where(r > 0, r, torch.inf))
                _replace(root, (near.i, near.j), lambda r: torch.where(r > 0, -r, torch.inf))
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
        # the distances are not kept: some losses and miners write into them
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
        # among the rows of one tensor the first argument carries the whole gradient
        need = (need[0], need[1] and not ctx.options[-1], need[2])
        own = (g if wanted else None for g, wanted in zip(gradients, need, strict=True))
        return (*own, *(None,) * 4)

    @staticmethod
    def vmap(info: Any, in_dims: tuple[int | None, ...], *arguments: Any) -> Any:
        return one_by_one(_DistanceMatrix.apply, info.batch_size, in_dims, arguments)


class _Near(NamedTuple):
    """The near pairs in a block of rows."""

    i: Tensor  # those of rows with a few
    j: Tensor
    many: Tensor  # the rows with many
    kinds: Tensor  # of all rows


def _near_pairs(p: Tensor, x: Polar, y: Polar) -> _Near:
    factor, x_sinh, y_sinh = _NEAR[p.dtype], x.sinh.to(p), y.sinh.to(p)
    rows = (p.amin(1) <= factor * x_sinh * y_sinh.max()).nonzero().squeeze(1)
    near = take_rows(p, rows) <= torch.outer(factor * x_sinh[rows], y_sinh)
    counts = near.sum(1)
    has_wider = exact_dtype(p) != p.dtype
    few = max(_FEW, int(_FEW_SHARE * p.shape[1])) if has_wider else p.shape[1]
    kinds = torch.zeros(len(p), dtype=torch.uint8, device=p.device)
    many = counts > few
    kinds[rows[counts > 0]] = FEW_NEAR
    kinds[rows[many]] = MANY_NEAR
    near.masked_fill_(many[:, None], False)
    i, j = near.nonzero().unbind(1)
    return _Near(rows[i], j, rows[many], kinds)


def _recompute(
    p: Tensor,
    near: _Near,
    e: Tensor,
    f: Tensor,
    x: Polar,
    y: Polar,
    exact_right: Callable[[], Tensor],
) -> None:
    """Overwrite P of the near pairs in a block of rows."""
    for pairs in pair_blocks(len(near.i), e.shape[1], e.device):
        i, j = near.i[pairs], near.j[pairs]
        p[i, j] = difference_form(e, f, x, y, i, j).to(p)
    for rows in wide_parts(near.many, p):
        product = left_factor(e[rows], x.take(rows), exact_dtype(e)) @ exact_right().T
        product = product.to(p)
        floor = torch.outer((PRODUCT_FLOOR * x.sinh[rows]).to(p), y.sinh.to(p))
        p[rows] = product.masked_fill_(product <= floor, 0.0)


def _replace(matrix: Tensor, where: tuple[Tensor, ...], by: Callable[[Tensor], Tensor]) -> None:
    if len(where[0]):
        matrix[where] = by(matrix[where])
