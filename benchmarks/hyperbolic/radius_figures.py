"""What the norm says, and what retrieval and the tree of classes are like."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from pytorch_metric_learning.distances import CosineSimilarity
from pytorch_metric_learning.utils.inference import CustomKNN
from torch import Tensor
from torch.nn import functional

from benchmarks.hyperbolic.training import accuracy, auroc
from pml_ahsml import PoincareDistance
from pml_ahsml.distances import HyperbolicDistance
from pml_ahsml.visualization import class_tree, dendrogram_purity

# The file of a data set, and its column with coarse groups of classes.
_GROUPS = {"hwu": ("hwu64_minilm.npz", "scenarios"), "clinc": ("clinc150_minilm.npz", "domains")}


@dataclass(frozen=True)
class Figures:
    """Figures of a test set, nan where there is none.

    Args:
        precision_at_1: by the neighbours of the distance of training.
        map_at_r: likewise.
        cosine_precision_at_1: by cosine in the same embeddings.
        cosine_map_at_r: likewise.
        radius: median norm in clip radii, 1 for a cosine.
        at_rim: share of norms above .98 clip radii.
        wrong_by_norm: AUROC of −‖e‖ for samples whose nearest neighbour is wrong.
        wrong_by_nearest: AUROC of −similarity to that neighbour for the same.
        purity: dendrogram purity of the tree of class means against the coarse groups.
    """

    precision_at_1: float
    map_at_r: float
    cosine_precision_at_1: float
    cosine_map_at_r: float
    radius: float
    at_rim: float
    wrong_by_norm: float
    wrong_by_nearest: float
    purity: float


@torch.no_grad()
def figures(
    embeddings: Tensor, labels: Tensor, distance: Any, groups: NDArray[np.int64] | None
) -> Figures:
    """Compute the figures of a test set.

    Args:
        embeddings: (N, D).
        labels: (N,).
        distance: that of the training, inverted.
        groups: (K,), the coarse group of each class; None without one.
    """
    knn: Any = CustomKNN(distance)
    by_own = accuracy(embeddings, labels, knn)
    by_cosine = accuracy(embeddings, labels, CustomKNN(CosineSimilarity()))
    similarity, nearest = knn(embeddings, 1, embeddings, ref_includes_query=True)
    is_wrong = labels[nearest.squeeze(1)] != labels
    radii = placed(embeddings, distance).norm(dim=1)
    return Figures(
        *by_own,
        *by_cosine,
        radius=float(radii.median()),
        at_rim=float((radii > 0.98).float().mean()),
        wrong_by_norm=auroc(is_wrong, -embeddings.norm(dim=1)),
        wrong_by_nearest=auroc(is_wrong, -similarity.squeeze(1)),
        purity=float("nan") if groups is None else purity(embeddings, labels, distance, groups),
    )


def placed(embeddings: Tensor, distance: Any) -> Tensor:
    """Embeddings where the distance sees them, in clip radii: on the sphere for a cosine."""
    if isinstance(distance, HyperbolicDistance):
        return distance.to_tangent(embeddings) / distance.clip_radius
    return functional.normalize(embeddings)


def purity(embeddings: Tensor, labels: Tensor, distance: Any, groups: NDArray[np.int64]) -> float:
    """Dendrogram purity of the tree of the mean embeddings of classes."""
    rows = placed(embeddings, distance)
    classes, index = labels.unique(return_inverse=True)
    means = torch.stack([rows[index == k].mean(0) for k in range(len(classes))])
    if isinstance(distance, HyperbolicDistance):
        divergence = PoincareDistance(float(distance.curvature), distance.clip_radius)(
            means * distance.clip_radius
        )
    else:
        divergence = 1 - functional.normalize(means) @ functional.normalize(means).T
        divergence.fill_diagonal_(0)
    return dendrogram_purity(class_tree(divergence), groups[classes.numpy()])


def coarse_groups(data: str, data_dir: Path) -> NDArray[np.int64] | None:
    """The coarse group of each class of a data set, None where there are none."""
    if data not in _GROUPS:
        return None
    file, column = _GROUPS[data]
    stored = np.load(data_dir / file)
    groups = np.zeros(int(stored["labels"].max()) + 1, dtype=np.int64)
    groups[stored["labels"]] = stored[column]
    return groups
