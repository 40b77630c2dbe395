import numpy as np
import pytest

from pml_ahsml.visualization.colours import class_colours


@pytest.mark.parametrize("count", [1, 2, 10, 11, 20, 21, 150, 2000])
def test_classes_with_near_numbers_differ(count):
    colours = class_colours(count)
    assert colours.shape == (count, 3)
    assert colours.min() >= 0
    assert colours.max() <= 1
    apart = np.linalg.norm(colours[:, None, :] - colours[None, :, :], axis=2)
    near = np.abs(np.subtract.outer(range(count), range(count)))
    assert apart[(near > 0) & (near < 3)].min(initial=1) > 0.1
    assert len(np.unique(colours, axis=0)) == count


def test_no_classes_are_an_error():
    with pytest.raises(ValueError, match="num_classes must be at least 1, got 0"):
        class_colours(0)
