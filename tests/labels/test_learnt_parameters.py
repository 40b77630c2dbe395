import math

import pytest
import torch

from pml_ahsml.labels import parameter_scale as ps
from pml_ahsml.labels.learnt_parameters import WithLearntParameters

LR = 0.05


class Model(WithLearntParameters):
    def __init__(self) -> None:
        super().__init__()
        self._register_parameters([ps.NOISE_RATE, ps.SPREAD], LR)

    def climb(self, **slopes: float) -> None:
        self._raise_parameters({name: torch.tensor(slope) for name, slope in slopes.items()})
        self.adam_steps += 1


def test_parameters_climb_as_torch_adam_moves_them():
    model = Model()
    values = torch.tensor([math.log(0.2 / 0.8), 0.0], requires_grad=True)
    adam = torch.optim.Adam([values], lr=LR)
    for step in range(30):
        slopes = [math.sin(step), 0.5 - step / 40]
        model.climb(noise_rate=slopes[0], spread=slopes[1])
        values.grad = -torch.tensor(slopes)
        adam.step()
    log_odds, log_spread = values.tolist()
    assert model.parameter("noise_rate") == pytest.approx(1 / (1 + math.exp(-log_odds)), rel=1e-5)
    assert model.spread == pytest.approx(math.exp(log_spread), rel=1e-5)
    assert model.parameter_names == ("noise_rate", "spread")


def test_parameters_stay_within_their_ranges():
    model = Model()
    for _ in range(300):
        model.climb(noise_rate=-1.0, spread=1.0)
    assert model.parameter("noise_rate") == pytest.approx(ps.NOISE_RATE.lowest, rel=1e-5)
    assert model.spread == pytest.approx(ps.SPREAD.highest, rel=1e-5)


def test_unknown_names_and_names_given_twice_are_errors():
    with pytest.raises(ValueError, match="name must be one of noise_rate, spread, got 'rate'"):
        Model().parameter("rate")
    with pytest.raises(ValueError, match="different names"):
        Model()._register_parameters([ps.SPREAD, ps.SPREAD], LR)


def test_a_state_beyond_a_range_is_refused():
    model = Model()
    state = {**model.state_dict(), "log_parameters": torch.tensor([0.0, 9.0])}
    with pytest.raises(ValueError, match="log_parameters must lie in"):
        model.load_state_dict(state)
