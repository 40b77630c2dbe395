import copy

import pytest
import torch

from pml_ahsml.state.derived import Derived


def counted():
    calls = []

    def total(table, factor):
        calls.append(factor)
        return float(table.sum()) * factor

    return Derived(), total, calls


def test_a_value_is_computed_once_while_its_inputs_stay():
    derived, total, calls = counted()
    table = torch.ones(3)
    assert [derived.of(total, table, 2.0) for _ in range(3)] == [6.0] * 3
    assert len(calls) == 1


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (lambda table, factor: (table.add_(1), factor), 12.0),
        (lambda table, factor: (table + 1, factor), 12.0),
        (lambda table, factor: (table, 3.0), 9.0),
    ],
)
def test_a_write_another_table_and_another_number_are_noticed(change, expected):
    derived, total, _ = counted()
    inputs = torch.ones(3), 2.0
    derived.of(total, *inputs)
    assert derived.of(total, *change(*inputs)) == expected


def test_copies_remember_nothing():
    derived, total, calls = counted()
    table = torch.ones(3)
    derived.of(total, table, 2.0)
    copy.deepcopy(derived).of(total, table, 2.0)
    assert len(calls) == 2
