"""What becomes of one class of PML at one door, in words."""

import re
from collections.abc import Callable
from typing import Any

WORKS = "works"


class BrokenContractError(Exception):
    """Something went through a door and came out wrong."""


def ensure(condition: Any, what: str) -> None:
    """Raise unless the condition holds.

    Not an assert: PML refuses by asserts, and an assert of ours would pass for such a refusal.
    """
    if not condition:
        raise BrokenContractError(what)


def refusal(error: Exception, cls: type) -> str:
    """How a class was refused, short enough for a table, without its own name."""
    if isinstance(error, BrokenContractError):
        raise error
    message = str(error).splitlines()[0] if str(error) else "without a message"
    if isinstance(error, RuntimeError | IndexError | KeyError):
        # out of the middle of a computation: worded by torch, and not alike in all versions
        return f"fails: {type(error).__name__}"
    message = re.sub(r"; .*", "", message)  # advice, which may be long
    message = message.replace(f"{cls.__name__} requires", "requires")
    message = re.sub(rf"(, got| for|, got them for) {cls.__name__}$", "", message)
    return f"refused: {message}"


def attempt(cls: type, action: Callable[[], Any]) -> tuple[Any, str]:
    """What the action returns and an empty text, or None and how it was refused."""
    try:
        return action(), ""
    except Exception as error:
        return None, refusal(error, cls)
