"""The scale on which the parameters of the label model are learnt."""

import math
from collections.abc import Sequence

from torch import Tensor

from .witnesses.witness import Parameter

# Start and range of ε, a share, and of σ, a geodesic length. The ranges are wide enough for every
# data set tried, and keep the softmaxes from overflow early in training.
NOISE_RATE = Parameter("noise_rate", 0.2, 0.007, 0.9)
SPREAD = Parameter("spread", 1.0, 0.05, 50.0)

# The defaults of torch's Adam.
_BETA_1, _BETA_2, _EPSILON = 0.9, 0.999, 1e-8


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
    parameters: Tensor, slopes: Tensor, mean: Tensor, square: Tensor, steps: int, lr: float
) -> None:
    """Take one Adam step up the slopes, in place.

    As ``torch.optim.Adam`` with its defaults, which would read the number of steps.

    Args:
        parameters: (P,).
        slopes: (P,).
        mean: (P,) Adam's mean of the slope downwards; changed in place.
        square: (P,) Adam's mean of the squared slope; changed in place.
        steps: number of steps so far.
        lr: step size.

    Source:
        Kingma & Ba, ICLR 2015.
    """
    down = -slopes.to(parameters)
    mean.lerp_(down, 1 - _BETA_1)
    square.mul_(_BETA_2).addcmul_(down, down, value=1 - _BETA_2)
    bias_1, bias_2 = 1 - _BETA_1 ** (steps + 1), 1 - _BETA_2 ** (steps + 1)
    # √(square/bias_2) + ε, multiplied by √bias_2
    scale = square.sqrt().add_(_EPSILON * math.sqrt(bias_2))
    parameters.addcdiv_(mean, scale, value=-lr * math.sqrt(bias_2) / bias_1)
