"""Saves plots of the embeddings from PML's testers."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from ..checks import check_positive
from ..distances import PoincareDistance
from .disk_projection import DiskProjection
from .labels import show_literally
from .poincare_disk import plot_poincare_disk


def visualizer_hook(
    folder: str | Path, *, names: Sequence[str] | None = None, dpi: float = 120
) -> Callable[..., None]:
    """Make a ``visualizer_hook`` for PML's testers that saves a Poincaré disk of each split.

    Use it with a :class:`DiskProjection` as ``visualizer``, and with
    ``normalize_embeddings=False``. Each call of ``tester.test`` writes
    ``<split>_<visualizer>_level<level>_<epoch>.png`` for every label level evaluated. UMAP is not
    needed.

    Args:
        folder: folder for the pictures; created if necessary.
        names: one for each class, for the legend.
        dpi: dots per inch; a picture is 8.5 × 6.5 inches.

    Returns:
        ``hook(visualizer, embeddings, labels, split_name, keyname, epoch)``.

    Raises:
        TypeError: if ``dpi`` is not a number; at the first picture, if the visualizer is not a
            DiskProjection.
        ValueError: if ``dpi`` is not positive; at a picture, if a part of its name contains a path
            separator.

    Example:
        >>> from pytorch_metric_learning.testers import GlobalEmbeddingSpaceTester
        >>> from pml_ahsml.inference import accuracy_calculator
        >>> from pml_ahsml.visualization import DiskProjection
        >>> distance = PoincareDistance()  # of the loss
        >>> tester = GlobalEmbeddingSpaceTester(
        ...     normalize_embeddings=False,
        ...     accuracy_calculator=accuracy_calculator(distance),
        ...     visualizer=DiskProjection(distance),
        ...     visualizer_hook=visualizer_hook("pictures"),
        ... )
    """
    dpi = check_positive("dpi", dpi)

    def hook(
        visualizer: Any, embeddings: Any, labels: Any, split_name: str, keyname: str, epoch: Any
    ) -> None:
        if not isinstance(visualizer, DiskProjection):
            raise TypeError(f"visualizer must be a DiskProjection, got {type(visualizer).__name__}")
        picture = f"{split_name}_{keyname}_{epoch}.png"
        for name, value in (("split_name", split_name), ("keyname", keyname), ("epoch", epoch)):
            # refuse the separators of all systems, so that a script behaves the same everywhere
            if any(sign in str(value) for sign in "/\\\0"):
                raise ValueError(
                    f"{name} must be part of a file name, without / and \\, got {value!r}"
                )
        path = Path(folder)
        path.mkdir(parents=True, exist_ok=True)
        figure = Figure(
            figsize=(8.5, 6.5), layout="constrained"
        )  # not pyplot's, which would keep it in memory
        flat = PoincareDistance(
            float(visualizer.distance.curvature), visualizer.distance.clip_radius
        )
        ax = plot_poincare_disk(
            embeddings, labels, names=names, distance=flat, ax=figure.add_subplot()
        )
        title = f"{split_name}, epoch {epoch}: {ax.get_title()}\n{visualizer.caption}"
        show_literally([ax.set_title(title.strip(), fontsize=9)])
        figure.savefig(path / picture, dpi=dpi)

    return hook
