"""The gradient of a gradient: what the matrices of distances and of similarities share."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

# (e, f, curvature, max_norm, on_ball) to the matrix of all pairs, by differentiable operations
PlainMatrix = Callable[[Tensor, Tensor, Tensor, float, bool], Tensor]


def keep_inputs(ctx: Any, inputs: tuple[Any, ...]) -> None:
    """Keep what :func:`second_derivative` needs.

    Args:
        ctx: of the autograd function of the gradient.
        inputs: gradient of the matrix, rows e, rows f, curvature, max_norm, on_ball, whether f is
            e, and whether the gradients of e, f and curvature are needed; more are ignored.
    """
    grad, e, f, curvature, *ctx.options = inputs[:7]
    same, need_e, need_f, need_c = inputs[6:10]
    ctx.used = (need_e, need_f and not same, need_c)
    ctx.is_number = not isinstance(curvature, Tensor)
    curvature = torch.as_tensor(curvature, dtype=e.dtype, device=e.device)
    ctx.save_for_backward(grad, e, f, curvature)


def second_derivative(
    ctx: Any, plain: PlainMatrix, grads: tuple[Tensor, ...]
) -> tuple[Tensor | None, ...]:
    """Compute the gradients of the first four inputs that :func:`keep_inputs` was given.

    Args:
        ctx: of the autograd function of the gradient.
        plain: the matrix as a composition of differentiable operations.
        grads: gradients of the gradients of e, f and curvature.
    """
    max_norm, on_ball, same = ctx.options

    def used(values: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        return tuple(v for v, is_used in zip(values, ctx.used, strict=True) if is_used)

    def gradients(grad: Tensor, *of: Tensor) -> tuple[Tensor, ...]:
        def matrix(e: Tensor, f: Tensor, c: Tensor) -> Tensor:
            return plain(e, f, c, max_norm, on_ball)

        by_e, by_f, by_c = torch.func.vjp(matrix, *of)[1](grad)
        return used((by_e + by_f if same else by_e, by_f, by_c))

    back = torch.func.vjp(gradients, *ctx.saved_tensors)[1](used(grads))
    return (*back[:3], None if ctx.is_number else back[3])
