"""Objects of the package in a state that a test wants, loaded as a checkpoint is."""

import math
from collections.abc import Mapping
from typing import TypeVar

import torch
from torch import Tensor

from pml_ahsml import LabelNoiseModel

Module = TypeVar("Module", bound=torch.nn.Module)


def with_state(
    module: Module, entries: Mapping[str, Tensor | float] | None = None, **tables: Tensor | float
) -> Module:
    """The module itself, after loading its own state with some entries replaced.

    It is loaded by ``load_state_dict``, which refuses what the package could not have saved.

    Args:
        module: any module.
        entries: by their names in ``module.state_dict()``, dotted ones for its parts. A number
            stands for an entry full of it.
        tables: entries whose names have no dot.
    """
    state = module.state_dict()
    for name, value in {**(entries or {}), **tables}.items():
        state[name] = value if isinstance(value, Tensor) else torch.full_like(state[name], value)
    module.load_state_dict(state)
    return module


def with_parameters(model: LabelNoiseModel, **values: float) -> LabelNoiseModel:
    """The label model itself, with these values of its ``parameter_names``; others stay."""
    on_their_scale = model.log_parameters.clone()
    for name, value in values.items():
        odds = value / (1 - value) if name == "noise_rate" else value
        on_their_scale[model.parameter_names.index(name)] = math.log(odds)
    return with_state(model, log_parameters=on_their_scale)
