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
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import torch
from torch import Tensor

from .polar import (
    Polar,
    differentiable_norms,
    direction_gap,
    exact_dtype,
    left_factor,
    polar_coordinates,
    right_factor,
    row_norms,
)

# A pair is near if P is below this multiple of sinh A·sinh B. In float32 the product is off by some
# 2e-7 of that scale: by 1e-5 of the distance of a pair that is just not near.
_NEAR = {torch.float32: 2.0**-7, torch.float64: 2.0**-20}

# A row has many near pairs if they are more than this share of its pairs, and more than this
# number: a pair alone costs some 50 times its share of a product.
_FEW_SHARE, _FEW = 1 / 64, 4

# Below these multiples of sinh A·sinh B what is computed again is rounding, and the distance is 0.
# In the product that is where two rows differ by less than float32 resolves of their norm.
_PRODUCT_FLOOR, _DIFFERENCE_FLOOR = 2.0**-46, 2.0**-98

# Elements worked on at once: of the matrix forward and backward, and of near pairs. Large blocks
# cost memory, small ones wait for their threads more often; a GPU wants many. Backward a row counts
# with four times its embedding: where N = D the sums over pairs are as large as the matrix.
_BLOCK_ELEMENTS, _GRADIENT_ELEMENTS, _PAIR_ELEMENTS = 1 << 20, 1 << 19, 1 << 18
_DEVICE_ELEMENTS = 1 << 26

# Rows and elements widened to float64 at once.
_WIDE_ROWS, _WIDE_ELEMENTS = 128, 1 << 21

_FEW_NEAR, _MANY_NEAR = 1, 2  # kinds of rows; 0 is a row without near pairs


