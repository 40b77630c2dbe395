"""Shows on the terminal how far an audit has come."""

from types import TracebackType
from typing import Any, TextIO

from tqdm import tqdm


class ProgressBar:
    """A bar for each stage of the work.

    Args:
        file: where to draw.
        is_shown: False draws nothing.

    Example:
        >>> import io
        >>> drawn = io.StringIO()
        >>> with ProgressBar(drawn) as progress:
        ...     progress("neighbours", 5, 10)
        ...     progress("neighbours", 10, 10)
        >>> "neighbours: 100%" in drawn.getvalue()
        True
    """

    def __init__(self, file: TextIO, is_shown: bool = True) -> None:
        self._file, self._is_shown = file, is_shown
        self._stage: str | None = None
        self._bar: Any = None

    def __call__(self, stage: str, done: int, total: int) -> None:
        """Say that ``done`` of ``total`` parts of a stage are done."""
        if stage != self._stage:
            self._close()
            self._stage = stage
            self._bar = tqdm(
                total=total, desc=stage, file=self._file, disable=not self._is_shown, leave=True
            )
        self._bar.update(done - self._bar.n)

    def __enter__(self) -> "ProgressBar":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._close()

    def _close(self) -> None:
        if self._bar is not None:
            self._bar.close()
