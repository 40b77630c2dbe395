"""A second opinion on every label, by a classifier that cannot memorise labels."""

import torch
from torch import Tensor

from ..classes.class_distances import ClassDistances, mean_over_views
from ..classes.class_means import Groups
from ..precision import exact_dtype
from ..state.derived import Derived
from ..state.module_with_tables import ModuleWithTables
from ..state.saved_state import Rule
from .earlier_opinions import EarlierOpinions, are_known
from .label_posterior import LabelPosterior, Opinion
from .linear_discriminant import FIRST_NOISE_RATE, Confusions, log_even_transitions
from .running_discriminant import RunningDiscriminant
from .sample_table import one_row_each
from .witnesses import MOST_CLASSES

# Confusions are counted over about fifty batches.
_DECAY = 0.98

# Pseudo-counts of the prior of each class's confusions.
_STRENGTH = 2.0

# How far counted confusions are believed. With 1 they excuse wrong labels that occur often; with 0
# every hard sample is doubted.
_POWER = 0.5

# Doubts are averaged over about thirty batches. Averaging over all batches left out more right
# labels.
_DECAY_OF_DOUBTS = 0.97

# The discriminant doubts 2 to 10 % of right labels: those of hard samples. A larger share means
# that labels are wrong. With 0.05 here, hard samples were left out of training and never learnt.
# A sample that does not vote for its own label is doubted more easily.
_FALSE_ALARMS, _FALSE_ALARMS_WITH_IDS = 0.1, 0.12

# If the label model trusts more than this share of the labels that the discriminant doubts, it
# overlooks wrong labels. It trusts .1 to .4 of them with random noise, .42 with one-way noise, and
# .4 to .7 with wrong labels from rules and weak annotators. The power of 32 makes this almost a
# switch: at a weight of .25, doubted labels are already below the trust threshold.
_OVERLOOKED = 0.4

# With odds of e² against a label, the discriminant is sure. Averaged over some 300 batches, the
# label model trusts 6 to 8 % of the labels against such odds where weak classifiers gave them, and
# 1 to 5 % with random noise and with right labels: hard samples (7 % where features say little).
# The share starts high and falls, so 75 batches of samples seen before must have counted.
_SURE, _SURELY_OVERLOOKED = 2.0, 0.065
_DECAY_OF_SURE, _ENOUGH_SURE = 0.997, 0.2

# The noise rate is averaged over about twenty batches, and known after fourteen.
_DECAY_OF_RATE, _ENOUGH = 0.95, 0.5

# If the discriminant doubts more labels than this, it is wrong itself: the network is untrained.
# With 0.75, training from scratch (Omniglot, half of the labels wrong) found .73 of them wrong,
# before steadiness was checked.
_MOST_WRONG = 0.6


