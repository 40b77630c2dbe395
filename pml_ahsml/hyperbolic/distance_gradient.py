"""The gradient of the distance matrix: one matrix product per side."""

import functools
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from ..precision import exact_dtype
from .blocks import blocks, pair_blocks, take_rows, wide_parts
from .near_pairs import FEW_NEAR, MANY_NEAR, direction_gap
from .polar import Polar, left_factor, plain_distance_matrix, right_factor
from .second_derivative import keep_inputs, second_derivative

# Elements of a block. A row counts four embeddings as well: with N = D the sums over pairs are as
# large as the matrix. 1 << 15 took 1.5 times as long, 1 << 21 saved a seventh (N = 4,096, D = 128).
_BLOCK_ELEMENTS = 1 << 19


def matrix_gradient(
    grad: Tensor,
    e: Tensor,
    f: Tensor,
    curvature: float | Tensor,
    options: tuple[float, bool, bool],
    needed: tuple[bool, bool, bool],
    found: tuple[Tensor, ...],
) -> tuple[Tensor, Tensor, Tensor]:
    """Compute the gradient of the distances from what the forward pass saved.

    Args:
        grad: (N, M) ∂L/∂d.
        e: (N, D) rows.
        f: (M, D) rows.
        curvature: c > 0.
        options: the norm at which rows are clipped, whether they are points of the ball, and
            whether e and f are the same rows.
        needed: whether the gradients with respect to e, f and c are needed.
        found: (N, M) √(P + P²/2), inf for equal rows and negative for pairs computed one by one;
            (N,) kinds of the rows; polar coordinates of e, and of f unless the rows are the same.

    Returns:
        Gradients with respect to e, f and c; one that is not needed has no elements. If e and f are
        the same rows, the first is the gradient of both.

    Example:
        >>> from pml_ahsml.hyperbolic.polar import polar_coordinates, row_norms
        >>> e, f = torch.tensor([[0.5, 0.0]]), torch.tensor([[1.0, 0.0]])
        >>> x, y = (torch.stack(polar_coordinates(row_norms(u), 1.0, 9.0, False)) for u in (e, f))
        >>> p = torch.tensor(1.0).cosh().sub(1).reshape(1, 1)
        >>> found = (p.addcmul(p, p, value=0.5).sqrt(), torch.zeros(1, dtype=torch.uint8), x, y)
        >>> grad, options = torch.ones(1, 1), (9.0, False, False)
        >>> matrix_gradient(grad, e, f, 1.0, options, (True, False, False), found)[0]
        tensor([[-2.,  0.]])
    """
    # backward() may be called under autocast
    with torch.autocast(grad.device.type, enabled=False):
        gradients: tuple[Tensor, Tensor, Tensor] = _MatrixGradient.apply(
            grad, e, f, curvature, *options, *needed, *found
        )
    return gradients


class _MatrixGradient(torch.autograd.Function):
    """Gradient of the distances; its own gradient comes from ``plain_distance_matrix``."""

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
        roots: Tensor,
        kinds: Tensor,
        x_polar: Tensor,
        y_polar: Tensor,
    ) -> tuple[Tensor, Tensor, Tensor]:
        c = float(curvature)
        x = RowGradient(e, Polar(*x_polar), (2 * c) ** -0.5, 1, need_e or need_c)
        polar = x.polar if same else Polar(*y_polar)
        y = RowGradient(f, polar, (2 * c) ** -0.5, -1, not same and (need_f or need_c))
        _accumulate(grad, roots, kinds, x, y, same)
        by_curvature = e.new_empty(0)
        if isinstance(curvature, Tensor) and need_c:
            total = (x.by_radius * x.polar.drift).sum() + (y.by_radius * y.polar.drift).sum()
            total -= _sum_of_products(grad, roots) * c**-1.5 / 2
            by_curvature = total.to(curvature).reshape(curvature.shape)
        return x.total(), y.total(), by_curvature

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
        keep_inputs(ctx, inputs)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        return (*second_derivative(ctx, plain_distance_matrix, grads), *(None,) * 10)

    @staticmethod
    def vmap(info: Any, in_dims: tuple[int | None, ...], *arguments: Any) -> Any:
        return for_each_sample(_MatrixGradient.apply, info.batch_size, in_dims, arguments)


