import time

import pytest

from benchmarks.gpu.budget import Deadline, take_turns


def test_what_is_left_is_shared_equally():
    deadline = Deadline(time.time() + 60)
    assert deadline.share(3).left == pytest.approx(20, abs=1)
    over = Deadline(time.time() - 5)
    assert over.left == over.share(2).left == 0


def test_ways_take_turns_after_a_warm_up():
    calls: list[str] = []

    def way(name):
        return lambda: calls.append(name) or len(calls)

    taken = take_turns({name: way(name) for name in "ab"}, 3, Deadline(time.time() + 60))
    assert calls == ["a", "b"] * 4
    assert taken == {"a": [3, 5, 7], "b": [4, 6, 8]}


def test_one_round_is_made_after_the_deadline_and_no_more():
    taken = take_turns({"a": lambda: 1, "b": lambda: 2}, 9, Deadline(time.time() - 1))
    assert taken == {"a": [1], "b": [2]}
