import pytest
import torch

from benchmarks.geometry.timings import peak_memory, take_turns
from benchmarks.geometry.ways import inputs
from pml_ahsml import PoincareDistance


def test_all_ways_take_turns():
    calls = []

    def way(name):
        def matrix(e):
            calls.append(name)
            return e @ e.T

        return matrix

    times = take_turns({name: way(name) for name in "ab"}, torch.randn(4, 2), rounds=3)
    assert calls == ["a", "b"] * 4  # once to warm up
    assert all(len(rounds) == 3 for rounds in times.values())
    assert all(0 < forward <= both for rounds in times.values() for forward, both in rounds)


def test_memory_is_counted_in_matrices():
    # a matrix that is kept, its exponential, and the two gradients
    e = torch.randn(64, 1).requires_grad_()
    peak = peak_memory(lambda x: (x + x.T).exp(), e, 64)
    assert 3 <= peak < 4.5


@pytest.mark.parametrize(("n", "kind"), [(512, "random"), (1024, "classes"), (1024, "collapsed")])
def test_six_matrices_are_enough_even_for_wide_embeddings(n, kind):
    embeddings = inputs(n, 512, kind, torch.device("cpu")).requires_grad_()
    assert peak_memory(PoincareDistance(), embeddings, n) <= 6
