"""Pairs that violate class-wise adaptive margins."""

from typing import Any

import torch
from pytorch_metric_learning.distances import BaseDistance
from pytorch_metric_learning.miners import BaseMiner
from pytorch_metric_learning.utils import loss_and_miner_utils as lmu
from torch import Tensor

from ..checks import check_flag, check_in_interval, check_labels, check_tensor
from ..distances import PoincareDistance, as_similarity
from ..functional import class_similarity as cs
from ..statistics import ClassStatistics


class HierarchicalSimilarityMiner(BaseMiner):
    """Selects the pairs that violate the class-wise adaptive margins of AHSML.

    A positive pair of class a is selected if its similarity is below M_p(a) = γ + Ŝ_aa, a negative
    pair of classes a and b if its similarity is above M_n(a, b) = γ − Ŝ_ab. S_aa and S_ab are the
    mean similarities within and between classes, rescaled to [0, span]. Similarities of a distance
    d are 1 − 2d/d_max, those of an inverted distance (CosineSimilarity) its own values.

    Args:
        distance: a PoincareDistance (the default) or another distance with a ``max_distance``, or
            any inverted one.
        gamma: γ in [−1, 1], the similarity around which the margins lie. AHSML uses 0.5.
        span: in [0, 2], the length of the range of Ŝ; 0 turns the adaptation off. AHSML uses 0.2.
        class_statistics: where given (``AdaptiveNoiseAwareLoss.class_statistics``), S comes from
            its running means over past batches, in Minkowski similarity. By default S comes from
            the batch; with a ``ref_emb``, from the references.
        **kwargs: of ``BaseMiner``: collect_stats.

    Returns:
        ``forward(embeddings, labels, ref_emb=None, ref_labels=None)``: (a1, p, a2, n), the indices
        of the positive and the negative pairs; four empty ones without rows.

    Raises:
        ValueError: for an option outside its range, or a distance without a known maximum; and in
            ``forward`` for labels outside [0, K) where class_statistics are given.
        TypeError: for an option of another type, and in ``forward`` for something that is no tensor
            with values.

    Source:
        Margins: AHSML. Their use to select pairs, and the running means: this project.

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
        # refuses a distance whose values cannot be read as similarities before training starts
        as_similarity(torch.zeros(1), self.distance)
        self.gamma = gamma
        self.span = span
        self.class_statistics = class_statistics
        self.add_to_recordable_attributes(list_of_names=["gamma", "span"], is_stat=False)

    def get_default_distance(self) -> PoincareDistance:
        """The default of ``distance``."""
        return PoincareDistance()

    def forward(
        self,
        embeddings: Tensor,
        labels: Tensor,
        ref_emb: Tensor | None = None,
        ref_labels: Tensor | None = None,
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """The pairs that violate their margin. Overrides ``BaseMiner.forward``."""
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
                # an index from the end would be silently another class
                check_labels(name, value, value.numel(), self.class_statistics.num_classes)
        mined: tuple[Tensor, Tensor, Tensor, Tensor] = super().forward(
            embeddings, labels, ref_emb, ref_labels
        )
        return mined

    def mine(
        self, embeddings: Tensor, labels: Tensor, ref_emb: Tensor, ref_labels: Tensor
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Overrides ``BaseMiner.mine``."""
        # torch compares and sorts int64, but not every other type of integer
        labels, ref_labels = (
            y if y.is_floating_point() else y.long() for y in (labels, ref_labels)
        )
        if len(labels) == 0 or len(ref_labels) == 0:
            nothing = labels.new_zeros(0, dtype=torch.long)
            return nothing, nothing.clone(), nothing.clone(), nothing.clone()
        similarity = as_similarity(self.distance(embeddings, ref_emb), self.distance)
        # margins in float32 at least: min–max over half-precision means would lose the order
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
