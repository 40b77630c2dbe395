"""Products with positive multiples of points of the hyperboloid, such as the means of classes.

With many classes, to normalise each mean takes longer than the product. So the product is scaled.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from .hyperboloid import hyperboloid_scale
from .products import product


class Multiples(NamedTuple):
    """Points y of the hyperboloid, given by a positive multiple of each.

    Args:
        space: (M, D) space coordinates of the multiples.
        scales: (M,) what makes them points.
        less: (M,) −α_y = 1 − cosh A of the points, see ``one_less_cosh``.
    """

    space: Tensor
    scales: Tensor
    less: Tensor

    @classmethod
    def of(cls, rows: Tensor, seen: Tensor) -> "Multiples":
        """Prepare some rows.

        Args:
            rows: (M, D + 1) positive multiples of points, time coordinate first.
            seen: (M,) bool, the rows that are such; the others are as far as can be.
        """
        space = rows[:, 1:]
        scales, norms = hyperboloid_scale(rows)
        # as in one_less_cosh, with all digits of the space coordinates
        less = (norms * scales).square_() / (rows[:, 0] * scales + 1).neg_()
        return cls(space, scales, less.masked_fill_(~seen, -torch.inf))

    def closeness(self, points: Tensor) -> Tensor:
        """Compute −α_y·x₀ + ⟨s_x, s_y⟩, which is −α_x − P and grows as the distance falls.

        Args:
            points: (N, D + 1) points x, of the dtype of the multiples.

        Returns:
            (N, M); −inf for rows never seen.

        Example:
            >>> x = torch.tensor([[1.0, 0.0], [1.25, 0.75]])
            >>> Multiples.of(2 * x, torch.tensor([True, True])).closeness(x)
            tensor([[ 0.0000, -0.2500],
                    [ 0.0000,  0.2500]])
        """
        products = product(points[:, 1:], self.space.T).mul_(self.scales)
        return products.addcmul_(points[:, :1], self.less)
