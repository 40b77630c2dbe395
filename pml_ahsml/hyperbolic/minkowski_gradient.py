"""The gradient of the matrix of scaled Minkowski products: one matrix product for each side."""

from typing import Any

import torch
from torch import Tensor

from .blocks import blocks, symmetric_sum
from .distance_gradient import RowGradient, for_each_sample
from .polar import (
    Polar,
    largest_sinh_squared,
    left_factor,
    plain_similarity_matrix,
    right_factor,
)
from .second_derivative import keep_inputs, second_derivative

# Elements of the matrix worked on at once: smaller products are slower.
_BLOCK_ELEMENTS = 1 << 21


def matrix_gradient(
    grad: Tensor,
    e: Tensor,
    f: Tensor,
    curvature: float | Tensor,
    options: tuple[float, bool, bool],
    needed: tuple[bool, bool, bool],
    found: tuple[Tensor, Tensor],
) -> tuple[Tensor, Tensor, Tensor]:
    """Compute the gradient of the similarities.

    The slope of s = 1 − P/K by P is the same for all pairs, so that near pairs need no care.

    Args:
        grad: (N, M) ∂L/∂s.
        e: (N, D) rows.
        f: (M, D) rows.
        curvature: c > 0.
        options: the norm r at which rows are clipped, whether they are points of the ball, and
            whether e and f are the same rows.
        needed: whether the gradients by e, f and c are needed.
        found: polar coordinates of e, and of f unless the rows are the same.

    Returns:
        Gradients by e, f and c. One that is not needed has no elements; for the same rows the
        gradient by e is the whole.

    Example:
        >>> from pml_ahsml.hyperbolic.polar import polar_coordinates, row_norms
        >>> e, f = torch.tensor([[1.0, 0.0]]), torch.tensor([[0.0, 1.0]])
        >>> x, y = (torch.stack(polar_coordinates(row_norms(u), 1.0, 0.5, False)) for u in (e, f))
        >>> grad, options = torch.ones(1, 1), (0.5, False, False)
        >>> matrix_gradient(grad, e, f, 1.0, options, (True, False, False), (x, y))[0]
        tensor([[0.0000, 1.0000]])
    """
    # backward() may be called under autocast
    with torch.autocast(grad.device.type, enabled=False):
        gradients: tuple[Tensor, Tensor, Tensor] = _MatrixGradient.apply(
            grad, e, f, curvature, *options, *needed, *found
        )
    return gradients


class _MatrixGradient(torch.autograd.Function):
    """Gradient of the similarities; its own gradient is that of the plain form."""

    @staticmethod
    def forward(
        grad: Tensor,
        e: Tensor,
        f: Tensor,
        curvature: float | Tensor,
        max_norm: float,
        on_ball: bool,
        same: bool,
        need_e: bool,
        need_f: bool,
        need_c: bool,
        x_polar: Tensor,
        y_polar: Tensor,
    ) -> tuple[Tensor, Tensor, Tensor]:
        c = float(curvature)
        largest = float(largest_sinh_squared(c, max_norm))
        x = RowGradient(e, Polar(*x_polar), -1 / largest, 1, need_e or need_c)
        polar = x.polar if same else Polar(*y_polar)
        y = RowGradient(f, polar, -1 / largest, -1, not same and (need_f or need_c))
        total = _accumulate(grad, x, y, same, need_c)
        by_curvature = e.new_empty(0)
        if isinstance(curvature, Tensor) and need_c:
            along = (x.by_radius * x.polar.drift).sum() + (y.by_radius * y.polar.drift).sum()
            # K = sinh²(2√c·r), dK/dc = sinh(4√c·r)·r/√c
            slope = torch.sinh(along.new_tensor(4 * c**0.5 * max_norm)) * max_norm / c**0.5
            along = along + total * slope / largest**2
            by_curvature = along.to(curvature).reshape(curvature.shape)
        return x.total(), y.total(), by_curvature

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
        keep_inputs(ctx, inputs)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        return (*second_derivative(ctx, plain_similarity_matrix, grads), *(None,) * 8)

    @staticmethod
    def vmap(info: Any, in_dims: tuple[int | None, ...], *arguments: Any) -> Any:
        return for_each_sample(_MatrixGradient.apply, info.batch_size, in_dims, arguments)


def _accumulate(
    grad: Tensor, x: RowGradient, y: RowGradient, same: bool, need_total: bool
) -> Tensor:
    """Add up the gradients of both sides in blocks of rows, and return Σ ∂L/∂s·P if needed.

    If both sides are the same rows, pairs (i, j) and (j, i) both count for the first side.
    """
    right = right_factor(y.e, y.polar, grad.dtype)
    sums = grad.new_zeros(len(y.e), y.e.shape[1] + 2) if y.needed else None
    total = x.polar.norm.new_zeros(())
    for rows in blocks(len(grad), len(y.e) + 4 * y.e.shape[1], grad.device, _BLOCK_ELEMENTS):
        w = symmetric_sum(grad, rows) if same else grad[rows]
        left = None
        if y.needed or need_total:
            left = left_factor(x.e[rows], x.polar.take(rows), grad.dtype)
        if x.needed:
            both = w @ right
            x.add_sums(rows, both[:, :-2], both[:, -2])
            if need_total and left is not None:
                # P is the product of both factors; the same rows count each pair twice
                total += (left * both).sum(dtype=total.dtype) / (2 if same else 1)
        if sums is not None and left is not None:
            sums.addmm_(w.T, left)
    if sums is not None:
        y.add_sums(slice(None), sums[:, :-2], sums[:, -2] + sums[:, -1])
    return total
