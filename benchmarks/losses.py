"""The losses of the noise benchmark, by the names that its tables use."""

from collections.abc import Callable

import torch
from pytorch_metric_learning import losses

from benchmarks.datasets import EMBEDDING_SIZE
from pml_ahsml import PoincareDistance

Factory = Callable[[int], torch.nn.Module]  # by the number of classes

_EUCLIDEAN: dict[str, Callable[[], torch.nn.Module]] = {
    "MultiSimilarity": losses.MultiSimilarityLoss,
    "SupCon": losses.SupConLoss,
    "Triplet": lambda: losses.TripletMarginLoss(margin=0.1),
    "Contrastive": losses.ContrastiveLoss,
    "Margin": losses.MarginLoss,
    "Circle": losses.CircleLoss,
    "GeneralizedLifted": losses.GeneralizedLiftedStructureLoss,
    "IntraPairVariance": losses.IntraPairVarianceLoss,
    "FastAP": losses.FastAPLoss,
    "NCA": lambda: losses.NCALoss(softmax_scale=8),
    "CrossBatchMemory": lambda: losses.CrossBatchMemory(
        losses.ContrastiveLoss(), EMBEDDING_SIZE, memory_size=512
    ),
}
_OF_CLASSES: dict[str, Callable[[int, int], torch.nn.Module]] = {
    "ProxyAnchor": losses.ProxyAnchorLoss,
    "ProxyNCA": lambda classes, size: losses.ProxyNCALoss(classes, size, softmax_scale=8),
    "SoftTriple": losses.SoftTripleLoss,
    "NormalizedSoftmax": losses.NormalizedSoftmaxLoss,
    "ArcFace": losses.ArcFaceLoss,
    "CosFace": losses.CosFaceLoss,
}
LOSSES: dict[str, Factory] = {
    **{name: lambda _, make=make: make() for name, make in _EUCLIDEAN.items()},
    **{
        name: lambda classes, make=make: make(classes, EMBEDDING_SIZE)
        for name, make in _OF_CLASSES.items()
    },
}
MAIN_LOSSES = ("MultiSimilarity", "SupCon", "Triplet")

# The wrapped losses in hyperbolic distance, with the settings of docs/poincare_losses.md.
HYPERBOLIC: dict[str, Factory] = {
    "MultiSimilarity": lambda _: losses.MultiSimilarityLoss(
        alpha=0.43, beta=11, base=2.3, distance=PoincareDistance()
    ),
    "SupCon": lambda _: losses.SupConLoss(temperature=0.5, distance=PoincareDistance()),
    "Triplet": lambda _: losses.TripletMarginLoss(margin=2, distance=PoincareDistance()),
}
