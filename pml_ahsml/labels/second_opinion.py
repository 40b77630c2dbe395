"""A second opinion on every label, by a classifier that cannot learn labels by heart."""

import torch
from torch import Tensor

from ..checks import check_count
from ..classes.class_distances import ClassDistances, mean_over_views
from ..hyperbolic.hyperboloid import hyperboloid_unlift
from ..precision import exact_dtype
from ..state.module_with_tables import ModuleWithTables
from ..state.saved_state import Rule
from .label_posterior import LabelPosterior, Opinion
from .linear_discriminant import (
    log_densities,
    log_transitions,
    own_log_densities,
    whitening,
    within_scatter,
)
from .posterior import taken_at_their_word
from .sample_table import SampleRows, SampleTable, one_row_each

# Sums of a class forget 3 % at each batch that holds it, as the network moves its samples. With 1 %
# the results are the same.
_DECAY_OF_SUMS = 0.97

# Covariance and confusions are those of some fifty batches.
_DECAY = 0.98

# Pseudo-counts of the prior of each class's confusions.
_STRENGTH = 2.0

# Before so many batches the covariance is not known; it is inverted at every fifth.
_FIRST, _EVERY = 15, 5

# Doubts are averaged over some thirty batches. An average over all of them left out more of the
# right labels.
_DECAY_OF_DOUBTS = 0.97

# The discriminant doubts 2 to 8 % of right labels: those of hard samples. A larger share means that
# labels are wrong. With 0.05 here hard samples were left out of training and never learnt.
_FALSE_ALARMS = 0.1

# Weight of a distrusted sample in the sums of its class: a power of 2, with which adding it and
# taking it out again leaves nothing.
_DISTRUSTED_WEIGHT = 0.125

# Share of the earlier opinions of a sample that is kept. The first ones, from before the network
# could learn labels by heart, count most.
_MEMORY = 0.98

# The covariance is taken from so many samples at most.
_MOST_OF_A_SCATTER = 4096

# The noise rate is averaged over some twenty batches, and known after fourteen.
_DECAY_OF_RATE, _ENOUGH = 0.95, 0.5


