import pytest
import torch

from benchmarks.device_work import DeviceWork
from pml_ahsml.state.host_numbers import HostNumbers, read_together


def test_a_table_is_read_again_only_after_it_has_changed():
    numbers, table = HostNumbers(), torch.tensor([1.0, 2.0])
    with DeviceWork() as work:
        for _ in range(3):
            assert numbers.of("table", table) == [1.0, 2.0]
        assert work.num_waits == 1
        table[1].fill_(5.0)
        assert numbers.of("table", table) == [1.0, 5.0]
        assert work.num_waits == 2


def test_another_table_of_the_same_name_is_read():
    numbers = HostNumbers()
    assert numbers.of("table", torch.tensor(1.0)) == [1.0]
    assert numbers.of("table", torch.tensor(2.0)) == [2.0]


def test_all_changed_tables_are_read_at_once():
    tables = {
        "a": torch.tensor([0.1, 0.2]),
        "b": torch.tensor(3),
        "c": torch.tensor([[2**24 + 1]]),
        "d": torch.empty(0),
    }
    numbers = HostNumbers()
    numbers.of("a", tables["a"])
    with DeviceWork() as work:
        read_together([(numbers, name, table) for name, table in tables.items()])
        assert work.num_waits == 1
        assert numbers.of("a", tables["a"]) == tables["a"].tolist()
        assert numbers.of("b", tables["b"]) == [3]
        assert numbers.of("c", tables["c"]) == [2**24 + 1]
        assert numbers.of("d", tables["d"]) == []
        assert work.num_waits == 2  # the expected value of "a"
        read_together([(numbers, name, table) for name, table in tables.items()])
        assert work.num_waits == 2


@pytest.mark.parametrize("names", [[], ["a"]])
def test_nothing_to_read_is_no_error(names):
    numbers, table = HostNumbers(), torch.ones(1)
    numbers.of("a", table)
    read_together([(numbers, name, table) for name in names])
    assert not numbers.is_stale("a", table)
