"""Pictures of the embeddings from PML's testers."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from ..distances import PoincareDistance
from .disk_projection import DiskProjection
from .poincare_disk import plot_poincare_disk


def visualizer_hook(
    folder: str | Path, *, names: Sequence[str] | None = None, dpi: int = 120
) -> Callable[..., None]:
    """A ``visualizer_hook`` for PML's testers that saves the Poincaré disk of each split.

    It goes with a :class:`DiskProjection` as ``visualizer`` and writes
    ``<split>_<visualizer>_level<level>_<epoch>.png``, at each call of ``tester.test`` and for each
    level of the labels that is evaluated. Nothing else, such as UMAP, need be installed. The tester
    needs ``normalize_embeddings=False``.

    Args:
        folder: where the pictures go; made if need be.
        names: of the classes, for the legend.
        dpi: dots per inch, at 8.5 × 6.5 inches.

    Returns:
        ``hook(visualizer, embeddings, labels, split_name, keyname, epoch)``.

    Raises:
        TypeError: at the first picture, for a visualizer that is no DiskProjection.

    Source:
        This project.

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

    def hook(
        visualizer: Any, embeddings: Any, labels: Any, split_name: str, keyname: str, epoch: Any
    ) -> None:
        if not isinstance(visualizer, DiskProjection):
            raise TypeError(f"visualizer must be a DiskProjection, got {type(visualizer).__name__}")
        path = Path(folder)
        path.mkdir(parents=True, exist_ok=True)
        figure = Figure(figsize=(8.5, 6.5), layout="constrained")  # not pyplot's, so none is kept
        flat = PoincareDistance(
            float(visualizer.distance.curvature), visualizer.distance.clip_radius
        )
        ax = plot_poincare_disk(
            embeddings, labels, names=names, distance=flat, ax=figure.add_subplot()
        )
        title = f"{split_name}, epoch {epoch}: {ax.get_title()}\n{visualizer.caption}"
        ax.set_title(title.strip(), fontsize=9)
        figure.savefig(path / f"{split_name}_{keyname}_{epoch}.png", dpi=dpi)

    return hook
