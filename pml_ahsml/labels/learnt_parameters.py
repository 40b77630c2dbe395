"""The parameters of the label model, raised along the slopes of the likelihood by Adam."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from ..precision import exact_dtype
from ..state.module_with_tables import ModuleWithTables
from ..state.saved_state import Rule
from . import parameter_scale as ps
from .witnesses import Parameter


class WithLearntParameters(ModuleWithTables):
    """A module with named parameters, each within its range.

    Example:
        >>> class Model(WithLearntParameters):
        ...     def __init__(self):
        ...         super().__init__()
        ...         self._register_parameters([ps.NOISE_RATE, ps.SPREAD], lr=0.05)
        >>> model = Model()
        >>> model._raise_parameters({"noise_rate": torch.tensor(1.0), "spread": torch.tensor(-2.0)})
        >>> round(model.parameter("noise_rate"), 3), round(model.spread, 3)
        (0.208, 0.951)
    """

    log_parameters: Tensor
    adam_mean: Tensor
    adam_square: Tensor
    adam_steps: Tensor

    def _register_parameters(self, parameters: Sequence[Parameter], lr: float) -> None:
        """Add the tables, with every parameter at its start.

        Args:
            parameters: with different names.
            lr: step size of Adam.

        Raises:
            ValueError: for two parameters of one name.
        """
        start, *ends = ps.start_and_range(parameters)
        self.lr = lr
        self._parameters_learnt = tuple(parameters)
        self._range = tuple(ends)
        # follows the tables to their device, once
        self._bounds = torch.tensor(ends, dtype=torch.float32, device="cpu")
        values = torch.tensor(start, dtype=torch.float32)
        self.register_table("log_parameters", values, Rule())
        self.register_table("adam_mean", torch.zeros_like(values), Rule())
        self.register_table("adam_square", torch.zeros_like(values), Rule(lowest=0))
        self.register_table("adam_steps", values.new_zeros(()), Rule(lowest=0, is_whole=True))

    @property
    def parameter_names(self) -> tuple[str, ...]:
        """Names of the parameters, "noise_rate" (ε), "spread" (σ) and those of the witnesses."""
        return tuple(of.name for of in self._parameters_learnt)

    def parameter(self, name: str) -> float:
        """Return the current value of a parameter.

        Args:
            name: one of ``parameter_names``; "noise_rate" is the current ε, not smoothed.
        """
        values = self._values()
        if name not in values:
            raise ValueError(f"name must be one of {', '.join(values)}, got {name!r}")
        return values[name]

    @property
    def temperature(self) -> float:
        """τ, a geodesic length, how far a sample may lie from its class centroid."""
        return self.parameter("temperature")

    @property
    def spread(self) -> float:
        """σ, a geodesic length, small if only close classes are confused, large if any are."""
        return self.parameter("spread")

    def _values(self) -> dict[str, float]:
        """The parameters by name."""
        learnt = zip(self._parameters_learnt, self.numbers("log_parameters"), strict=True)
        return {of.name: ps.constrained(of.name, value) for of, value in learnt}

    def _raise_parameters(self, slopes: Mapping[str, Tensor]) -> None:
        """Make one step of Adam up the slopes, (), by name, and stay within the ranges."""
        wide = exact_dtype(self.log_parameters)
        in_order = torch.stack([slopes[of.name].to(wide) for of in self._parameters_learnt])
        steps = int(self.numbers("adam_steps")[0])
        ps.adam_step(
            self.log_parameters, in_order, self.adam_mean, self.adam_square, steps, self.lr
        )
        self._bounds = self._bounds.to(self.log_parameters)
        self.log_parameters.clamp_(*self._bounds)

    def _check_together(self, state: Mapping[str, Any], prefix: str) -> None:
        key = prefix + "log_parameters"
        ps.check_in_range(key, state[key], *self._range)
