"""Colours for any number of classes."""

import matplotlib
import numpy as np
from matplotlib.colors import hsv_to_rgb
from numpy.typing import NDArray

from ..checks import check_count

# tab20 is matplotlib's largest palette of distinct colours; a longer legend would be unreadable.
LEGEND_LIMIT = 20

# Multiples of the golden section spread evenly over the circle of hues, however many there are.
_GOLDEN = (5**0.5 - 1) / 2


def class_colours(num_classes: int) -> NDArray[np.float64]:
    """Choose a colour for each class.

    Up to 20 classes get the distinct colours of matplotlib's tab10 and tab20. With more, hues step
    around the circle by the golden section, in three shades: neighbouring classes get clearly
    different colours, and similar colours belong to distant classes.

    Args:
        num_classes: K ≥ 1.

    Returns:
        (K, 3) red, green, blue in [0, 1].

    Raises:
        ValueError: if ``num_classes`` is less than 1.

    Example:
        >>> class_colours(150).shape
        (150, 3)
    """
    num_classes = check_count("num_classes", num_classes, minimum=1)
    if num_classes <= LEGEND_LIMIT:
        name = "tab10" if num_classes <= 10 else "tab20"
        return np.asarray(matplotlib.colormaps[name](range(num_classes))[:, :3], dtype=np.float64)
    numbers = np.arange(num_classes)
    hue = numbers * _GOLDEN % 1
    saturation, value = np.array([[0.85, 0.85], [0.55, 0.95], [0.9, 0.55]])[numbers % 3].T
    return np.asarray(hsv_to_rgb(np.stack([hue, saturation, value], 1)), dtype=np.float64)
