"""A second opinion on every label, by a classifier that cannot learn labels by heart."""

import torch
from torch import Tensor

from ..checks import check_count
from ..classes.class_distances import ClassDistances, mean_over_views
from ..hyperbolic.hyperboloid import hyperboloid_unlift
from ..precision import exact_dtype
from ..state.module_with_tables import ModuleWithTables
from ..state.saved_state import Rule
from .earlier_opinions import EarlierOpinions
from .label_posterior import LabelPosterior, Opinion
from .linear_discriminant import log_transitions
from .posterior import doubted_more, taken_at_their_word
from .running_discriminant import RunningDiscriminant
from .sample_table import one_row_each

# Confusions are those of some fifty batches.
_DECAY = 0.98

# Pseudo-counts of the prior of each class's confusions.
_STRENGTH = 2.0

# Doubts are averaged over some thirty batches. An average over all of them left out more of the
# right labels.
_DECAY_OF_DOUBTS = 0.97

# The discriminant doubts 2 to 10 % of right labels: those of hard samples. A larger share means
# that labels are wrong. With 0.05 here hard samples were left out of training and never learnt.
_FALSE_ALARMS = 0.12

# Where the label model trusts more than this share of what the discriminant doubts, it does not see
# what is wrong. Of labels made wrong by chance it trusts .1 to .35, of those that rules and weak
# annotators got wrong .4 to .7.
_OVERLOOKED = 0.4

# The noise rate is averaged over some twenty batches, and known after fourteen.
_DECAY_OF_RATE, _ENOUGH = 0.95, 0.5

# Where it doubts more labels it is wrong itself: the network is untrained. With 0.75 trainings from
# scratch (Omniglot, half of the labels wrong) found .73 of them wrong.
_MOST_WRONG = 0.6

# Largest log-odds by which it lowers the trust in a label: 20 to 1. What it doubts and the label
# model is surer of is mostly right. With 4 all is the same, with 6 hard samples of clean data are
# left out.
_MOST_DOUBT = 3.0