class RowGradient:
    """Gradient with respect to the rows of one side of the distance matrix.

    Let w = ∂L/∂P of a pair. The gradient of a row follows from two sums over the rows of the other
    side, V = Σ w·sinh B·v̂ and h = Σ w·cosh B.

    Args:
        e: (N, D) rows.
        polar: polar coordinates of e.
        scale: common factor of all w, left out of the sums.
        sign: sign of û in the difference û − v̂ of a pair, 1 for the first side, −1 for the second.
        needed: whether the gradient is needed; if not, it has no elements.
    """

    def __init__(self, e: Tensor, polar: Polar, scale: float, sign: int, needed: bool) -> None:
        self.e, self.polar, self.scale, self.sign, self.needed = e, polar, scale, sign, needed
        self.gradient = e.new_zeros(e.shape if needed else 0)
        self.by_radius = torch.zeros_like(polar.radius)
        self.along = torch.zeros_like(polar.radius)  # from single pairs, as a multiple of the row

    def add_sums(self, rows: Any, spatial: Tensor, time: Tensor) -> None:
        """Add the gradient of some rows, given sign·V and h without scale."""
        e, polar, scale = self.e[rows].to(spatial.dtype), self.polar.take(rows), self.scale
        along = self.sign * torch.einsum("nd,nd->n", e, spatial) / polar.norm
        by_radius = scale * (polar.sinh * time - polar.cosh * along)
        radial = (scale * polar.stretch * along + polar.slope * by_radius) / polar.norm
        across = -self.sign * scale * polar.stretch
        self.by_radius[rows] += by_radius
        gradient = self.gradient[rows].to(e.dtype)  # a view if the dtype is the same
        gradient.addcmul_(e, radial[:, None].to(e)).addcmul_(spatial, across[:, None].to(e))
        self.gradient[rows] = gradient.to(self.gradient)

    def total(self) -> Tensor:
        """Return the complete gradient, (N, D); it has no elements if it is not needed."""
        if self.needed and bool(self.along.any()):
            self.gradient.addcmul_(self.e, self.along[:, None].to(self.e))
        return self.gradient

    def add_pairs(
        self, i: Tensor, by_radius: Tensor, gap: Tensor, half: Tensor, weight: Tensor
    ) -> None:
        """Add the gradients of single pairs.

        Args:
            i: (P,) rows.
            by_radius: (P,) ∂L/∂A.
            gap: (P, D) û − v̂.
            half: (P,) ‖û − v̂‖²/2.
            weight: (P,) w·sinh A·sinh B.
        """
        norm = self.polar.norm[i]
        # subtract the part of û − v̂ along û: û·(û − v̂) = ‖û − v̂‖²/2, and −v̂·(û − v̂) likewise
        radial = (by_radius * self.polar.slope[i] - weight * half / norm) / norm
        across = (self.sign * weight / norm)[:, None]
        self.by_radius.index_add_(0, i, by_radius)
        self.gradient.index_add_(0, i, gap.to(self.gradient).mul_(across.to(self.gradient)))
        self.along = self.along.index_add(0, i, radial)


