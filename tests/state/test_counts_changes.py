import pytest
import torch

from benchmarks.device_work import DeviceWork
from pml_ahsml.state.module_with_tables import ModuleWithTables


def with_part() -> ModuleWithTables:
    module = ModuleWithTables()
    module.part = ModuleWithTables()
    return module


def changes_of(module: ModuleWithTables) -> list[float]:
    return [float(of.state_dict()["changes"]) for of in (module, module.part)]


def change(module: ModuleWithTables) -> None:
    module.count_change()
    module.part.count_change()
    module.part.count_change()


def test_changes_counted_together_are_as_many_by_one_operation():
    one_by_one, together = with_part(), with_part()
    change(one_by_one)
    with DeviceWork() as work, together.counting_together():
        change(together)
    assert changes_of(together) == changes_of(one_by_one) == [1, 2]
    assert work.num_operations == 1
    assert [float(buffer) for buffer in together.buffers()] == [1, 2]
    # afterwards each change is counted at once
    together.part.count_change()
    assert changes_of(together) == [1, 3]


def test_changes_before_an_error_are_counted():
    def change_and_fail(module):
        with module.counting_together():
            change(module)
            raise ValueError("too late")

    module = with_part()
    with pytest.raises(ValueError, match="too late"):
        change_and_fail(module)
    assert changes_of(module) == [1, 2]


def test_what_is_written_from_outside_is_noticed_after_counting_together():
    module = with_part()
    with module.counting_together():
        change(module)
    module.state_dict()["part.changes"].mul_(torch.tensor(0.5))
    with pytest.raises(RuntimeError, match="written into from outside"):
        module.part.count_change()
