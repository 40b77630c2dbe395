"""Mines the pairs that violate class-wise adaptive margins."""

from typing import Any

import torch
from pytorch_metric_learning.distances import BaseDistance
from pytorch_metric_learning.miners import BaseMiner
from pytorch_metric_learning.utils import loss_and_miner_utils as lmu
from torch import Tensor

from ..checks import check_flag, check_in_interval, check_labels, check_tensor
from ..classes import class_similarity as cs
from ..classes.class_statistics import ClassStatistics
from ..distances import PoincareDistance, as_similarity


class HierarchicalSimilarityMiner(BaseMiner):
    """Selects the pairs that violate the class-wise adaptive margins of AHSML.

    The miner selects a positive pair of class a if its similarity is below M_p(a) = γ + Ŝ_aa, and a
    negative pair of classes a and b if its similarity is above M_n(a, b) = γ − Ŝ_ab. Ŝ_aa and Ŝ_ab
    are the mean similarities within and between classes, rescaled to [0, span]. A distance d gives
    the similarity 1 − 2d/d_max; an inverted distance (CosineSimilarity) is a similarity already.

    Args:
        distance: a PoincareDistance (the default), another distance with a ``max_distance``, or any
            inverted one.
        gamma: γ in [−1, 1], the centre of the margins. AHSML uses 0.5.
        span: in [0, 2], the width of the range of Ŝ; 0 makes all margins equal. AHSML uses 0.2.
        class_statistics: takes S from its running means over past batches, in Minkowski similarity
            (``AdaptiveNoiseAwareLoss.class_statistics``). By default S comes from the batch, or
            from ``ref_emb`` if given.
        **kwargs: passed to ``BaseMiner``: collect_stats.

    Returns:
        ``forward(embeddings, labels, ref_emb=None, ref_labels=None)``: (a1, p, a2, n), the indices
        of the positive and the negative pairs; all empty for an empty batch.

    Raises:
        ValueError: if an option is out of range or the distance has no known maximum; in
            ``forward`` if labels are outside [0, K) of ``class_statistics``.
        TypeError: if an option has the wrong type; in ``forward`` if an argument is not a dense
            tensor.

    Source:
        Margins: AHSML.

    Example:
        >>> miner = HierarchicalSimilarityMiner()
        >>> embeddings = torch.tensor([[2.0, 0.0], [0.0, 2.0], [2.0, 0.1], [0.0, -2.0]])
        >>> a1, p, a2, n = miner(embeddings, torch.tensor([0, 0, 1, 1]))
        >>> list(zip(a2.tolist(), n.tolist()))
        [(0, 2), (2, 0)]
    """

    def __init__(
        self,
        distance: BaseDistance | None = None,
        *,
        gamma: float = 0.5,
        span: float = 0.2,
        class_statistics: ClassStatistics | None = None,
        **kwargs: Any,
    ) -> None:
        gamma = check_in_interval("gamma", gamma, -1.0, 1.0)
        span = check_in_interval("span", span, 0.0, 2.0)
        if kwargs.get("collect_stats") is not None:
            kwargs["collect_stats"] = check_flag("collect_stats", kwargs["collect_stats"])
        if class_statistics is not None and not isinstance(class_statistics, ClassStatistics):
            raise TypeError(
                f"class_statistics must be a ClassStatistics, got {type(class_statistics).__name__}"
            )
        super().__init__(distance=distance, **kwargs)
        # raises if the distance has no known maximum
        as_similarity(torch.zeros(1), self.distance)
        self.gamma = gamma
        self.span = span
        self.class_statistics = class_statistics
        self.add_to_recordable_attributes(list_of_names=["gamma", "span"], is_stat=False)

    def get_default_distance(self) -> PoincareDistance:
        """Return the distance used if none is given."""
        return PoincareDistance()

    def forward(
        self,
        embeddings: Tensor,
        labels: Tensor,
        ref_emb: Tensor | None = None,
        ref_labels: Tensor | None = None,
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Find the pairs that violate their margin. Overrides ``BaseMiner.forward``."""
        given = {
            "embeddings": embeddings,
            "labels": labels,
            "ref_emb": ref_emb,
            "ref_labels": ref_labels,
        }
        for name, value in given.items():
            if value is not None or name in ("embeddings", "labels"):
                check_tensor(name, value)
            if value is not None and "labels" in name and self.class_statistics is not None:
                # a negative label would silently index another class
                check_labels(name, value, value.numel(), self.class_statistics.num_classes)
        mined: tuple[Tensor, Tensor, Tensor, Tensor] = super().forward(
            embeddings, labels, ref_emb, ref_labels
        )
        return mined

    def mine(
        self, embeddings: Tensor, labels: Tensor, ref_emb: Tensor, ref_labels: Tensor
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Find the pairs that violate their margin. Overrides ``BaseMiner.mine``."""
        # torch cannot compare and sort every integer dtype
        labels, ref_labels = (
            y if y.is_floating_point() else y.long() for y in (labels, ref_labels)
        )
        if len(labels) == 0 or len(ref_labels) == 0:
            nothing = labels.new_zeros(0, dtype=torch.long)
            return nothing, nothing.clone(), nothing.clone(), nothing.clone()
        similarity = as_similarity(self.distance(embeddings, ref_emb), self.distance)
        # at least float32: rescaling half-precision means could change their order
        similarity = similarity.float() if similarity.itemsize < 4 else similarity
        classes, compact = torch.cat([labels, ref_labels]).unique(return_inverse=True)
        compact_labels, compact_refs = compact.split([len(labels), len(ref_labels)])
        if self.class_statistics is not None:
            within, between = self.class_statistics.mean_similarity(classes)
        else:
            ref_similarity = (
                similarity
                if ref_emb is embeddings
                else as_similarity(self.distance(ref_emb), self.distance).to(similarity.dtype)
            )
            within, between = cs.class_similarity(ref_similarity, compact_refs, len(classes))
        positive, negative = cs.adaptive_margins(within, between, self.gamma, self.span)
        a1, p, a2, n = lmu.get_all_pairs_indices(labels, ref_labels)
        too_far = similarity[a1, p] < positive[compact_labels[a1]]
        too_close = similarity[a2, n] > negative[compact_labels[a2], compact_refs[n]]
        return a1[too_far], p[too_far], a2[too_close], n[too_close]
