"""Earlier opinions of each sample, averaged over its visits."""

import torch
from torch import Tensor

from ..checks import check_count
from ..precision import exact_dtype
from ..state.module_with_tables import ModuleWithTables
from ..state.saved_state import Rule

# Weight of a new opinion. The first ones, from before the network could memorise labels, count
# most: half of their weight is left after 34 visits. With 0.1 TREC lost .026 MAP@R, with 0.05 .009;
# other rows were the same.
_SHARE = 0.02

# Least share of the doubts repeated at two visits in a row that must name the same class. It is .6
# to .9 on pre-trained features. From scratch it starts at .05 and ends at .35 to .5.
_STEADY = 0.5

# Number of classes kept per sample: the likeliest ones.
_KEPT = 16

# Doubts are counted over about thirty batches, and suffice once they sum to 20 % of a batch.
_DECAY, _ENOUGH = 0.97, 0.2


class EarlierOpinions(ModuleWithTables):
    """Averages the class probabilities of each sample over its visits.

    p̄ ← p̄ + w·(p̂ − p̄), with w = 1 at the first visit and 0.02 later.

    A classifier that knows the classes names the same class for a sample at its next visit. If the
    network has not learnt the classes yet, it names any class. If that class is the label, the
    label may have been memorised. The steadiness ζ is therefore the share of samples with the same
    argmax of p̂ and p̄, among those whose label is neither. While ζ < ½ earlier opinions are
    worthless, and w = 1.

    Only the 16 likeliest classes of each p̄ are kept: 96 bytes per sample.

    Args:
        num_samples: at least 1.
        num_classes: K ≥ 2.

    Raises:
        ValueError: if an option is out of range.

    Example:
        >>> earlier = EarlierOpinions(num_samples=1, num_classes=2)
        >>> sample, label = torch.tensor([0]), torch.tensor([0])
        >>> earlier.learn(sample, torch.tensor([[1.0, 0.0]]), label)
        >>> earlier.averaged(sample, torch.tensor([[0.0, 1.0]]))
        tensor([[0.9800, 0.0200]])
    """

    posteriors: Tensor
    classes: Tensor
    doubts: Tensor

    def __init__(self, num_samples: int, num_classes: int) -> None:
        num_samples = check_count("num_samples", num_samples, minimum=1)
        num_classes = check_count("num_classes", num_classes, minimum=2)
        super().__init__()
        self.num_classes = num_classes
        # probabilities of the likeliest classes; 0 before the first visit
        kept = torch.zeros((num_samples, min(_KEPT, num_classes)), dtype=torch.float16)
        self.register_table("posteriors", kept, Rule(lowest=0, highest=1))
        rule = Rule(lowest=0, highest=num_classes - 1, is_whole=True)
        self.register_table("classes", kept.int(), rule)
        # decayed sums of the shares of a batch that are doubted again, and for the same class
        sums = torch.zeros((2,), dtype=torch.float32)
        self.register_table("doubts", sums, Rule(lowest=0))

    @property
    def steadiness(self) -> float | None:
        """Share c of doubts that name the same class again, in [0, 1]; None while unknown."""
        again, alike = self.numbers("doubts")
        return alike / again if again > _ENOUGH else None

    @property
    def are_steady(self) -> bool:
        """Whether ζ is known and at least ½."""
        steadiness = self.steadiness
        return steadiness is not None and steadiness >= _STEADY

    def before(self, sample_ids: Tensor) -> Tensor:
        """Return the earlier opinions of some samples.

        Args:
            sample_ids: (N,) integers in [0, S).

        Returns:
            (N, K), rows sum to 1, or to 0 before the first visit.
        """
        kept = self.posteriors[sample_ids].float()
        classes = self.classes[sample_ids].long()
        return kept.new_zeros(len(kept), self.num_classes).scatter_add_(1, classes, kept)

    def averaged(
        self, sample_ids: Tensor, posteriors: Tensor, before: Tensor | None = None
    ) -> Tensor:
        """Average new opinions with the earlier ones.

        Args:
            sample_ids: (N,) integers in [0, S).
            posteriors: (N, K) new opinions, rows sum to 1.
            before: what :meth:`before` returned for them, to save time.

        Returns:
            (N, K), rows sum to 1.
        """
        before = self.before(sample_ids) if before is None else before
        before, steadiness = before.to(posteriors), self.steadiness
        share = 1.0 if steadiness is not None and steadiness < _STEADY else _SHARE
        is_first = before.sum(1, keepdim=True) == 0
        return before.lerp(posteriors, is_first.to(posteriors).clamp(min=share))

    @torch.no_grad()
    def learn(
        self,
        sample_ids: Tensor,
        posteriors: Tensor,
        labels: Tensor,
        averages: Tensor | None = None,
        before: Tensor | None = None,
    ) -> None:
        """Store new opinions.

        Args:
            sample_ids: (N,) integers in [0, S), each once.
            posteriors: (N, K) new opinions, as for :meth:`averaged`.
            labels: (N,) labels as given.
            averages: what :meth:`averaged` returned for them, to save time.
            before: what :meth:`before` returned, likewise.
        """
        before = self.before(sample_ids) if before is None else before
        if averages is None:
            averages = self.averaged(sample_ids, posteriors, before)
        then, now = before.argmax(1), posteriors.argmax(1)
        again = (before.sum(1) > 0) & (then != labels) & (now != labels)
        alike = again & (then == now)
        shares = torch.stack([again, alike]).mean(1, dtype=exact_dtype(posteriors))
        self.doubts.mul_(_DECAY).add_(shares.to(self.doubts))
        likeliest, classes = averages.topk(self.classes.shape[1], dim=1)
        likeliest = likeliest / likeliest.sum(1, keepdim=True)
        self.posteriors[sample_ids] = likeliest.to(self.posteriors)
        self.classes[sample_ids] = classes.to(self.classes)
        self.count_change()
