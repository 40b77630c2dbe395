"""Measures in turns, within a time budget."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeVar

T = TypeVar("T")


@dataclass(frozen=True)
class Deadline:
    """A point in time, in seconds of ``time.time()``, after which nothing new is begun."""

    at: float

    @property
    def left(self) -> float:
        """How many seconds are left, never less than 0."""
        return max(0.0, self.at - time.time())

    def share(self, parts: int) -> "Deadline":
        """Return the deadline of the first of equal parts of what is left."""
        return Deadline(time.time() + self.left / parts)


def take_turns(
    ways: Mapping[str, Callable[[], T]], rounds: int, deadline: Deadline
) -> dict[str, list[T]]:
    """Call every way once per round, after a round of warm-up that does not count.

    One round is always made; no other begins after the deadline.

    Args:
        ways: what to call, by name.
        rounds: most rounds, ≥ 1.
        deadline: when to stop.

    Returns:
        What each way returned, by round: every way as often as the others.
    """
    for way in ways.values():
        way()
    taken: dict[str, list[T]] = {name: [] for name in ways}
    for number in range(rounds):
        if number and not deadline.left:
            break
        for name, way in ways.items():
            taken[name].append(way())
    return taken
