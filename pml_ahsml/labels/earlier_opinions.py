"""What was thought of each sample before."""

import torch
from torch import Tensor

from ..checks import check_count
from ..state.module_with_tables import ModuleWithTables
from ..state.saved_state import Rule

# Share of a new opinion that is as good as the earlier ones. The first, from before the network
# could learn labels by heart, count most: half of them is left after 34 visits. With 0.1 TREC lost
# .026 MAP@R, with 0.05 .009; other rows were the same.
_SHARE = 0.02


class EarlierOpinions(ModuleWithTables):
    """Averages the class probabilities of each sample over its visits.

    P̄ ← P̄ + s·(P − P̄), with s = min(1, 0.02·v/v̄) and s = 1 at the first visit. v is how good the
    new opinion is, v̄ the average over the earlier ones. So an opinion from before a network could
    tell classes apart gives way to later ones.

    Args:
        num_samples: S ≥ 1.
        num_classes: K ≥ 2.

    Raises:
        ValueError: for an option outside its range.

    Example:
        >>> earlier = EarlierOpinions(num_samples=1, num_classes=2)
        >>> sample = torch.tensor([0])
        >>> earlier.learn(sample, torch.tensor([[1.0, 0.0]]), 0.5)
        >>> earlier.averaged(sample, torch.tensor([[0.0, 1.0]]), 0.5)
        tensor([[0.9800, 0.0200]])
    """

    posteriors: Tensor
    qualities: Tensor

    def __init__(self, num_samples: int, num_classes: int) -> None:
        num_samples = check_count("num_samples", num_samples, minimum=1)
        num_classes = check_count("num_classes", num_classes, minimum=2)
        super().__init__()
        share = Rule(lowest=0, highest=1)
        half = torch.zeros((num_samples, num_classes), dtype=torch.float16)
        self.register_table("posteriors", half, share)
        # 0 before the first visit
        qualities = torch.zeros((num_samples,), dtype=torch.float32)
        self.register_table("qualities", qualities, share)

    def averaged(self, sample_ids: Tensor, posteriors: Tensor, quality: float) -> Tensor:
        """The new opinions averaged with the earlier ones.

        Args:
            sample_ids: (N,) integers in [0, S).
            posteriors: (N, K) the new opinions.
            quality: v in [0, 1].

        Returns:
            (N, K), rows sum to 1.
        """
        share = self._share(sample_ids, quality).to(posteriors)[:, None]
        return self.posteriors[sample_ids].to(posteriors).lerp(posteriors, share)

    @torch.no_grad()
    def learn(self, sample_ids: Tensor, averages: Tensor, quality: float) -> None:
        """Keep what :meth:`averaged` has made of new opinions.

        Args:
            sample_ids: (N,) integers in [0, S), each once.
            averages: (N, K).
            quality: v in (0, 1] of the new opinions.
        """
        share, before = self._share(sample_ids, quality), self.qualities[sample_ids]
        self.posteriors[sample_ids] = averages.to(self.posteriors)
        self.qualities[sample_ids] = before.lerp(torch.full_like(before, quality), share)
        self.count_change()

    def _share(self, sample_ids: Tensor, quality: float) -> Tensor:
        # of a first opinion all
        return (_SHARE * quality / self.qualities[sample_ids]).nan_to_num(1.0).clamp(max=1)
