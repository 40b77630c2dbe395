"""Bayes' rule over witnesses and labels, and what it says of the labels."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import torch
from scipy.optimize import brentq
from torch import Tensor

from .beliefs import Beliefs, own_columns, taken_as_given
from .confused_labels import Confusions
from .weighing import fitted_weights, log_probabilities, with_rest
from .witnesses import Progress

# Witnesses are asked with the labels as given, and once more with what is believed then. Asked a
# third time, wrong beliefs confirm each other: on CIFAR-10N average precision falls.
_ROUNDS = 2

# Steps of expectation and maximisation in each round. Twice as many changed average precision by
# less than .002 on four data sets, and the noise rate by up to .011.
_STEPS = 8

# Weight of a witness before anything is known. Witnesses of many dimensions are too sure.
_FIRST_WEIGHT = 0.3

# How far the learnt confusions are believed; see the docstring of Judgement.
_POWER = 0.5

# Log-odds beyond which nothing is left to doubt in float32.
_SURE = 100.0

# A label is almost surely right, or wrong, from this trust on.
_ALMOST_SURE = 0.9

# 90 % of a normal distribution lie within so many standard deviations.
_NORMAL_QUANTILE = 1.64


@dataclass(frozen=True)
class Judgement:
    """What witnesses say of each sample, and how classes get each other's labels.

    t_i(k) ∝ p_i(k)·T_{k,y_i}^δ, with p the witnesses' probabilities, T the confusions, and δ = ½.
    Trust is q_i = t_i(y_i).

    Labels alone do not tell whether a class is *labelled* as another or *looks* like it. Confusions
    that are learnt from the same labels (δ = 1) excuse a wrong label that occurs often; with all
    confusions alike (δ = 0), every hard sample is doubted. The truth lies between, and so does δ.

    Args:
        classes: (N, C) classes in question for each sample.
        labels: (N,) labels as given.
        log_evidence: (N, C) log p_i(k).
        log_confusions: (N, C) log T_{k,y_i}.
        shift: added to the log-odds of every label; not 0 if the noise rate is known.

    Source:
        Dawid & Skene (Applied Statistics, 1979); δ is this project's.
    """

    classes: Tensor
    labels: Tensor
    log_evidence: Tensor
    log_confusions: Tensor
    shift: float = 0.0

    def beliefs(self, power: float = _POWER) -> Beliefs:
        """Probabilities of the classes, with the confusions to the power δ.

        Labels that are not judged are believed.
        """
        logits = self._logits(power)
        if self.shift:
            logits.scatter_add_(1, self.own, torch.full(self.own.shape, self.shift))
        weights = logits.softmax(1)
        unjudged = (~self.is_judged).nonzero().squeeze(1)
        weights[unjudged] = 0.0
        weights[unjudged, self.own[unjudged, 0]] = 1.0
        return Beliefs(self.classes, weights)

    def _logits(self, power: float) -> Tensor:
        return torch.add(self.log_evidence, self.log_confusions, alpha=power)

    @cached_property
    def own(self) -> Tensor:
        """(N, 1) the column of the label among the classes in question."""
        return own_columns(self.classes, self.labels)

    @cached_property
    def is_judged(self) -> Tensor:
        """(N,) bool: there are others with the same label to compare with."""
        return self.log_evidence.gather(1, self.own).squeeze(1) > -torch.inf

    @property
    def noise_rate(self) -> float:
        """Expected share of wrong labels among those judged; 0 if none is."""
        return self._mean(1 - self.beliefs().of(self.labels))

    @property
    def noise_rate_interval(self) -> tuple[float, float]:
        """Bounds of the share of wrong labels.

        The lower one excuses all confusions (δ = 1), the upper one none (δ = 0): see
        :func:`noise_rate_bounds`.
        """
        judged = self.is_judged
        kind, strict = (self.beliefs(power).of(self.labels)[judged] for power in (1.0, 0.0))
        return noise_rate_bounds(kind, strict, self.noise_rate)

    def with_noise_rate(self, noise_rate: float) -> "Judgement":
        """A copy that doubts labels until the expected share of wrong ones is at least so large."""
        if self.noise_rate >= noise_rate:
            return self

        def missing(shift: float) -> float:
            return replace(self, shift=shift).noise_rate - noise_rate

        lowest = -self._largest_lead() - _SURE
        if missing(lowest) <= 0:
            return replace(self, shift=lowest)
        return replace(self, shift=brentq(missing, lowest, self.shift, xtol=1e-4))

    def _largest_lead(self) -> float:
        """The largest log-odds of a label that another class is in question for."""
        logits = self._logits(_POWER)
        labels = logits.gather(1, self.own).squeeze(1)
        others = logits.scatter_(1, self.own, -torch.inf).max(1).values
        leads = (labels - others)[self.is_judged & (others > -torch.inf)]
        return max(0.0, float(leads.max())) if len(leads) else 0.0

    def _mean(self, values: Tensor) -> float:
        judged = values[self.is_judged]
        return float(judged.double().mean()) if len(judged) else 0.0


def noise_rate_bounds(kind: Tensor, strict: Tensor, noise_rate: float) -> tuple[float, float]:
    """Bound the share of wrong labels, by trust that is kind and trust that is strict.

    From the share with kind trust < 0.1, which are almost surely wrong, to the share with strict
    trust < 0.9, which are not almost surely right. Each share of N labels is moved outwards by its
    own error, 1.64·√(share·(1 − share)/N).

    Args:
        kind: (N,) trust in labels.
        strict: (N,) trust in the same labels.
        noise_rate: the estimate, which lies inside.

    Returns:
        Two numbers in [0, 1]; both are the estimate if N is 0.

    Example:
        >>> trust = torch.tensor([0.05, 0.5, 0.95, 0.95]).repeat(100)
        >>> [round(bound, 3) for bound in noise_rate_bounds(trust, trust, 0.39)]
        [0.214, 0.541]
    """
    if not len(kind):
        return noise_rate, noise_rate
    low = float((kind < 1 - _ALMOST_SURE).double().mean())
    high = float((strict < _ALMOST_SURE).double().mean())
    low -= _NORMAL_QUANTILE * (low * (1 - low) / len(kind)) ** 0.5
    high += _NORMAL_QUANTILE * (high * (1 - high) / len(kind)) ** 0.5
    return max(0.0, min(low, noise_rate)), min(1.0, max(high, noise_rate))


def judge(
    ask: Callable[[Beliefs], Sequence[Tensor]],
    classes: Tensor,
    labels: Tensor,
    num_classes: int,
    seed: int,
    progress: Progress,
) -> Judgement:
    """Find out what is believed of each sample, how far to trust each witness, and the confusions.

    Expectation and maximisation: given beliefs t, the weights of the witnesses and the confusions T
    are those that explain t best; given these, t_i(k) ∝ p_i(k)·T_{k,y_i}.

    Args:
        ask: returns the (N, C) log-evidence of each witness, given beliefs.
        classes: (N, C) classes in question for each sample, its label among them.
        labels: (N,) labels as given.
        num_classes: K.
        seed: of the choice of samples that weights are fitted to.
        progress: told of each step that is done.
    """
    beliefs = taken_as_given(classes, labels)
    is_label, others = classes == labels[:, None], num_classes - classes.shape[1]
    confusions = Confusions(classes, labels, num_classes)
    counted: Tensor | None = None
    weights: Tensor | None = None
    alone = torch.zeros_like(is_label)
    for number in range(_ROUNDS):
        witnesses = [with_rest(evidence, is_label) for evidence in ask(beliefs)]
        if weights is None:
            # no other sample has the label, whatever is believed of others later
            alone = is_label & ~torch.stack([w[:, :-1].isfinite() for w in witnesses]).all(0)
            weights = torch.full((len(witnesses),), _FIRST_WEIGHT)
        for step in range(_STEPS):
            weights = fitted_weights(witnesses, beliefs.weights, others, weights, seed)
            evidence = log_probabilities(weights, witnesses, others)
            evidence = evidence.masked_fill_(alone, -torch.inf)
            log_confusions = confusions.log_probabilities(counted)
            judgement = Judgement(classes, labels, evidence, log_confusions)
            beliefs = judgement.beliefs(power=1.0)
            counted = beliefs.weights
            progress("labels", number * _STEPS + step + 1, _ROUNDS * _STEPS)
    return judgement
