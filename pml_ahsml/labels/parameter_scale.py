"""The scale on which the parameters of the label model are learnt."""

import math
from collections.abc import Sequence

from torch import Tensor
from torch.optim.adam import adam

from .witnesses.witness import Parameter

# Start and range of ε, a share, and of σ, a geodesic length. The ranges are wide enough for every
# data set tried, and keep the softmaxes from overflow early in training.
NOISE_RATE = Parameter("noise_rate", 0.2, 0.007, 0.9)
SPREAD = Parameter("spread", 1.0, 0.05, 50.0)


def unconstrained(name: str, value: float) -> float:
    """Return the logit of the noise rate, a share, or the logarithm of any other parameter."""
    return math.log(value / (1 - value)) if name == "noise_rate" else math.log(value)


def constrained(name: str, value: float) -> float:
    """Return a parameter on its own scale: the inverse of :func:`unconstrained`."""
    return 1 / (1 + math.exp(-value)) if name == "noise_rate" else math.exp(value)


def start_and_range(parameters: Sequence[Parameter]) -> tuple[list[float], ...]:
    """Return the start, lowest and highest values of the parameters, unconstrained."""
    names = [of.name for of in parameters]
    if len(set(names)) < len(names):
        raise ValueError(
            f"witnesses must have parameters of different names, got {', '.join(names)}"
        )
    return tuple(
        [unconstrained(of.name, getattr(of, value)) for of in parameters]
        for value in ("start", "lowest", "highest")
    )


def check_in_range(key: str, values: Tensor, lowest: list[float], highest: list[float]) -> None:
    """Raise unless the saved values of the entry ``key`` lie in their ranges."""
    if values.is_meta:
        return
    for value, low, high in zip(values.tolist(), lowest, highest, strict=True):
        # 1e-5 allows for rounding
        if not low - 1e-5 <= value <= high + 1e-5:
            raise ValueError(f"{key} must lie in [{low:.4g}, {high:.4g}], got {value:g}")


def adam_step(
    parameters: Tensor,
    slopes: Sequence[float],
    mean: Tensor,
    square: Tensor,
    steps: Tensor,
    lr: float,
) -> None:
    """Take one Adam step up the slopes, in place.

    Args:
        parameters: (P,).
        slopes: P numbers.
        mean: (P,) Adam's mean of the gradient; changed in place.
        square: (P,) Adam's mean of the squared gradient; changed in place.
        steps: number of steps so far; not changed.
        lr: step size.
    """
    adam(
        [parameters],
        [parameters.new_tensor([-slope for slope in slopes])],
        [mean],
        [square],
        [],
        [steps.clone()],  # adam increments it; batches without a step count as well
        foreach=False,
        amsgrad=False,
        beta1=0.9,
        beta2=0.999,
        lr=lr,
        weight_decay=0.0,
        eps=1e-8,
        maximize=False,
    )
