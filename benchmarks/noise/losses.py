"""The losses of the noise benchmark, by their names in its tables."""

from collections.abc import Callable

import torch
from pytorch_metric_learning import losses

from benchmarks.noise.data import EMBEDDING_SIZE
from pml_ahsml import PoincareDistance

Factory = Callable[[int], torch.nn.Module]  # takes the number of classes

LOSSES: dict[str, Factory] = {
    "MultiSimilarity": lambda _: losses.MultiSimilarityLoss(),
    "SupCon": lambda _: losses.SupConLoss(),
    "Triplet": lambda _: losses.TripletMarginLoss(margin=0.1),
    "Contrastive": lambda _: losses.ContrastiveLoss(),
    "Margin": lambda _: losses.MarginLoss(),
    "Circle": lambda _: losses.CircleLoss(),
    "GeneralizedLifted": lambda _: losses.GeneralizedLiftedStructureLoss(),
    "IntraPairVariance": lambda _: losses.IntraPairVarianceLoss(),
    "FastAP": lambda _: losses.FastAPLoss(),
    "NCA": lambda _: losses.NCALoss(softmax_scale=8),
    "CrossBatchMemory": lambda _: losses.CrossBatchMemory(
        losses.ContrastiveLoss(), EMBEDDING_SIZE, memory_size=512
    ),
    "ProxyAnchor": lambda k: losses.ProxyAnchorLoss(k, EMBEDDING_SIZE),
    "ProxyNCA": lambda k: losses.ProxyNCALoss(k, EMBEDDING_SIZE, softmax_scale=8),
    "SoftTriple": lambda k: losses.SoftTripleLoss(k, EMBEDDING_SIZE),
    "NormalizedSoftmax": lambda k: losses.NormalizedSoftmaxLoss(k, EMBEDDING_SIZE),
    "ArcFace": lambda k: losses.ArcFaceLoss(k, EMBEDDING_SIZE),
    "CosFace": lambda k: losses.CosFaceLoss(k, EMBEDDING_SIZE),
}
MAIN_LOSSES = ("MultiSimilarity", "SupCon", "Triplet")

# The main losses with hyperbolic distance, with the settings of docs/poincare_losses.md.
HYPERBOLIC: dict[str, Factory] = {
    "MultiSimilarity": lambda _: losses.MultiSimilarityLoss(
        alpha=0.43, beta=11, base=2.3, distance=PoincareDistance()
    ),
    "SupCon": lambda _: losses.SupConLoss(temperature=0.5, distance=PoincareDistance()),
    "Triplet": lambda _: losses.TripletMarginLoss(margin=2, distance=PoincareDistance()),
}
