"""Measures the cases of a section one after the other, whatever becomes of the others."""

import gc
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from benchmarks.gpu.budget import Deadline

Row = dict[str, Any]

PROBLEM = "problem"  # the column that says why a row has no figures


@dataclass(frozen=True)
class Case:
    """Something to measure.

    Args:
        names: the columns that say what it is.
        measure: makes its rows until a deadline.
    """

    names: Row
    measure: Callable[[Deadline], list[Row]]


def measure(cases: Sequence[Case], deadline: Deadline) -> Iterator[Row]:
    """Yield the rows of all cases; of a case that fails, one row with the reason.

    Each case may take an equal share of the time that is left, so what one case leaves over goes
    to the others. A case that the deadline leaves no time for is named too.
    """
    for number, case in enumerate(cases):
        if not deadline.left:
            yield case.names | {PROBLEM: "no time was left"}
            continue
        try:
            rows = case.measure(deadline.share(len(cases) - number))
        except Exception as error:
            rows = [{PROBLEM: reason(error)}]
        for row in rows:
            yield case.names | row
        # a case that ran out of memory must not starve the next
        gc.collect()
        if torch.cuda.is_initialized():
            torch.cuda.empty_cache()


def reason(error: BaseException) -> str:
    """Return the kind of an error and the first line of its message."""
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__