def _accumulate(
    grad: Tensor, roots: Tensor, kinds: Tensor, x: RowGradient, y: RowGradient, same: bool
) -> None:
    """Add up the gradients of both sides in blocks of rows.

    If both sides are the same rows, pairs (i, j) and (j, i) both count for the first side.
    """
    dtype, exact = grad.dtype, exact_dtype(grad)
    right = functools.cache(lambda wanted: right_factor(y.e, y.polar, wanted))
    sums = {
        wanted: torch.zeros(len(y.e), y.e.shape[1] + 2, dtype=wanted, device=grad.device)
        for wanted in ((dtype, exact) if bool((kinds == MANY_NEAR).any()) else (dtype,))
        if y.needed
    }

    def add(rows: Any, w: Tensor) -> None:
        if x.needed:
            both = w @ right(w.dtype)
            x.add_sums(rows, both[:, :-2], both[:, -2])
        if y.needed:
            sums[w.dtype].addmm_(w.T, left_factor(x.e[rows], x.polar.take(rows), w.dtype))

    for rows in blocks(len(grad), len(y.e) + 4 * y.e.shape[1], grad.device, _BLOCK_ELEMENTS):
        w = (grad[rows] + grad[:, rows].T).div_(roots[rows]) if same else grad[rows] / roots[rows]
        kind = kinds[rows]
        if bool(kind.any()):
            _add_near_pairs(w, roots[rows], kind, rows.start, x, y)
            many = (kind == MANY_NEAR).nonzero().squeeze(1)
            for part in wide_parts(many, w):
                add(part + rows.start, w[part].to(exact))
            if len(many) == len(w):
                continue
            w[many] = 0
        add(rows, w)
    for total in sums.values():
        y.add_sums(slice(None), total[:, :-2], total[:, -2] + total[:, -1])


def _add_near_pairs(
    w: Tensor, roots: Tensor, kinds: Tensor, start: int, x: RowGradient, y: RowGradient
) -> None:
    """Add the gradients of near pairs computed one by one, and set their entries of w to 0."""
    rows = (kinds == FEW_NEAR).nonzero().squeeze(1)
    i, j = (take_rows(roots, rows) < 0).nonzero().unbind(1)
    i = rows[i]
    weights = -x.scale * w[i, j].to(exact_dtype(w))
    w[i, j] = 0
    i = i + start
    for pairs in pair_blocks(len(i), x.e.shape[1], w.device):
        own, other, weight = i[pairs], j[pairs], weights[pairs]
        gap, squared, reach = direction_gap(x.e, y.e, x.polar, y.polar, own, other)
        radial = (x.polar.radius[own] - y.polar.radius[other]).sinh()
        half = squared / 2
        if x.needed:
            by_x = weight * (radial + x.polar.cosh[own] * y.polar.sinh[other] * half)
            x.add_pairs(own, by_x, gap, half, weight * reach)
        if y.needed:
            by_y = weight * (x.polar.sinh[own] * y.polar.cosh[other] * half - radial)
            y.add_pairs(other, by_y, gap, half, weight * reach)


def _sum_of_products(grad: Tensor, roots: Tensor) -> Tensor:
    """Σ g·√c·d with √c·d = arsinh(√2·root)."""
    total = torch.zeros((), dtype=exact_dtype(grad), device=grad.device)
    for rows in blocks(len(grad), grad.shape[1], grad.device, _BLOCK_ELEMENTS):
        s = roots[rows].abs() * 2**0.5
        # log(s + √(s² + 1)), exact for small s, without the overflow of s²
        lengths = (s + s * (s / (1 + torch.hypot(s, s.new_ones(()))))).log1p_()
        lengths.masked_fill_(s.isinf(), 0.0)
        total += (grad[rows] * lengths).sum(dtype=total.dtype)
    return total


def for_each_sample(
    function: Callable[..., tuple[Tensor, ...]],
    size: int,
    in_dims: tuple[int | None, ...],
    arguments: tuple[Any, ...],
) -> tuple[tuple[Tensor, ...], tuple[int, ...]]:
    """Apply a function to each sample in turn: a vmap rule for functions that branch on values.

    Args:
        function: returns tensors.
        size: number of samples.
        in_dims: dimension of each argument that counts the samples, None for a shared argument.
        arguments: arguments of the function.

    Returns:
        The stacked results, and for each the dimension that counts the samples, 0, as vmap expects.

    Example:
        >>> x, y = torch.tensor([[1.0], [2.0]]), torch.tensor([3.0])
        >>> for_each_sample(lambda x, y: (x * y,), 2, (0, None), (x, y))
        ((tensor([[3.],
                [6.]]),), (0,))
    """
    results = [
        function(
            *(
                argument if dim is None else argument.select(dim, sample)
                for argument, dim in zip(arguments, in_dims, strict=True)
            )
        )
        for sample in range(size)
    ]
    stacked = tuple(torch.stack(column) for column in zip(*results, strict=True))
    return stacked, (0,) * len(stacked)
