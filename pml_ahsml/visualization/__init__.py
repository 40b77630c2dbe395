"""Plots of hyperbolic embeddings, class hierarchies and trust in labels.

Only this subpackage needs matplotlib and scipy, which the extra ``plot`` installs. Each plot
function draws into the given Axes, or into a new figure, and returns the Axes.
"""

try:
    import matplotlib as _matplotlib  # noqa: F401
    import scipy as _scipy  # noqa: F401
except ModuleNotFoundError as error:
    raise ImportError(
        "pml_ahsml.visualization needs matplotlib and scipy: "
        f"pip install 'pml_ahsml[plot]' ({error})"
    ) from error

from .class_tree import class_tree, plot_class_tree
from .dendrogram_purity import chance_purity, dendrogram_purity
from .disk_projection import DiskProjection
from .noise_history import plot_noise_history
from .poincare_disk import plot_poincare_disk
from .tester_hook import visualizer_hook
from .trust_histogram import plot_trust_histogram

__all__ = [
    "DiskProjection",
    "chance_purity",
    "class_tree",
    "dendrogram_purity",
    "plot_class_tree",
    "plot_noise_history",
    "plot_poincare_disk",
    "plot_trust_histogram",
    "visualizer_hook",
]
