"""Builds the loss of a run, wrapped if the settings say so."""

from typing import Any

import torch
from pytorch_metric_learning import losses as pml_losses
from pytorch_metric_learning.distances import BaseDistance, CosineSimilarity
from pytorch_metric_learning.reducers import SumReducer
from pytorch_metric_learning.utils import common_functions as c_f
from torch import Tensor

from pml_ahsml import AdaptiveMargins, AdaptiveNoiseAwareLoss, PoincareDistance, Relabelling

from .settings import MARGIN, TEMPERATURE, Settings


class PairwiseCrossEntropyLoss(pml_losses.BaseMetricLossFunction):
    """Hyp-ViT's loss: cross-entropy of finding one sample of a class by another.

    The r-th samples of all classes in the batch form the set r. An ordered pair (a, p) of one class
    comes from two sets i and j; its negatives n are the samples of other classes in i and j:
    ℓ = −log( e^{−d(a,p)/τ} / (e^{−d(a,p)/τ} + Σ_n e^{−d(a,n)/τ}) ).
    The loss is the sum over the pairs, divided by the number of classes.

    Args:
        temperature: τ > 0.
        **kwargs: passed to ``BaseMetricLossFunction``.

    Source:
        Ermolov et al., CVPR 2022, and train.py of its repository; on a matrix: this project.
    """

    def __init__(self, temperature: float, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.temperature = temperature
        self.add_to_recordable_attributes(list_of_names=["temperature"], is_stat=False)

    def compute_loss(
        self,
        embeddings: Tensor,
        labels: Tensor,
        indices_tuple: Any,
        ref_emb: Tensor | None,
        ref_labels: Tensor | None,
    ) -> dict[str, Any]:
        """Compute the loss of a batch. Overrides ``BaseMetricLossFunction.compute_loss``."""
        c_f.indices_tuple_not_supported(indices_tuple)
        c_f.ref_not_supported(embeddings, labels, ref_emb, ref_labels)
        same = labels[:, None] == labels
        positives = same & ~torch.eye(len(labels), dtype=torch.bool, device=labels.device)
        if not positives.any() or same.all():
            return self.zero_losses()
        values = self.distance(embeddings)
        logits = (values if self.distance.is_inverted else -values) / self.temperature
        rank = same.tril(-1).sum(1)  # which sample of its class a row is
        # (N, sets): log of the sum over the negatives of a row in each set
        members = torch.nn.functional.one_hot(rank).T.bool()
        negatives = torch.stack(
            [logits.masked_fill(same | ~member, -torch.inf).logsumexp(1) for member in members], 1
        )
        a, p = positives.nonzero(as_tuple=True)
        others = torch.logaddexp(negatives[a, rank[a]], negatives[a, rank[p]])
        terms = torch.nn.functional.softplus(others - logits[a, p])
        value = terms.sum() / len(labels.unique())
        return {"loss": {"losses": value, "indices": None, "reduction_type": "already_reduced"}}


class SumPerRow(SumReducer):
    """The sum over all pairs divided by the number of rows, as in PRISM's contrastive loss."""

    def element_reduction(self, losses: Tensor, _: Any, embeddings: Tensor, *__: Any) -> Tensor:
        """Reduce the loss of a batch. Overrides ``SumReducer.element_reduction``."""
        return losses.sum() / len(embeddings)


def build_distance(settings: Settings) -> BaseDistance:
    """Build the distance of training and evaluation."""
    if settings.distance == "cosine":
        return CosineSimilarity()
    return PoincareDistance(settings.curvature, settings.clip_radius)


def build_loss(settings: Settings, labels: Tensor, distance: BaseDistance) -> torch.nn.Module:
    """Build the loss of a run.

    Args:
        settings: the options of the groups loss and wrong labels.
        labels: (N,) labels of the training set, as given.
        distance: the result of :func:`build_distance`.
    """
    class_counts = labels.bincount()
    num_classes = len(class_counts)
    loss: Any = _plain(settings, num_classes, distance)
    if settings.memory_size:
        loss = pml_losses.CrossBatchMemory(loss, settings.embedding_size, settings.memory_size)
    if not settings.wraps:
        return loss
    return AdaptiveNoiseAwareLoss(
        loss,
        num_classes,
        settings.embedding_size,
        warmup=settings.warmup if settings.noise_aware else None,
        margins=AdaptiveMargins(view_margin=settings.view_margin) if settings.margins else None,
        relabel=Relabelling() if settings.noise_aware else None,
        num_views=settings.views,
        # classes differ in size, but the sampler draws equally many images of each
        class_counts=class_counts,
        collect_stats=True,
    )


def _plain(settings: Settings, num_classes: int, distance: BaseDistance) -> torch.nn.Module:
    name, metric = settings.loss, settings.distance
    temperature, margin = settings.temperature, settings.margin
    if temperature is None and name in TEMPERATURE:
        temperature = TEMPERATURE[name][metric]
    if margin is None and name in MARGIN:
        margin = MARGIN[name][metric]
    if name == "ms":
        # a similarity is 1 − 2d/d_max, so these are α = 2, β = 50 and γ = ½ for either distance
        if metric == "cosine":
            return pml_losses.MultiSimilarityLoss(alpha=2, beta=50, base=0.5, distance=distance)
        unit = distance.max_distance / 2
        return pml_losses.MultiSimilarityLoss(
            alpha=2 / unit, beta=50 / unit, base=0.5 * unit, distance=distance
        )
    if name == "supcon":
        return pml_losses.SupConLoss(temperature=temperature, distance=distance)
    if name == "pairwise_ce":
        return PairwiseCrossEntropyLoss(temperature, distance=distance)
    if name == "triplet":
        return pml_losses.TripletMarginLoss(margin=margin, distance=distance)
    if name == "contrastive":
        positive = 1.0  # beyond this similarity, or below this distance, a positive costs nothing
        return pml_losses.ContrastiveLoss(positive, margin, distance=distance, reducer=SumPerRow())
    alpha = 32 if metric == "cosine" else 8
    return pml_losses.ProxyAnchorLoss(
        num_classes, settings.embedding_size, margin=margin, alpha=alpha, distance=distance
    )