class SecondOpinion(ModuleWithTables):
    """What a linear discriminant says of labels, and how far it is to be believed.

    The discriminant learns from each batch after it has judged it. It gives

    - a posterior o_i(k) ∝ (N_k + 1)·exp(s_ik)·T_{k,y_i}, with its own densities s
      (``log_densities``) and its own confusions T (``log_transitions``);
    - the noise rate mean_i(1 − o_i(y_i)), below which the label model's ε must not fall;
    - a weight a = g²/(g² + (1 − g)²)·r⁴/(r⁴ + 0.1⁴), with r that noise rate and
      g = Σ_i (1 − o_i)·q_i / Σ_i (1 − o_i) the share of what it doubts that the label model trusts.
      While the label model suspects the same labels, g is small, and it knows hard samples better.
      Where a network learns wrong labels by heart, the label model trusts them, and g is large.
      The discriminant doubts some right labels as well, so a rate below 0.1 has little weight.

    Args:
        num_classes: K ≥ 2.
        embedding_size: D ≥ 1.

    Raises:
        ValueError: for an option outside its range.

    Example:
        >>> opinion = SecondOpinion(num_classes=3, embedding_size=2)
        >>> opinion.noise_rate is None  # not before it has judged some batches
        True
    """

    sums: Tensor
    masses: Tensor
    scatter: Tensor
    whiten: Tensor
    joint: Tensor
    doubts: Tensor
    rate_sums: Tensor
    batches: Tensor

    def __init__(
        self, num_classes: int, embedding_size: int, num_samples: int | None = None
    ) -> None:
        num_classes = check_count("num_classes", num_classes, minimum=2)
        embedding_size = check_count("embedding_size", embedding_size, minimum=1)
        if num_samples is not None:
            num_samples = check_count("num_samples", num_samples, minimum=1)
        super().__init__()
        self.samples = (
            None if num_samples is None else SampleTable(num_samples, num_classes, embedding_size)
        )

        def zeros(*shape: int) -> Tensor:
            return torch.zeros(shape, dtype=torch.float32)

        positive = Rule(lowest=0)
        self.register_table("sums", zeros(num_classes, embedding_size), Rule())
        self.register_table("masses", zeros(num_classes), positive)
        # the covariance, and the map that makes it the identity
        self.register_table("scatter", zeros(embedding_size, embedding_size), Rule())
        self.register_table("whiten", zeros(embedding_size, embedding_size), Rule())
        # expected number of samples of class k labelled y
        self.register_table("joint", zeros(num_classes, num_classes), positive)
        # smoothed shares of labels doubted here, and of these trusted by the label model
        self.register_table("doubts", zeros(2), Rule(lowest=0, highest=1))
        # sum of the smoothing weights, and of the weighted shares doubted
        self.register_table("rate_sums", zeros(2), Rule(lowest=0, highest=1))
        self.register_table("batches", zeros(), Rule(lowest=0, is_whole=True))

    @property
    def noise_rate(self) -> float | None:
        """Smoothed share of labels doubted; None before it is known."""
        weight, rate = self.rate_sums.tolist()
        return rate / weight if weight > _ENOUGH else None

    @property
    def weight(self) -> Tensor:
        """Weight a in [0, 1], without dimensions; 0 before anything has been doubted."""
        if self.samples is not None:
            return torch.ones_like(self.batches)
        doubted, trusted = self.doubts
        weight, rate = self.rate_sums
        share = trusted / doubted.clamp_min(torch.finfo(doubted.dtype).tiny)
        rate = rate / weight.clamp_min(torch.finfo(weight.dtype).tiny)
        return _compared(share, 1 - share, 2) * _compared(rate, _FALSE_ALARMS, 4)

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
        if evidence.candidates is not None or float(self.batches) < _FIRST:
            return None
        rows = self._rows(evidence)
        points = _coordinates(evidence.points)
        densities = log_densities(points, self.sums, self.masses, self.whiten)
        if rows is not None:
            sums, masses = self._others(rows, labels)
            own = own_log_densities(points, sums, masses, self.whiten)
            densities.scatter_(1, _labels_then(rows, labels)[:, None], own[:, None])
        if evidence.view_ids is not None:
            densities = mean_over_views(densities, evidence.view_ids)
        likelihood = densities.softmax(1)
        if self.samples is None:
            odds = densities + label_counts.log1p()
        else:
            if rows is not None:
                is_alone = masses == 0
                likelihood = taken_at_their_word(likelihood, labels, is_alone)
                share = torch.where(rows.opinions > 0, 1 - _MEMORY, 1.0)
                likelihood = rows.posteriors.lerp(likelihood, share[:, None])
            odds = likelihood.log()
        transitions = log_transitions(self.joint, labels, self.masses > 0, _STRENGTH)
        posterior = (odds + transitions).softmax(1)
        return Opinion(posterior.to(evidence.distances), likelihood.to(evidence.distances))

    @torch.no_grad()
    def learn(self, belief: LabelPosterior) -> None:
        """Learn from a batch that has been judged.

        Args:
            belief: what the label model made of it, this opinion included.
        """
        ids = belief.evidence.sample_ids
        if self.samples is not None and ids is not None:
            belief = belief.select(one_row_each(ids))
        points, labels = _coordinates(belief.evidence.points), belief.labels
        rows = self._rows(belief.evidence)
        sums, masses = self._others(rows, labels)
        known = masses > 0
        if known.any():
            if belief.opinion is not None:
                self._learn_confusions(belief.select(known))
            self.batches += 1
            self._learn_scatter(points[known], labels[known], sums[known], masses[known])
        if rows is not None:
            self._learn_samples(belief, rows)
        else:
            self._learn_sums(points, labels)
        self.count_change()

    def _rows(self, evidence: ClassDistances) -> SampleRows | None:
        ids = evidence.sample_ids
        return None if self.samples is None or ids is None else self.samples.rows(ids)

    def _others(self, rows: SampleRows | None, labels: Tensor) -> tuple[Tensor, Tensor]:
        """(N, D) sums and (N,) masses of the class of each sample, without the sample."""
        if rows is None:
            return self.sums[labels], self.masses[labels]
        then = _labels_then(rows, labels)
        sums = self.sums[then] - rows.weights[:, None] * rows.embeddings
        return sums, self.masses[then] - rows.weights

    def _learn_scatter(
        self, points: Tensor, labels: Tensor, sums: Tensor, masses: Tensor
    ) -> None:
        """Of a batch, or at some batches of all samples that are known."""
        number = int(self.batches)
        is_time = number >= _FIRST and number % _EVERY == 0
        if self.samples is not None:
            if not is_time:
                return
            ids = self.samples.some_ids(_MOST_OF_A_SCATTER, number)
            rows = self.samples.rows(ids)
            points, labels = rows.embeddings, rows.labels
            sums, masses = self._others(rows, labels)
            known = masses > 0
            points, labels, sums, masses = (of[known] for of in (points, labels, sums, masses))
        # summed in float64, so that the order of the rows does not matter
        latest = within_scatter(points.to(exact_dtype(points)), labels, sums, masses)
        if self.samples is not None:
            self.scatter.copy_(latest)
        else:
            self.scatter.lerp_(latest.to(self.scatter), 1 - _DECAY)
        if is_time:
            weight = 1.0 if self.samples is not None else 1 - _DECAY**number
            self.whiten = whitening(self.scatter / weight)

    def _learn_sums(self, points: Tensor, labels: Tensor) -> None:
        """Of samples that are not known again: their sums are forgotten bit by bit."""
        counts = torch.bincount(labels, minlength=len(self.masses)).to(self.masses)
        kept = 1 - (1 - _DECAY_OF_SUMS) * (counts > 0).to(counts)
        wide = exact_dtype(points)
        latest = torch.zeros_like(self.sums, dtype=wide).index_add_(0, labels, points.to(wide))
        self.sums.mul_(kept[:, None]).add_(latest)
        self.masses.mul_(kept).add_(counts)

    def _learn_samples(self, belief: LabelPosterior, rows: SampleRows) -> None:
        """Put what is known now in the place of what was known, in the sums as in the table."""
        ids, samples = belief.evidence.sample_ids, self.samples
        assert ids is not None and samples is not None
        labels, opinion = belief.labels, belief.opinion
        now = SampleRows(
            _coordinates(belief.evidence.points).half().float(),
            labels,
            torch.where(belief.trust > 0.5, 1.0, _DISTRUSTED_WEIGHT).to(rows.weights),
            rows.posteriors if opinion is None else opinion.likelihood.to(rows.posteriors),
            rows.opinions if opinion is None else rows.opinions + 1,
        )
        wide = exact_dtype(now.embeddings)
        places = torch.cat([_labels_then(rows, labels), labels])
        weights = torch.cat([-rows.weights, now.weights]).to(wide)
        points = torch.cat([rows.embeddings, now.embeddings]).to(wide) * weights[:, None]
        self.sums += torch.zeros_like(self.sums, dtype=wide).index_add_(0, places, points)
        self.masses += torch.zeros_like(self.masses, dtype=wide).index_add_(0, places, weights)
        samples.store(ids, now)

    def _learn_confusions(self, belief: LabelPosterior) -> None:
        assert belief.opinion is not None
        opinion, labels = belief.opinion.posterior, belief.labels
        opinion = opinion.to(exact_dtype(opinion))
        latest = torch.zeros_like(self.joint, dtype=opinion.dtype)
        self.joint.mul_(_DECAY).add_(latest.index_add_(1, labels, opinion.T))
        trust = belief.posterior_by_distance.gather(1, labels[:, None]).squeeze(1)
        doubt = 1 - opinion.gather(1, labels[:, None]).squeeze(1)
        share = doubt.mean()
        shares = torch.stack([share, (doubt * trust).mean()])
        self.doubts.lerp_(shares.to(self.doubts), 1 - _DECAY_OF_DOUBTS)
        rate = torch.stack([torch.ones_like(share), share])
        self.rate_sums.lerp_(rate.to(self.rate_sums), 1 - _DECAY_OF_RATE)


def _compared(x: Tensor, y: Tensor | float, power: int) -> Tensor:
    """x^n/(x^n + y^n), above ½ where x is above y."""
    return x**power / (x**power + y**power)


def _labels_then(rows: SampleRows, labels: Tensor) -> Tensor:
    """(N,) the class in whose sum each sample is; of a new sample the one it will be in."""
    return torch.where(rows.labels < 0, labels, rows.labels)


def _coordinates(points: Tensor) -> Tensor:
    """Tangent vectors (N, D) in float32, among which far points do not outweigh all others."""
    return hyperboloid_unlift(points, 1.0).float()
