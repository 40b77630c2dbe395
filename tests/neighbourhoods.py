"""The neighbourhoods of a few classes, for tests of what is computed from them."""

import torch
from torch import Tensor

from pml_ahsml.classes.neighbourhoods import Neighbourhoods


def all_neighbours(divergence: Tensor) -> Neighbourhoods:
    """Every other class, one by one, from (K, K) distances with any diagonal."""
    return Neighbourhoods(divergence.clone().fill_diagonal_(torch.inf))
