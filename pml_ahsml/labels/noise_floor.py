"""A lower bound on the noise rate, from labels that are unrelated to where their sample lies.

An out-of-distribution sample, of a class that no label names, may lie anywhere and have any label.
It does not change the likelihood of the labels. The more such samples have pulled the centroids of
their labels towards them, the less the likelihood suspects them. But right labels hardly ever name
a class far from the sample, while random labels name far classes as often as others.
"""

import torch
from torch import Tensor

from ..hyperbolic.products import product
from ..precision import exact_dtype
from ..state.module_with_tables import ModuleWithTables
from ..state.saved_state import Rule
from .label_posterior import LabelPosterior

# Averaging over about fifty batches evens out chance.
SMOOTHING = 0.98

# Weight of the smoothed shares from which they are used: after 35 batches.
_ENOUGH = 0.5

# If the model itself expects more far labels than this, relative to random labels, it does not tell
# classes apart yet, and a far label means nothing.
_BLURRED = 0.5


def far_label_shares(
    distances: Tensor, weights: Tensor, labels: Tensor, likelihood: Tensor
) -> Tensor:
    """Compute how often labels name a far class, and how often right labels would.

    A class is far from a sample if it is farther than the average class:
    F_ik = [d_ik > Σ_j w_ij·d_ij / Σ_j w_ij]. Of random labels, which name any class but the
    nearest, a share U_i = Σ_k w_ik·F_ik / (Σ_k w_ik − 1) is far. In units of U_i,

    - φ = mean_i F_{i,y_i} / U_i for the given labels, 1 if all of them are random;
    - φ₂ = mean_i Σ_k p_i(k)·F_ik / U_i for right labels, over the two likeliest classes k: of two
      overlapping classes one may be far, but a sample that might be of many classes is of none;
    - φ_K, the same over all classes: about 1 if p does not tell classes apart.

    Args:
        distances: (N, K) geodesic distances to the class centroids, inf for classes never seen.
        weights: (K,) or (N, K) number of classes that a column represents, 0 for one never seen;
            at least two in each row.
        labels: (N,) columns of the labels y as given, of classes that have been seen.
        likelihood: (N, K) p_i(k), rows sum to 1.

    Returns:
        (3,) φ, φ₂ and φ_K, ≥ 0, in float64. Samples at equal distance from all classes count as 0.

    Source:
        This project.

    Example:
        >>> d, p = torch.tensor([[1.0, 2.0, 9.0]]), torch.tensor([[0.6, 0.3, 0.1]])
        >>> far_label_shares(d, torch.ones(3), torch.tensor([2]), p).float()
        tensor([2.0000, 0.0000, 0.2000])
    """
    tiny = torch.finfo(distances.dtype).tiny
    count = weights.sum(-1)
    mean = _weighted_sums(distances.nan_to_num(posinf=0), weights) / count
    # also true for classes never seen, which have no weight, no labels and no likelihood
    far = (distances > mean[:, None]).to(distances)
    # 0 if nothing is far; the numerators are then 0 as well
    at_random = (_weighted_sums(far, weights) / (count - 1)).clamp_min(tiny)
    likeliest, columns = likelihood.topk(2)
    is_far = far.gather(1, torch.cat([labels[:, None], columns], 1))
    of_right = _weighted_sums(likeliest, is_far[:, 1:])
    blur = _weighted_sums(likelihood, far)
    # in float64, so that the order of the rows (the rank that gathered) does not matter
    shares = torch.stack([is_far[:, 0], of_right, blur]).div_(at_random)
    return shares.mean(1, dtype=torch.float64)


def _weighted_sums(values: Tensor, weights: Tensor) -> Tensor:
    """(N,) sums over the columns, with (K,) or (N, K) weights."""
    return product(values[:, None], weights[..., None]).flatten()


def share_at_random(found: Tensor, of_right: Tensor, blur: Tensor) -> Tensor:
    """Estimate the share of random labels from the share of labels that name a far class.

    π = (φ − φ₂)/(1 − φ₂), because φ = π + (1 − π)·φ₂. Wrong labels of neighbouring classes count as
    right, so π is a lower bound on the noise rate.

    Args:
        found: () φ, see :func:`far_label_shares`.
        of_right: () φ₂ ≤ φ_K.
        blur: () φ_K.

    Returns:
        () π ≥ 0; 0 if φ_K ≥ ½, because p then does not tell classes apart.

    Source:
        This project; after Storey's estimate (Journal of the Royal Statistical Society B, 2002) of
        the share of true hypotheses among many, which looks at the large p-values.

    Example:
        >>> share_at_random(torch.tensor(0.3), torch.tensor(0.0), torch.tensor(0.1))
        tensor(0.3000)
    """
    share = (found - of_right) / (1 - of_right)
    return share.clamp_min(0).masked_fill(blur >= _BLURRED, 0)


class NoiseFloor(ModuleWithTables):
    """A lower bound on the noise rate, from labels of far classes over about fifty batches.

    Example:
        >>> NoiseFloor().value  # nothing has been seen
        tensor(0., dtype=torch.float64)
    """

    far_labels: Tensor

    def __init__(self) -> None:
        super().__init__()
        # sum of the smoothing weights, and of the weighted S, P and B
        self.register_table("far_labels", torch.zeros(4, dtype=torch.float32), Rule(lowest=0))

    @property
    def has_begun(self) -> bool:
        """Whether a batch has been seen."""
        return self.numbers("far_labels")[0] > 0

    @property
    def value(self) -> Tensor:
        """() π, 0 until enough batches have been seen."""
        far_labels = self.far_labels.to(exact_dtype(self.far_labels))
        share = share_at_random(*(far_labels[1:] / far_labels[0]).unbind())
        return share.masked_fill(far_labels[0] <= _ENOUGH, 0)

    @torch.no_grad()
    def learn(self, belief: LabelPosterior) -> None:
        """Update from one batch.

        Args:
            belief: posterior of samples whose labels have been seen before.
        """
        evidence = belief.evidence
        shares = far_label_shares(
            evidence.distances,
            evidence.column_weights(),
            evidence.own_columns(belief.labels),
            belief.likelihood,
        )
        latest = torch.nn.functional.pad(shares.to(self.far_labels), (1, 0), value=1.0)
        self.far_labels.lerp_(latest, 1 - SMOOTHING)
        self.count_change()
