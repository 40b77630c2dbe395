import copy
import pickle

import pytest
import torch

from pml_ahsml.state.module_with_tables import ModuleWithTables
from pml_ahsml.state.saved_state import Rule


def module(rows: int = 3) -> ModuleWithTables:
    m = ModuleWithTables()
    m.register_table("means", torch.zeros(rows, 2), Rule())
    m.register_table("visits", torch.zeros(rows), Rule(lowest=0))
    return m


def test_tables_are_state_but_no_buffers():
    m = module()
    m.means += 1
    # one number, however large the tables
    assert [buffer.shape for buffer in m.buffers()] == [()]
    assert not list(m.parameters())
    assert set(m.state_dict()) == {"means", "visits", "changes"}
    other = module()
    other.load_state_dict(m.state_dict())
    assert torch.equal(other.means, m.means)
    m.means += 1  # the loaded copy is its own
    assert (other.means == 1).all()
    assert (copy.deepcopy(m).means == 2).all()
    assert (pickle.loads(pickle.dumps(m)).means == 2).all()


def test_nothing_that_record_keeper_walks_through_holds_a_table():
    walked = [value for value in vars(module()).values() if isinstance(value, dict | list | tuple)]
    tensors = [part for value in walked for part in dict(enumerate(value)).values()]
    assert not any(isinstance(part, torch.Tensor) for part in tensors)
    values = [v for value in walked if isinstance(value, dict) for v in value.values()]
    assert [v.ndim for v in values if isinstance(v, torch.Tensor)] == [0]


def test_tables_move_but_keep_their_precision():
    m = module()
    m.visits += 70_001
    m.half()
    assert m.means.dtype == torch.float32
    assert (m.visits == 70_001).all()
    m.to(torch.float64)
    assert m.means.dtype == torch.float32
    assert m.to("meta").visits.device.type == "meta"
    with pytest.raises(NotImplementedError, match="Cannot copy out of meta"):
        m.to("cpu")
    m.to_empty(device="cpu")
    assert m.visits.device.type == "cpu"
    m.load_state_dict(module().state_dict())
    assert (m.visits == 0).all()


def test_tables_are_assigned_like_attributes():
    m = module()
    m.visits = torch.ones(3)
    assert (m.state_dict()["visits"] == 1).all()
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = m.nothing


def test_other_attributes_are_torchs():
    m = module()
    m.part = None
    m.part = torch.nn.Linear(1, 1)
    assert [name for name, _ in m.named_children()] == ["part"]
    m.part = None
    assert m.part is None
    assert not list(m.parameters())
    m.weight = 1.0
    m.weight = torch.nn.Parameter(torch.ones(1))
    assert [name for name, _ in m.named_parameters()] == ["weight"]
    with pytest.raises(TypeError, match="weight"):
        m.weight = 2.0


def test_in_inference_mode_tables_are_made_that_can_be_changed_afterwards():
    m = module()
    with torch.inference_mode():
        m.load_state_dict({name: value.clone() for name, value in m.state_dict().items()})
        m.to(torch.float16)
        m.visits = torch.ones(3)
        m.count_change()
    m.visits += 1
    m.means += 1
    m.count_change()
    assert (m.visits == 2).all()


@pytest.mark.parametrize(
    ("state", "message"),
    [
        (module(4).state_dict(), r"means must be of shape \(3, 2\), got \(4, 2\)"),
        ({"means": torch.ones(3, 2)}, "changes must be in a state of .*, got 1 of its 3 entries"),
    ],
    ids=["shape", "name"],
)
def test_a_foreign_checkpoint_is_refused_and_changes_nothing(state, message):
    m = module()
    m.visits += 1
    with pytest.raises(ValueError, match=message):
        m.load_state_dict(state)
    assert (m.means == 0).all()
    assert (m.visits == 1).all()


def test_is_moved_to_another_device_only():
    m = module()
    table = m.means
    assert m.on(torch.device("cpu")) is m
    assert m.means is table
    assert m.on(torch.device("meta")).means.device.type == "meta"


def test_a_table_written_from_outside_is_found_out():
    m = module()
    for value in m.state_dict().values():
        value += 0.5
    with pytest.raises(RuntimeError, match="tables of ModuleWithTables must be changed by its own"):
        m.count_change()


def test_a_buffer_that_is_written_and_restored_is_no_error():
    # as Lightning does, which swaps averages in for a validation
    m = module()
    m.visits += 3
    m.count_change()
    (number,) = m.buffers()
    before = number.clone()
    number.fill_(0.3)
    assert m.on(torch.device("cpu")) is m
    assert (m.state_dict()["visits"] == 3).all()
    number.copy_(before)
    m.count_change()
    assert float(number) == float(m.changes) == 2
