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
from .hardest_pairs import hardest_pairs


class HierarchicalSimilarityMiner(BaseMiner):
    """Selects the pairs that violate class-wise adaptive margins around the hardest pairs.

    Let anchor i be of class a, p its positives and n its negatives. The miner selects a positive j
    if s_ij < max_n s_in + ρ·Ŝ_aa, and a negative j of class b if
    s_ij > min_p s_ip − ρ·Ŝ_ab. An anchor without positives gets no negatives, and the other
    way round.

    Ŝ_aa and Ŝ_ab are the mean similarities within and between classes, rescaled to [0, span]: more
    pairs are selected of tight classes and of classes that are alike. ρ is half the range of all
    similarities of the batch. It fits the margins to embeddings that fill a small part of [−1, 1],
    as those of an untrained network.

    A number for ``gamma`` gives the fixed margins of AHSML: the miner selects a positive if
    s_ij < γ + Ŝ_aa, and a negative if s_ij > γ − Ŝ_ab. These depend on the norm of the embeddings.
    With a PoincareDistance and γ = 0.5, norms below 0.34 give all negatives and no positives. Norms
    above 1.1 at right angles, as of an untrained network in many dimensions, give all positives and
    no negatives.

    A distance d gives the similarity 1 − 2d/d_max; an inverted distance (CosineSimilarity) is a
    similarity already.

    Args:
        distance: a PoincareDistance (the default), another distance with a ``max_distance``, or any
            inverted one.
        gamma: None (the default) compares with the hardest pairs. A number γ in [−1, 1] is the
            centre of fixed margins; AHSML uses 0.5.
        span: in [0, 2], the width of the range of Ŝ; 0 makes all margins equal. AHSML uses 0.2,
            whose middle, 0.1, is the ``epsilon`` of PML's MultiSimilarityMiner.
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
        Margins: AHSML. Comparison with the hardest pairs: Wang et al., Multi-Similarity Loss, CVPR
        2019, pair mining. Both together, and w: this project (docs/miners.md).

    Example:
        >>> miner = HierarchicalSimilarityMiner()
        >>> embeddings = torch.tensor([[2.0, 0.0], [1.7, 1.0], [1.3, 1.5], [0.0, 2.0]])
        >>> a1, p, a2, n = miner(embeddings, torch.tensor([0, 0, 1, 1]))
        >>> list(zip(a1.tolist(), p.tolist()))
        [(1, 0), (2, 3)]
        >>> list(zip(a2.tolist(), n.tolist()))
        [(1, 2), (2, 1)]
    """

    def __init__(
        self,
        distance: BaseDistance | None = None,
        *,
        gamma: float | None = None,
        span: float = 0.2,
        class_statistics: ClassStatistics | None = None,
        **kwargs: Any,
    ) -> None:
        if gamma is not None:
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
        # record-keeper writes numbers
        names = ["span"] if gamma is None else ["gamma", "span"]
        self.add_to_recordable_attributes(list_of_names=names, is_stat=False)

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
        is_own_reference = ref_emb is embeddings
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
                if is_own_reference
                else as_similarity(self.distance(ref_emb), self.distance).to(similarity.dtype)
            )
            within, between = cs.class_similarity(ref_similarity, compact_refs, len(classes))
        # PML leaves out the pairs of a row with itself where both labels are one object
        a1, p, a2, n = lmu.get_all_pairs_indices(
            compact_labels, compact_labels if is_own_reference else compact_refs
        )
        positive, negative = cs.adaptive_margins(within, between, 0.0, self.span)
        if self.gamma is None:
            hardest = hardest_pairs(similarity, (a1, p), (a2, n))
            positive, negative = hardest.half_range * positive, hardest.half_range * negative
            most_similar, least_similar = hardest.negative[a1], hardest.positive[a2]
        else:
            most_similar = least_similar = similarity.new_tensor(self.gamma)
        too_far = similarity[a1, p] < most_similar + positive[compact_labels[a1]]
        too_close = (
            similarity[a2, n] > least_similar + negative[compact_labels[a2], compact_refs[n]]
        )
        return a1[too_far], p[too_far], a2[too_close], n[too_close]