class SecondOpinion(ModuleWithTables):
    """A linear discriminant's posterior over the true class, and the weight it gets.

    The discriminant judges each batch before it learns from it. It gives

    - a lenient posterior o′_i(k) ∝ p̂_i(k)·T′_{k,y_i}, with its own confusions T′
      (``log_transitions``) and p̂_i(k) ∝ (N_k + 1)·exp(ℓ_ik), ℓ the log-densities of a
      ``RunningDiscriminant``. With sample ids, a sample has no vote on its own label, and p̂_i is
      the average of softmax_k(ℓ_ik) over its visits (``EarlierOpinions``);
    - its noise rate ε_o = mean_i(1 − o′_i(y_i));
    - a posterior o_i(k) ∝ p̂_i(k)·T′_{k,y_i}^½ with sample ids, o = o′ without;
    - a weight ξ: labels are judged by (1 − ξ)·t + ξ·o, with t the posterior of the label model;
    - a lower bound on the label model's ε: (1 − ξ)·ε_o + ξ·mean_i(1 − o_i(y_i)).

    Labels alone do not tell a class that is *labelled* as another from one that *looks* like it.
    T′ is counted from o and the same labels, and excuses a wrong one that occurs often. So only
    half of it is believed, once the discriminant is heard. With more than 1,000 classes nothing is
    counted: T′_ky = (1 − ε_o)·[k = y] + ε_o/K, and o = o′.

    χ = Σ_i (1 − o′_i)·q_i / Σ_i (1 − o′_i) is the share of the discriminant's doubts that fall on
    labels the label model trusts. While both doubt the same labels, χ is small, and the label model
    knows hard samples better. If a network memorises wrong labels, the label model trusts them, and
    χ is large. The discriminant doubts some right labels as well, so a small ε_o means little:

    - ξ = χ²/(χ² + (1 − χ)²)·ε_o⁴/(ε_o⁴ + 0.1⁴) without ids,
    - ξ = max( χ³²/(χ³² + 0.4³²)·ε_o⁸/(ε_o⁸ + 0.12⁸), ν³²/(ν³² + 0.065³²) ) with ids.

    ν is the share, among samples seen before, of labels that the label model trusts (q_i > ½) while
    the current embedding has odds of e² against them: max_k ℓ_ik − ℓ_{i,y_i} > 2. Where chance
    makes some labels wrong and an annotator others, both judges doubt the first, so χ is small.
    ν counts the others.

    If it doubts more than 0.6 of the labels, the network cannot tell classes apart yet. Then ξ = 0,
    ε_o is unknown, and nothing is learnt from its posteriors. With ids, ξ = 0 and ε_o is unknown
    also until it repeats at least half of its doubts at the next visit.

    Args:
        num_classes: K ≥ 2.
        embedding_size: D ≥ 1.
        num_samples: training set size, or None if samples have no ids.

    Raises:
        ValueError: if an option is out of range.

    Example:
        >>> opinion = SecondOpinion(num_classes=3, embedding_size=2)
        >>> opinion.noise_rate is None  # not before it has judged some batches
        True
    """

    joint: Tensor
    doubts: Tensor
    returning: Tensor
    rate_sums: Tensor

    def __init__(
        self, num_classes: int, embedding_size: int, num_samples: int | None = None
    ) -> None:
        # checks all three options
        discriminant = RunningDiscriminant(num_classes, embedding_size, num_samples)
        super().__init__()
        self.discriminant = discriminant
        self._confusions: Derived[Confusions] = Derived()
        self.earlier = None if num_samples is None else EarlierOpinions(num_samples, num_classes)
        # expected number of samples of class k labelled y; empty with too many classes
        counted = num_classes if num_classes <= MOST_CLASSES else 0
        joint = torch.zeros((counted, counted), dtype=torch.float32)
        self.register_table("joint", joint, Rule(lowest=0))
        # smoothed shares of labels doubted leniently, and of those the label model trusts
        shares = Rule(lowest=0, highest=1)
        self.register_table("doubts", joint.new_zeros(2), shares)
        # smoothed shares of samples seen before, and of those among them that are surely overlooked
        self.register_table("returning", joint.new_zeros(2), shares)
        # sums of the smoothing weights, and of the weighted shares doubted by o and by o′
        self.register_table("rate_sums", joint.new_zeros(3), shares)

    @property
    def noise_rate(self) -> float | None:
        """Smoothed share of wrong labels, at least; None while it is unknown or means nothing."""
        if self.numbers("rate_sums")[0] <= _ENOUGH or not self.speaks:
            return None
        lenient, strict = self._rates
        return lenient + self.weight * (strict - lenient)

    @property
    def weight(self) -> float:
        """Weight ξ in [0, 1]; 0 before anything has been doubted, and while too much is doubted."""
        doubted, trusted = self.numbers("doubts")
        if doubted == 0 or not self.speaks:
            return 0.0
        share, (rate, _) = trusted / doubted, self._rates
        if self.earlier is None:
            return _compared(share, 1 - share, 2) * _compared(rate, _FALSE_ALARMS, 4)
        overlooked = _compared(share, _OVERLOOKED, 32)
        returning, surely = self.numbers("returning")
        sure_share = surely / returning if returning > _ENOUGH_SURE else 0.0
        return max(
            overlooked * _compared(rate, _FALSE_ALARMS_WITH_IDS, 8),
            _compared(sure_share, _SURELY_OVERLOOKED, 32),
        )

    @torch.no_grad()
    def ask(self, evidence: ClassDistances, labels: Tensor, log_counts: Tensor) -> Opinion | None:
        """Compute the posterior over the true class of each sample.

        Args:
            evidence: positions of the samples.
            labels: (N,) labels as given.
            log_counts: (K,) log(N_k + 1).

        Returns:
            The opinion; None in the first batches.
        """
        if not self.discriminant.is_ready:
            return None
        ids, points = evidence.sample_ids, evidence.coordinates
        others = self.discriminant.others(labels, ids)
        densities = self.discriminant.log_densities(points, labels, ids, others)
        if evidence.view_ids is not None:
            densities = mean_over_views(densities, evidence.view_ids)
        latest = before = averages = None
        if self.earlier is None:
            odds = densities + log_counts
        else:
            odds = latest = densities.log_softmax(1)
            if ids is not None:
                is_alone = (others.masses == 0)[:, None]
                latest = torch.where(is_alone, _certain(latest, labels), latest)
                before = self.earlier.before(ids)
                odds = averages = self.earlier.averaged(ids, latest, before)
        transitions, dtype = self._log_transitions(labels), evidence.distances.dtype
        lenient = posterior = evidence.for_columns((odds + transitions).softmax(1)).to(dtype)
        if self.earlier is not None and len(self.joint):
            halved = odds.add(transitions, alpha=_POWER)
            posterior = evidence.for_columns(halved.softmax(1)).to(dtype)
        return Opinion(posterior, lenient, latest, points, others, averages, before)

    @torch.no_grad()
    def learn(self, belief: LabelPosterior) -> None:
        """Learn from a judged batch.

        Args:
            belief: the label model's posterior for it, this opinion included.
        """
        ids, counts, groups = belief.evidence.sample_ids, belief.counts, belief.evidence.groups
        if ids is not None and counts.repetitions:
            rows = one_row_each(ids, len(ids) - counts.repetitions)
            belief, groups = belief.select(rows), groups and groups.select(rows)
            ids = belief.evidence.sample_ids
        labels, opinion, trusted = belief.labels, belief.opinion, belief.trust > 0.5
        if opinion is None:
            points = belief.evidence.coordinates
            self.discriminant.learn(points, labels, trusted, ids)
        else:
            if counts.with_others:
                self._learn_confusions(belief, opinion, groups)
                if self.earlier is not None and ids is not None:
                    assert opinion.latest is not None
                    visit = opinion.latest, labels, opinion.averages, opinion.before
                    self.earlier.learn(ids, *visit)
            has_others = counts.with_others > 0
            self.discriminant.learn(
                opinion.points, labels, trusted, ids, opinion.others, has_others
            )
        self.count_change()

    def _learn_confusions(
        self, belief: LabelPosterior, opinion: Opinion, groups: Groups | None
    ) -> None:
        """Learn from the samples with others of their class, of which there is one at least."""
        labels, posterior = belief.labels, opinion.posterior.to(exact_dtype(opinion.posterior))
        known = (opinion.others.masses > 0)[:, None]
        columns = belief.evidence.own_columns(labels)[:, None]
        doubts = 1 - torch.cat([of.gather(1, columns) for of in (posterior, opinion.lenient)], 1)
        doubts *= known
        overlooked = doubts[:, 1:] * belief.trust_by_distance[:, None]
        counted = [known, doubts, overlooked]
        if opinion.before is not None:
            counted.append(self._sure_doubts(opinion, labels) & known)
        # the trust in a label of a class never seen is nan
        totals = torch.cat(counted, 1).nansum(0)
        shares = (totals / totals[0]).to(self.doubts)
        self.rate_sums.lerp_(shares[:3], 1 - _DECAY_OF_RATE)
        self.doubts.lerp_(shares[2:4], 1 - _DECAY_OF_DOUBTS)
        if opinion.before is not None:
            self.returning.lerp_(shares[4:], 1 - _DECAY_OF_SURE)
        if not len(self.joint):
            return
        known_rows = belief.evidence.for_all_classes(posterior) * known
        self.joint.mul_(_DECAY)
        (groups or Groups.by(labels)).add_to_columns(self.joint, known_rows)
        # forgotten while too much is doubted; without reading the rate
        weight, strict, _ = self.rate_sums
        self.joint.mul_(strict <= _MOST_WRONG * weight)

    def _sure_doubts(self, opinion: Opinion, labels: Tensor) -> Tensor:
        """(N, 2) bool: seen before; and then trusted by the label model, surely doubted by o."""
        latest, before, trust = opinion.latest, opinion.before, opinion.unheard_trust
        assert latest is not None
        assert before is not None
        assert trust is not None
        margins = latest.amax(1) - latest.gather(1, labels[:, None]).squeeze(1)
        returning = are_known(before)
        return torch.stack([returning, returning & (margins > _SURE) & (trust > 0.5)], 1)

    def _log_transitions(self, labels: Tensor) -> Tensor:
        masses = self.discriminant.masses
        if len(self.joint):
            confusions = self._confusions.of(Confusions.of, self.joint, _STRENGTH)
            return confusions.log_transitions(labels, masses)
        return log_even_transitions(self._rates[0] or FIRST_NOISE_RATE, labels, masses > 0)

    @property
    def _rates(self) -> tuple[float, float]:
        """ε_o, and mean_i(1 − o_i(y_i)); 0 before anything has been doubted."""
        weight, strict, lenient = self.numbers("rate_sums")
        return (lenient / weight, strict / weight) if weight > 0 else (0.0, 0.0)

    @property
    def _is_plausible(self) -> bool:
        return self._rates[1] <= _MOST_WRONG

    @property
    def speaks(self) -> bool:
        """Whether it can tell classes apart: what it says means nothing before."""
        return self._is_plausible and (self.earlier is None or self.earlier.are_steady)


def _certain(logs: Tensor, labels: Tensor) -> Tensor:
    """(N, K) logarithms of probabilities of 1 for the labels."""
    return torch.full_like(logs, -torch.inf).scatter_(1, labels[:, None], 0.0)


def _compared(x: float, y: float, power: int) -> float:
    """x^n/(x^n + y^n), above ½ if x is above y."""
    return 1 / (1 + (y / x) ** power) if x > 0 else 0.0