class SecondOpinion(ModuleWithTables):
    """What a linear discriminant says of labels, and how far it is to be believed.

    The discriminant learns from each batch after it has judged it. It gives

    - a posterior o_i(k) ∝ P_ik·T_{k,y_i}, with its own confusions T (``log_transitions``) and
      P_ik ∝ (N_k + 1)·exp(s_ik), s the log-densities of a ``RunningDiscriminant``. With sample ids
      a sample has no vote on its own label, and P_i is the average of softmax_k(s_ik) over its
      visits (``EarlierOpinions``);
    - the noise rate r = mean_i(1 − o_i(y_i)), below which the label model's ε must not fall;
    - a posterior in place of that of the label model, t: (1 − p)·t + p·((1 − a)·t' + a·o), with t'
      that of the label model with these doubts added, up to odds of 20 (``doubted_more``).

    **p = r⁸/(r⁸ + 0.12⁸)**: the discriminant doubts some right labels as well, so a rate below 0.1
    means little. Where it doubts more than 0.6 of the labels the network cannot tell classes apart
    yet: p = 0, and nothing is learnt from its posteriors.

    **a = g⁸/(g⁸ + 0.4⁸)**, g = Σ_i (1 − o_i)·q_i / Σ_i (1 − o_i): the share of what it doubts that
    the label model trusts. While both suspect the same labels, g is small, and the label model
    knows hard samples better. Where a network learns wrong labels by heart, the label model trusts
    them, and g is large.

    Args:
        num_classes: K ≥ 2.
        embedding_size: D ≥ 1.
        num_samples: S of the training set, or None where samples have no ids.

    Raises:
        ValueError: for an option outside its range.

    Example:
        >>> opinion = SecondOpinion(num_classes=3, embedding_size=2)
        >>> opinion.noise_rate is None  # not before it has judged some batches
        True
    """

    joint: Tensor
    doubts: Tensor
    rate_sums: Tensor

    def __init__(
        self, num_classes: int, embedding_size: int, num_samples: int | None = None
    ) -> None:
        num_classes = check_count("num_classes", num_classes, minimum=2)
        if num_samples is not None:
            num_samples = check_count("num_samples", num_samples, minimum=1)
        discriminant = RunningDiscriminant(num_classes, embedding_size, num_samples)
        super().__init__()
        self.discriminant = discriminant
        self.earlier = None if num_samples is None else EarlierOpinions(num_samples, num_classes)
        # expected number of samples of class k labelled y
        joint = torch.zeros((num_classes, num_classes), dtype=torch.float32)
        self.register_table("joint", joint, Rule(lowest=0))
        # smoothed shares of labels doubted here, and of these trusted by the label model
        shares = Rule(lowest=0, highest=1)
        self.register_table("doubts", joint.new_zeros(2), shares)
        # sum of the smoothing weights, and of the weighted shares doubted
        self.register_table("rate_sums", joint.new_zeros(2), shares)

    @property
    def noise_rate(self) -> float | None:
        """Smoothed share of labels doubted; None before it is known, and where it means nothing."""
        rate = self._rate
        return rate if float(self.rate_sums[0]) > _ENOUGH and rate <= _MOST_WRONG else None

    @property
    def plausibility(self) -> float:
        """P in [0, 1], 0 where the discriminant knows nothing, near 0 where no label is wrong."""
        return _compared(self._rate, _FALSE_ALARMS) if self._is_plausible else 0.0

    @property
    def overlooked(self) -> float:
        """A in [0, 1], near 1 where the label model trusts much of what is doubted here."""
        doubted, trusted = self.doubts.tolist()
        return _compared(trusted / doubted, _OVERLOOKED) if doubted > 0 else 0.0

    @torch.no_grad()
    def ask(self, evidence: ClassDistances, labels: Tensor, label_counts: Tensor) -> Opinion | None:
        """The posterior over the true class of each sample.

        Args:
            evidence: where the samples lie.
            labels: (N,) as given.
            label_counts: (K,) N_k.

        Returns:
            The opinion; None in the first batches, and where samples are compared with candidates.
        """
        if evidence.candidates is not None or not self.discriminant.is_ready:
            return None
        ids = evidence.sample_ids
        densities = self.discriminant.log_densities(_coordinates(evidence.points), labels, ids)
        if evidence.view_ids is not None:
            densities = mean_over_views(densities, evidence.view_ids)
        likelihood = densities.softmax(1)
        if self.earlier is None:
            odds = densities + label_counts.log1p()
        else:
            if ids is not None:
                is_alone = self.discriminant.others(labels, ids).masses == 0
                likelihood = taken_at_their_word(likelihood, labels, is_alone)
                likelihood = self.earlier.averaged(ids, likelihood, self._quality)
            odds = likelihood.log()
        seen = self.discriminant.masses > 0
        transitions = log_transitions(self.joint, labels, seen, _STRENGTH)
        posterior = (odds + transitions).softmax(1)
        return Opinion(posterior.to(evidence.distances), likelihood.to(evidence.distances))

    def combined(self, posterior: Tensor, opinion: Opinion, labels: Tensor) -> Tensor:
        """The posterior of the label model and this opinion in one.

        Args:
            posterior: (N, K) of the label model.
            opinion: on the same samples.
            labels: (N,) as given.

        Returns:
            (N, K), rows sum to 1.
        """
        doubted = doubted_more(posterior, opinion.posterior, labels, _MOST_DOUBT)
        doubted = doubted.lerp(opinion.posterior, self.overlooked)
        return posterior.lerp(doubted, self.plausibility)

    @torch.no_grad()
    def learn(self, belief: LabelPosterior) -> None:
        """Learn from a batch that has been judged.

        Args:
            belief: what the label model made of it, this opinion included.
        """
        ids = belief.evidence.sample_ids
        if ids is not None:
            belief = belief.select(one_row_each(ids))
            ids = belief.evidence.sample_ids
        labels = belief.labels
        known = self.discriminant.others(labels, ids).masses > 0
        if belief.opinion is not None and known.any():
            self._learn_confusions(belief.select(known))
            if self.earlier is not None and ids is not None and self._is_plausible:
                self.earlier.learn(ids, belief.opinion.likelihood, self._quality)
        points = _coordinates(belief.evidence.points)
        self.discriminant.learn(points, labels, belief.trust > 0.5, ids)
        self.count_change()

    def _learn_confusions(self, belief: LabelPosterior) -> None:
        assert belief.opinion is not None
        opinion, labels = belief.opinion.posterior, belief.labels
        opinion = opinion.to(exact_dtype(opinion))
        trust = belief.posterior_by_distance.gather(1, labels[:, None]).squeeze(1)
        doubt = 1 - opinion.gather(1, labels[:, None]).squeeze(1)
        share = doubt.mean()
        shares = torch.stack([share, (doubt * trust).mean()])
        self.doubts.lerp_(shares.to(self.doubts), 1 - _DECAY_OF_DOUBTS)
        rate = torch.stack([torch.ones_like(share), share])
        self.rate_sums.lerp_(rate.to(self.rate_sums), 1 - _DECAY_OF_RATE)
        if self._is_plausible:
            latest = torch.zeros_like(self.joint, dtype=opinion.dtype)
            self.joint.mul_(_DECAY).add_(latest.index_add_(1, labels, opinion.T))
        else:
            self.joint.zero_()

    @property
    def _rate(self) -> float:
        """r, 0 before anything has been doubted."""
        weight, rate = self.rate_sums.tolist()
        return rate / weight if weight > 0 else 0.0

    @property
    def _is_plausible(self) -> bool:
        return self._rate <= _MOST_WRONG

    @property
    def _quality(self) -> float:
        """How good an opinion of the present is: of two the one that doubts fewer labels."""
        return (1 - self._rate) ** 4


def _compared(x: float, y: float) -> float:
    """x⁸/(x⁸ + y⁸), above ½ where x is above y."""
    return x**8 / (x**8 + y**8)


def _coordinates(points: Tensor) -> Tensor:
    """Tangent vectors (N, D) in float32, among which far points do not outweigh all others."""
    return hyperboloid_unlift(points, 1.0).float()
