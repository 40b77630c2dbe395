"""What was thought of each sample before."""

import torch
from torch import Tensor

from ..checks import check_count
from ..precision import exact_dtype
from ..state.module_with_tables import ModuleWithTables
from ..state.saved_state import Rule

# Weight of a new opinion. The first, from before the network could learn labels by heart, count
# most: half of them is left after 34 visits. With 0.1 TREC lost .026 MAP@R, with 0.05 .009; other
# rows were the same.
_SHARE = 0.02

# Of the doubts that two visits in a row have, at least so many name the same class. On pre-trained
# features .6 to .9 do; where a network starts from scratch .05 do, and half once it is trained.
_STEADY = 0.5

# So many classes are kept of each sample, those it most likely belongs to.
_KEPT = 16

# Doubts are counted over some thirty batches, and enough once they sum to 20 % of a batch.
_DECAY, _ENOUGH = 0.97, 0.2


class EarlierOpinions(ModuleWithTables):
    """Averages the class probabilities of each sample over its visits.

    P̄ ← P̄ + s·(P − P̄), with s = 1 at the first visit and 0.02 later.

    A classifier that knows the classes names the same class for a sample at the next visit. One
    that does not, as the network has not learnt them yet, names any. Where the label says so, too,
    it may have been learnt by heart. So the steadiness c is the share of samples with the same
    argmax of P and P̄, of those whose label is neither. While c < ½ the earlier opinions are worth
    nothing, and s = 1.

    Of each P̄ the 16 likeliest classes are kept: 96 bytes a sample.

    Args:
        num_samples: S ≥ 1.
        num_classes: K ≥ 2.

    Raises:
        ValueError: for an option outside its range.

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
        # of the likeliest classes; 0 before the first visit
        kept = torch.zeros((num_samples, min(_KEPT, num_classes)), dtype=torch.float16)
        self.register_table("posteriors", kept, Rule(lowest=0, highest=1))
        rule = Rule(lowest=0, highest=num_classes - 1, is_whole=True)
        self.register_table("classes", kept.int(), rule)
        # sums of the shares of a batch that are doubted again, and that are so for the same class
        sums = torch.zeros((2,), dtype=torch.float32)
        self.register_table("doubts", sums, Rule(lowest=0))

    @property
    def steadiness(self) -> float | None:
        """Share c of doubts that are repeated, in [0, 1]; None before it is known."""
        again, alike = self.doubts.tolist()
        return alike / again if again > _ENOUGH else None

    @property
    def are_steady(self) -> bool:
        """Whether c is known and at least ½."""
        steadiness = self.steadiness
        return steadiness is not None and steadiness >= _STEADY

    def averaged(self, sample_ids: Tensor, posteriors: Tensor) -> Tensor:
        """The new opinions averaged with the earlier ones.

        Args:
            sample_ids: (N,) integers in [0, S).
            posteriors: (N, K) the new opinions, rows sum to 1.

        Returns:
            (N, K), rows sum to 1.
        """
        before, steadiness = self._before(sample_ids).to(posteriors), self.steadiness
        share = 1.0 if steadiness is not None and steadiness < _STEADY else _SHARE
        is_first = before.sum(1, keepdim=True) == 0
        return before.lerp(posteriors, is_first.to(posteriors).clamp(min=share))

    @torch.no_grad()
    def learn(self, sample_ids: Tensor, posteriors: Tensor, labels: Tensor) -> None:
        """Keep new opinions.

        Args:
            sample_ids: (N,) integers in [0, S), each once.
            posteriors: (N, K), as given to :meth:`averaged`.
            labels: (N,) as given.
        """
        before = self._before(sample_ids)
        averages = self.averaged(sample_ids, posteriors)
        then, now = before.argmax(1), posteriors.argmax(1)
        again = (before.sum(1) > 0) & (then != labels) & (now != labels)
        shares = torch.stack([again, again & (then == now)]).to(exact_dtype(posteriors)).mean(1)
        self.doubts.mul_(_DECAY).add_(shares.to(self.doubts))
        likeliest, classes = averages.topk(self.classes.shape[1], dim=1)
        likeliest = likeliest / likeliest.sum(1, keepdim=True)
        self.posteriors[sample_ids] = likeliest.to(self.posteriors)
        self.classes[sample_ids] = classes.to(self.classes)
        self.count_change()

    def _before(self, sample_ids: Tensor) -> Tensor:
        """(N, K) what is kept of some samples; 0 for other classes."""
        kept = self.posteriors[sample_ids].float()
        classes = self.classes[sample_ids].long()
        return kept.new_zeros(len(kept), self.num_classes).scatter_add_(1, classes, kept)
