import copy

import pytest
import torch

from pml_ahsml.state.module_with_tables import ModuleWithTables


def module(rows: int = 3) -> ModuleWithTables:
    m = ModuleWithTables()
    m.register_table("means", torch.zeros(rows, 2))
    m.register_table("visits", torch.zeros(rows))
    return m


def test_tables_are_state_but_no_buffers():
    m = module()
    m.means += 1
    assert not list(m.buffers())
    assert not list(m.parameters())
    other = module()
    other.load_state_dict(m.state_dict())
    assert torch.equal(other.means, m.means)
    m.means += 1  # the loaded copy is its own
    assert (other.means == 1).all()
    assert (copy.deepcopy(m).means == 2).all()


def test_tables_move_but_keep_their_precision():
    m = module().half()
    assert m.means.dtype == torch.float32
    assert m.to("meta").visits.device.type == "meta"


@pytest.mark.parametrize("broken", ["shape", "name"])
def test_a_foreign_checkpoint_is_refused_and_changes_nothing(broken):
    m = module()
    state = (
        module(4).state_dict() if broken == "shape" else {"_extra_state": {"means": m.means + 1}}
    )
    message = r"\(3, 2\), got a checkpoint with \(4, 2\)" if broken == "shape" else "must hold"
    with pytest.raises(ValueError, match=message):
        m.load_state_dict(state)
    assert (m.means == 0).all()


def test_is_moved_only_where_it_is_not():
    module = ModuleWithTables()
    module.register_table("counts", torch.zeros(3))
    table = module.counts
    assert module.on(torch.device("cpu")) is module
    assert module.counts is table
    assert module.on(torch.device("meta")).counts.device.type == "meta"
