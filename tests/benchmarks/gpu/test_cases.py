import time

import pytest
import torch

from benchmarks.gpu.budget import Deadline
from benchmarks.gpu.cases import PROBLEM, Case, measure, reason


def test_a_case_that_fails_is_named_and_the_others_are_measured():
    def out_of_memory(_):
        raise torch.cuda.OutOfMemoryError("CUDA out of memory.\nTried to allocate 9 GiB")

    shares = []

    def works(deadline):
        shares.append(deadline.left)
        return [{"ms": 1}, {"ms": 2}]

    cases = [Case({"n": 1}, works), Case({"n": 2}, out_of_memory), Case({"n": 3}, works)]
    rows = list(measure(cases, Deadline(time.time() + 60)))
    assert [(row["n"], row.get("ms")) for row in rows] == [
        (1, 1),
        (1, 2),
        (2, None),
        (3, 1),
        (3, 2),
    ]
    assert rows[2][PROBLEM] == "OutOfMemoryError: CUDA out of memory."
    # what the first left over is for the others
    assert shares == pytest.approx([20, 60], abs=5)


def test_a_case_without_time_is_named():
    rows = list(measure([Case({"n": 1}, lambda _: [{"ms": 1}])], Deadline(time.time() - 1)))
    assert rows == [{"n": 1, PROBLEM: "no time was left"}]


def test_an_error_without_a_message_has_its_kind():
    assert reason(NotImplementedError()) == "NotImplementedError"
