"""Old names of keywords, which work for one more version."""

import functools
import warnings
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

P = ParamSpec("P")
R = TypeVar("R")


def renamed_keywords(**new_names: str) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Let a function also take keywords by their old names, with a DeprecationWarning.

    Args:
        **new_names: the new name of each old name.

    Returns:
        A decorator. The decorated function raises a ValueError if both names are given.

    Example:
        >>> @renamed_keywords(length="size")
        ... def zeros(size):
        ...     return [0] * size
        >>> zeros(size=2)
        [0, 0]
        >>> zeros(length=2, size=2)
        Traceback (most recent call last):
        ValueError: length must be left out where size is given, got both
    """

    def decorate(function: Callable[P, R]) -> Callable[P, R]:
        @functools.wraps(function)
        def call(*args: P.args, **kwargs: P.kwargs) -> R:
            options: dict[str, Any] = kwargs
            for old, new in new_names.items():
                if old not in options:
                    continue
                if new in options:
                    raise ValueError(f"{old} must be left out where {new} is given, got both")
                warnings.warn(
                    f"{old} is deprecated and has been renamed: give {new}",
                    DeprecationWarning,
                    stacklevel=2,
                )
                options[new] = options.pop(old)
            return function(*args, **kwargs)

        return call

    return decorate
