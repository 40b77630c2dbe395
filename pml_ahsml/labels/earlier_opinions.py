"""Earlier opinions of each sample, averaged over its visits."""

import math

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

# Number of classes kept per sample: the likeliest ones. The others share what is left.
_KEPT = 16

# Logarithm of the probability of what is impossible, as half precision holds it.
_IMPOSSIBLE = -6e4

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

    Logarithms are stored: as a probability, the smallest number of half precision is 6e-8, and most
    wrong labels would be equally doubtful. Only the 16 likeliest classes of each p̄ are kept, and
    the mean of the others: 98 bytes per sample.

    Args:
        num_samples: at least 1.
        num_classes: K ≥ 2.

    Raises:
        ValueError: if an option is out of range.

    Example:
        >>> earlier = EarlierOpinions(num_samples=1, num_classes=2)
        >>> sample, label = torch.tensor([0]), torch.tensor([0])
        >>> earlier.learn(sample, torch.tensor([[1.0, 0.0]]).log(), label)
        >>> earlier.averaged(sample, torch.tensor([[0.0, 1.0]]).log()).exp()
        tensor([[0.9800, 0.0200]])
    """

    logs: Tensor
    classes: Tensor
    doubts: Tensor

    def __init__(self, num_samples: int, num_classes: int) -> None:
        num_samples = check_count("num_samples", num_samples, minimum=1)
        num_classes = check_count("num_classes", num_classes, minimum=2)
        super().__init__()
        self.num_classes = num_classes
        kept = min(_KEPT, num_classes)
        # of the likeliest classes, and of each other class; all impossible before the first visit
        logs = torch.full((num_samples, kept + 1), _IMPOSSIBLE, dtype=torch.float16)
        self.register_table("logs", logs, Rule(lowest=_IMPOSSIBLE, highest=0))
        rule = Rule(lowest=0, highest=num_classes - 1, is_whole=True)
        self.register_table("classes", torch.arange(kept).int().repeat(num_samples, 1), rule)
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
            (N, K) log p̄; before the first visit no class is possible.
        """
        logs, classes = self.logs[sample_ids].float(), self.classes[sample_ids].long()
        others = logs[:, -1:].expand(-1, self.num_classes)
        return others.scatter(1, classes, logs[:, :-1])

    def averaged(self, sample_ids: Tensor, latest: Tensor, before: Tensor | None = None) -> Tensor:
        """Average new opinions with the earlier ones.

        Args:
            sample_ids: (N,) integers in [0, S).
            latest: (N, K) log p̂, the logarithms of new opinions.
            before: what :meth:`before` returned for them, to save time.

        Returns:
            (N, K) log p̄.
        """
        steadiness = self.steadiness
        if steadiness is not None and steadiness < _STEADY:
            return latest
        before = (self.before(sample_ids) if before is None else before).to(latest)
        mixed = torch.logaddexp(before + math.log1p(-_SHARE), latest + math.log(_SHARE))
        return torch.where(are_known(before)[:, None], mixed, latest)

    @torch.no_grad()
    def learn(
        self,
        sample_ids: Tensor,
        latest: Tensor,
        labels: Tensor,
        averages: Tensor | None = None,
        before: Tensor | None = None,
    ) -> None:
        """Store new opinions.

        Args:
            sample_ids: (N,) integers in [0, S), each once.
            latest: (N, K) log p̂, as for :meth:`averaged`.
            labels: (N,) labels as given.
            averages: what :meth:`averaged` returned for them, to save time.
            before: what :meth:`before` returned, likewise.
        """
        before = self.before(sample_ids) if before is None else before
        averages = self.averaged(sample_ids, latest, before) if averages is None else averages
        then, now = before.argmax(1), latest.argmax(1)
        again = are_known(before) & (then != labels) & (now != labels)
        alike = again & (then == now)
        shares = torch.stack([again, alike]).mean(1, dtype=exact_dtype(latest))
        self.doubts.mul_(_DECAY).add_(shares.to(self.doubts))
        kept = self.classes.shape[1]
        logs, classes = averages.topk(kept, dim=1)
        others = averages.scatter(1, classes, -torch.inf).logsumexp(1, keepdim=True)
        logs = torch.cat([logs, others - math.log(max(1, self.num_classes - kept))], 1)
        self.logs[sample_ids] = logs.clamp_(_IMPOSSIBLE, 0).to(self.logs)
        self.classes[sample_ids] = classes.to(self.classes)
        self.count_change()


def are_known(before: Tensor) -> Tensor:
    """(N,) bool, samples with an earlier opinion, given by their (N, K) log p̄ before this visit."""
    return before.amax(1) > _IMPOSSIBLE
