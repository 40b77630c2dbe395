"""A state in which every part of the label model is active, and batches that keep it so."""

import functools
from typing import Any

import torch
from pytorch_metric_learning import losses
from torch import Tensor

from pml_ahsml import AdaptiveNoiseAwareLoss

K, D, WARMUP, MEMORY = 4, 6, 3, 100
# until the counts speak and, 35 batches after the noise rate has settled, the noise floor
_STEPS, _SIZE, _LEARNING_RATE = 125, 48, 0.05

# Each class lies in two places.
_PLACES = 3 * torch.eye(2 * K, dtype=torch.float64)

# A class is taken for the next one, and some more often than others; a few labels are random.
_CONFUSED = torch.tensor([0.5, 0.35, 0.1, 0.1])
_AT_RANDOM = 0.12


def network() -> torch.nn.Linear:
    torch.manual_seed(0)
    return torch.nn.Linear(2 * K, D).double()


def wrapper(
    wrapped: torch.nn.Module | None = None, replay_memory: int = MEMORY, **options: Any
) -> AdaptiveNoiseAwareLoss:
    return AdaptiveNoiseAwareLoss(
        losses.ContrastiveLoss() if wrapped is None else wrapped,
        K,
        D,
        warmup=WARMUP,
        class_warmup=1,
        neighbour_memory_size=256,
        replay_memory=replay_memory,
        collect_stats=True,
        **options,
    )


def batch(seed: int, size: int) -> tuple[Tensor, Tensor]:
    """Inputs of the network and labels."""
    generator = torch.Generator().manual_seed(seed)
    places = torch.randint(2 * K, (size,), generator=generator)
    noise = torch.randn(size, 2 * K, generator=generator, dtype=torch.float64)
    truth = places % K
    is_confused = torch.rand(size, generator=generator) < _CONFUSED[truth]
    labels = torch.where(is_confused, (truth + 1) % K, truth)
    at_random = torch.rand(size, generator=generator) < _AT_RANDOM
    anything = torch.randint(K, (size,), generator=generator)
    return _PLACES[places] + 0.3 * noise, torch.where(at_random, anything, labels)


@functools.cache
def grown() -> dict[str, dict[str, Any]]:
    """States of a network and of its wrapper, trained by one process."""
    torch.set_num_threads(1)
    net, loss = network(), wrapper()
    for step in range(_STEPS):
        inputs, labels = batch(10_000 + step, _SIZE)
        loss(net(inputs), labels).backward()
        with torch.no_grad():
            for parameter in net.parameters():
                parameter -= _LEARNING_RATE * parameter.grad
                parameter.grad = None
    return {
        "network": net.state_dict(),
        "wrapper": loss.state_dict(),
        "class_statistics": loss.class_statistics.state_dict(),
        "noise_model": loss.noise_model.state_dict(),
    }


class AtWork:
    """What the parts of a wrapper have done since this has been made.

    Args:
        loss: the wrapper, whose memories are listened to from here on.
    """

    def __init__(self, loss: AdaptiveNoiseAwareLoss) -> None:
        self._loss = loss
        self.votes = self.relabelled = 0.0
        self.stand_ins = 0
        neighbours, memory = loss.noise_model.neighbours, loss.replay_memory
        cast, hand_out = neighbours.votes, memory.stand_ins

        def votes(*args: Tensor) -> Tensor:
            result = cast(*args)
            self.votes += float(result.sum())
            return result

        def stand_ins(*args: Tensor) -> tuple[Tensor, Tensor]:
            result = hand_out(*args)
            self.stand_ins += len(result[1])
            return result

        neighbours.votes, memory.stand_ins = votes, stand_ins

    def look(self) -> None:
        """Note what has become of the last batch."""
        self.relabelled += self._loss.stat_share_relabelled

    def report(self) -> dict[str, float]:
        """What each part has done; the last two by the state as it is."""
        model = self._loss.noise_model
        return {
            "votes": self.votes,
            "relabelled": self.relabelled,
            "stand_ins": self.stand_ins,
            "strength": float(model.confusion_counts.strength),
            "floor": float(model.noise_floor.far_labels[0]),
        }


def tables_of(state: dict[str, Any], prefix: str = "") -> dict[str, Tensor]:
    """The tensors of a state_dict, however they are nested."""
    tables: dict[str, Tensor] = {}
    for name, value in state.items():
        if isinstance(value, dict):
            tables |= tables_of(value, f"{prefix}{name}.")
        elif isinstance(value, Tensor):
            tables[prefix + name] = value
    return tables