def distance_matrix(
    e: Tensor, f: Tensor, curvature: float | Tensor, max_norm: float, on_ball: bool
) -> Tensor:
    """All pairs, by the autograd function; arguments as of ``poincare.distance_matrix``.

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


def plain_distance_matrix(
    e: Tensor, f: Tensor, curvature: float | Tensor, max_norm: float, on_ball: bool
) -> Tensor:
    """The same from ordinary operations in float64: any number of derivatives, no branches.

    For what the autograd function does not do itself: second derivatives, and torch.compile. Near
    pairs have the accuracy of a product in float64: below some 2e-7 of their norm rows coincide.

    Args:
        e: (N, D) rows.
        f: (M, D) rows.
        curvature: c > 0.
        max_norm: r > 0, the tangent norm at which rows are clipped.
        on_ball: rows are points of the ball instead of tangent vectors.

    Returns:
        (N, M) geodesic lengths, in the dtype of the rows.

    Source:
        This project.

    Example:
        >>> u = torch.tensor([[0.5, 0.0], [0.0, 0.5]])
        >>> plain_distance_matrix(u, torch.zeros(1, 2), 0.1, 2.3, False)
        tensor([[1.],
                [1.]])
    """
    wide = exact_dtype(e)
    e64, f64 = e.to(wide), f.to(wide)
    c = torch.as_tensor(curvature, dtype=wide, device=e.device)
    x, y = (
        polar_coordinates(differentiable_norms(rows), c, max_norm, on_ball) for rows in (e64, f64)
    )
    spatial = (e64 * x.stretch[:, None]) @ (f64 * y.stretch[:, None]).T
    p = x.alpha[:, None] * y.cosh + y.alpha - spatial
    apart = p > _PRODUCT_FLOOR * (x.sinh[:, None] * y.sinh)
    p = torch.where(apart, p, 1.0)
    root = (p * (p + 2)).sqrt()
    return torch.where(apart, torch.log1p(p + root) / c.sqrt(), 0.0).to(e.dtype)


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
        for rows in _blocks(len(e), len(f), e.device, _BLOCK_ELEMENTS):
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
        gradients = _MatrixGradient.apply(grad, e, f, curvature, *ctx.options, *need, *found)
        # among the rows of one tensor the first argument carries the whole gradient
        need = (need[0], need[1] and not ctx.options[-1], need[2])
        own = (g if wanted else None for g, wanted in zip(gradients, need, strict=True))
        return (*own, *(None,) * 4)

    @staticmethod
    def vmap(info: Any, in_dims: tuple[int | None, ...], *arguments: Any) -> Any:
        return _one_by_one(_DistanceMatrix.apply, info.batch_size, in_dims, arguments)


class _MatrixGradient(torch.autograd.Function):
    """The gradient of the distances; its own gradient is that of the plain form."""

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
        x = _Side(e, Polar(*x_polar), (2 * c) ** -0.5, 1, need_e or need_c)
        polar = x.polar if same else Polar(*y_polar)
        y = _Side(f, polar, (2 * c) ** -0.5, -1, not same and (need_f or need_c))
        _accumulate(grad, roots, kinds, x, y, same)
        by_curvature = e.new_empty(0)
        if isinstance(curvature, Tensor) and need_c:
            total = (x.by_radius * x.polar.drift).sum() + (y.by_radius * y.polar.drift).sum()
            total -= _sum_of_products(grad, roots) * c**-1.5 / 2
            by_curvature = total.to(curvature).reshape(curvature.shape)
        return x.total(), y.total(), by_curvature

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
        grad, e, f, curvature, *ctx.options = inputs[:7]
        same, need_e, need_f, need_c = inputs[6:10]
        ctx.used = (need_e, need_f and not same, need_c)
        ctx.is_number = not isinstance(curvature, Tensor)
        curvature = torch.as_tensor(curvature, dtype=e.dtype, device=e.device)
        ctx.save_for_backward(grad, e, f, curvature)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        max_norm, on_ball, same = ctx.options

        def used(values: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
            return tuple(v for v, is_used in zip(values, ctx.used, strict=True) if is_used)

        def gradients(grad: Tensor, *of: Tensor) -> tuple[Tensor, ...]:
            def distances(e: Tensor, f: Tensor, c: Tensor) -> Tensor:
                return plain_distance_matrix(e, f, c, max_norm, on_ball)

            by_e, by_f, by_c = torch.func.vjp(distances, *of)[1](grad)
            return used((by_e + by_f if same else by_e, by_f, by_c))

        back = torch.func.vjp(gradients, *ctx.saved_tensors)[1](used(grads))
        return (*back[:3], None if ctx.is_number else back[3], *(None,) * 10)

    @staticmethod
    def vmap(info: Any, in_dims: tuple[int | None, ...], *arguments: Any) -> Any:
        return _one_by_one(_MatrixGradient.apply, info.batch_size, in_dims, arguments)


class _Side:
    """One side of the matrix: its rows, and the gradient that gathers there.

    With w = ∂L/∂P for each pair, the gradient of a row needs V = Σ w·sinh B·v̂ and
    h = Σ w·cosh B over the rows of the other side.
    """

    def __init__(self, e: Tensor, polar: Polar, scale: float, sign: int, needed: bool) -> None:
        self.e, self.polar, self.scale, self.sign, self.needed = e, polar, scale, sign, needed
        self.gradient = e.new_zeros(e.shape if needed else 0)
        self.by_radius = torch.zeros_like(polar.radius)
        self.along = torch.zeros_like(polar.radius)  # of pairs, in units of the row itself

    def add_sums(self, rows: Any, spatial: Tensor, time: Tensor) -> None:
        """Add what V (times the sign) and h (both without the scale) say about some rows."""
        e, polar, scale = self.e[rows].to(spatial.dtype), self.polar.take(rows), self.scale
        along = self.sign * torch.einsum("nd,nd->n", e, spatial) / polar.norm
        by_radius = scale * (polar.sinh * time - polar.cosh * along)
        radial = (scale * polar.stretch * along + polar.slope * by_radius) / polar.norm
        across = -self.sign * scale * polar.stretch
        self.by_radius[rows] += by_radius
        gradient = self.gradient[rows].to(e.dtype)  # a view, where it can be
        gradient.addcmul_(e, radial[:, None].to(e)).addcmul_(spatial, across[:, None].to(e))
        self.gradient[rows] = gradient.to(self.gradient)

    def total(self) -> Tensor:
        """The whole gradient, of no rows where none is needed."""
        if self.needed and bool(self.along.any()):
            self.gradient.addcmul_(self.e, self.along[:, None].to(self.e))
        return self.gradient

    def add_pairs(
        self, i: Tensor, by_radius: Tensor, gap: Tensor, half: Tensor, weight: Tensor
    ) -> None:
        """Add gradients of pairs: by the radius, and along û − v̂ without its part along û."""
        norm = self.polar.norm[i]
        # û·(û − v̂) = ‖û − v̂‖²/2, and the same for v̂ with the other sign
        radial = (by_radius * self.polar.slope[i] - weight * half / norm) / norm
        across = (self.sign * weight / norm)[:, None]
        self.by_radius.index_add_(0, i, by_radius)
        self.gradient.index_add_(0, i, gap.to(self.gradient).mul_(across.to(self.gradient)))
        self.along = self.along.index_add(0, i, radial)


class _Near(NamedTuple):
    """The near pairs in a block of rows."""

    i: Tensor  # those of rows with a few
    j: Tensor
    many: Tensor  # the rows with many
    kinds: Tensor  # of all rows


def _near_pairs(p: Tensor, x: Polar, y: Polar) -> _Near:
    factor, x_sinh, y_sinh = _NEAR[p.dtype], x.sinh.to(p), y.sinh.to(p)
    rows = (p.amin(1) <= factor * x_sinh * y_sinh.max()).nonzero().squeeze(1)
    near = _rows(p, rows) <= torch.outer(factor * x_sinh[rows], y_sinh)
    counts = near.sum(1)
    has_wider = exact_dtype(p) != p.dtype
    few = max(_FEW, int(_FEW_SHARE * p.shape[1])) if has_wider else p.shape[1]
    kinds = torch.zeros(len(p), dtype=torch.uint8, device=p.device)
    kinds[rows] = (counts > 0).to(kinds) + (counts > few)
    many = counts > few
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
    for pairs in _blocks(len(near.i), e.shape[1], e.device, _PAIR_ELEMENTS):
        i, j = near.i[pairs], near.j[pairs]
        _, squared, reach = direction_gap(e, f, x, y, i, j)
        exact = 2 * ((x.radius[i] - y.radius[j]) / 2).sinh().square() + reach * squared / 2
        p[i, j] = torch.where(exact > _DIFFERENCE_FLOOR * reach, exact, 0.0).to(p)
    for rows in _parts(near.many, p):
        product = left_factor(e[rows], x.take(rows), exact_dtype(e)) @ exact_right().T
        product = product.to(p)
        floor = torch.outer((_PRODUCT_FLOOR * x.sinh[rows]).to(p), y.sinh.to(p))
        p[rows] = product.masked_fill_(product <= floor, 0.0)


def _accumulate(grad: Tensor, roots: Tensor, kinds: Tensor, x: _Side, y: _Side, same: bool) -> None:
    """Gather the gradients of both sides, block of rows by block of rows.

    Among the rows of one tensor pair (i, j) is pair (j, i), so that one side gathers it all.
    """
    dtype, exact = grad.dtype, exact_dtype(grad)
    right = functools.cache(lambda wanted: right_factor(y.e, y.polar, wanted))
    sums = {
        wanted: torch.zeros(len(y.e), y.e.shape[1] + 2, dtype=wanted, device=grad.device)
        for wanted in ((dtype, exact) if bool((kinds == _MANY_NEAR).any()) else (dtype,))
        if y.needed
    }

    def add(rows: Any, w: Tensor) -> None:
        if x.needed:
            both = w @ right(w.dtype)
            x.add_sums(rows, both[:, :-2], both[:, -2])
        if y.needed:
            sums[w.dtype].addmm_(w.T, left_factor(x.e[rows], x.polar.take(rows), w.dtype))

    for rows in _blocks(len(grad), len(y.e) + 4 * y.e.shape[1], grad.device, _GRADIENT_ELEMENTS):
        w = (grad[rows] + grad[:, rows].T).div_(roots[rows]) if same else grad[rows] / roots[rows]
        kind = kinds[rows]
        if bool(kind.any()):
            _add_few(w, roots[rows], kind, rows.start, x, y)
            many = (kind == _MANY_NEAR).nonzero().squeeze(1)
            for part in _parts(many, w):
                add(part + rows.start, w[part].to(exact))
            if len(many) == len(w):
                continue
            w[many] = 0
        add(rows, w)
    for total in sums.values():
        y.add_sums(slice(None), total[:, :-2], total[:, -2] + total[:, -1])


def _add_few(w: Tensor, roots: Tensor, kind: Tensor, start: int, x: _Side, y: _Side) -> None:
    """Add the gradients of pairs computed one by one, and take them out of w."""
    rows = (kind == _FEW_NEAR).nonzero().squeeze(1)
    i, j = (_rows(roots, rows) < 0).nonzero().unbind(1)
    i = rows[i]
    weights = -x.scale * w[i, j].to(exact_dtype(w))
    w[i, j] = 0
    i = i + start
    for pairs in _blocks(len(i), x.e.shape[1], w.device, _PAIR_ELEMENTS):
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


def _parts(rows: Tensor, matrix: Tensor) -> Iterator[Tensor]:
    """Row numbers in parts small enough to be widened to float64."""
    if len(rows):
        step = max(1, min(_WIDE_ROWS, _WIDE_ELEMENTS // matrix.shape[1]))
        yield from rows.split(step)


def _rows(matrix: Tensor, rows: Tensor) -> Tensor:
    """Some rows, without a copy where they are all."""
    return matrix if len(rows) == len(matrix) else matrix[rows]


def _replace(matrix: Tensor, where: tuple[Tensor, ...], by: Callable[[Tensor], Tensor]) -> None:
    if len(where[0]):
        matrix[where] = by(matrix[where])


def _sum_of_products(grad: Tensor, roots: Tensor) -> Tensor:
    """Σ g·√c·d, with d from what was kept: √c·d = arsinh(√2·root)."""
    total = torch.zeros((), dtype=exact_dtype(grad), device=grad.device)
    for rows in _blocks(len(grad), grad.shape[1], grad.device, _GRADIENT_ELEMENTS):
        s = roots[rows].abs() * 2**0.5
        # log(s + √(s² + 1)), without losing small s or overflowing with s²
        lengths = (s + s * (s / (1 + torch.hypot(s, s.new_ones(()))))).log1p_()
        lengths.masked_fill_(s.isinf(), 0.0)
        total += (grad[rows] * lengths).sum(dtype=total.dtype)
    return total


def _blocks(rows: int, columns: int, device: torch.device, elements: int) -> Iterator[slice]:
    """Slices of rows that hold at most so many elements on a CPU, but at least a row."""
    if device.type != "cpu":
        elements = _DEVICE_ELEMENTS
    step = max(1, elements // max(1, columns))
    for start in range(0, rows if columns else 0, step):
        yield slice(start, min(start + step, rows))


def _one_by_one(
    function: Callable[..., tuple[Tensor, ...]],
    size: int,
    in_dims: tuple[int | None, ...],
    arguments: tuple[Any, ...],
) -> tuple[tuple[Tensor, ...], tuple[int, ...]]:
    """The rule for torch.func.vmap: which pairs are near differs from sample to sample."""
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
