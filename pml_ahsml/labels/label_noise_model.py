"""How wrong are the labels? The learnt part of the label model."""

import math
from collections.abc import Iterator, Mapping
from typing import Any, cast

import torch
from torch import Tensor
from torch.optim.adam import adam

from ..checks import check_count, check_integers, check_positive, to_tensor
from ..classes.class_distances import ClassDistances
from ..state.module_with_tables import ModuleWithTables
from ..state.saved_state import Rule
from . import confusion_prior as cp
from . import posterior as lp
from .label_posterior import LabelPosterior
from .noise_floor import SMOOTHING, NoiseFloor
from .witnesses import (
    ConfusionCounts,
    Lesson,
    NeighbourMemory,
    Parameter,
    Witness,
    default_witnesses,
)

# Start and range of ε, a share, and of σ, a geodesic length. The ranges are wide enough for every
# data set tried and keep the softmaxes away from overflow while the network is young.
_NOISE_RATE = Parameter("noise_rate", 0.2, 0.007, 0.9)
_SPREAD = Parameter("spread", 1.0, 0.05, 50.0)

# A noise rate that has moved by less than this over so many batches has settled. It jitters by .03;
# on its way from the start to where it belongs it moves by .1 in some twenty batches.
_SETTLED, _WINDOW = 0.1, 50


class LabelNoiseModel(ModuleWithTables):
    """Learns how often labels are wrong and how classes get confused, from the labels as given.

    The witnesses say which class k a sample is of, its label y what became of k on the way to the
    data set. By Bayes' rule t_i(k) ∝ p_i(k)·T_{k,y_i}, with

    - p_i(k) ∝ (N_k + 1)·exp(Σ_w evidence of witness w for class k): −d(h_i, μ_k)/τ by the distance
      to the class centroid, and β·v_ik by the votes of neighbours. N_k counts the samples labelled
      k, in the batches seen or by ``class_counts``;
    - T_ky = 1 − ε for y = k, and ε·softmax_{y≠k}( −d(μ_k, μ_y)/σ ) otherwise.

    One Adam step a batch on logit ε, log σ, log τ and log β raises the marginal likelihood
    mean_i log Σ_k p_i(k)·T_{k,y_i}. The network gets no gradient.

    Out-of-distribution samples do not change the likelihood, so ε is kept above a floor that the
    labels of far classes set (``NoiseFloor``), from when ε has settled for the first time. From
    then on confusions are counted, too (``ConfusionCounts``). They change how samples are judged,
    not what is learnt, so that no count confirms itself.

    Args:
        num_classes: K ≥ 2.
        warmup: batches before the model is believed, or None for never; ``noise_rate`` is nan until
            then. After 25 a network has not yet learnt wrong labels by heart. ε may still be on its
            way, see ``has_settled``.
        class_counts: (K,) samples of each class in the training set, as labelled. Helps where
            classes differ in size and the sampler draws them alike. By default the labels seen are
            counted.
        lr: step size of Adam. 0.05 reaches any noise rate within some 75 batches.
        neighbours: a ``NeighbourMemory`` for the same classes, or None for no votes.
        max_counted_classes: with more classes confusions are not counted: the table of all pairs
            would be large and mostly empty.
        witnesses: by name, in place of ``default_witnesses(…)``, which ``neighbours`` and
            ``max_counted_classes`` are for.

    Attributes:
        confusion_counts: the ``ConfusionCounts``, None with too many classes.

    Raises:
        ValueError: for an option outside its range.

    Source:
        This project.

    Example:
        >>> from pml_ahsml import ClassStatistics
        >>> statistics = ClassStatistics(num_classes=3, embedding_size=3)
        >>> embeddings, labels = torch.eye(3), torch.tensor([0, 1, 2])
        >>> statistics.update(embeddings, labels)
        >>> model = LabelNoiseModel(num_classes=3, warmup=0)
        >>> wrong = torch.tensor([0, 1, 1])
        >>> evidence = statistics.evidence(embeddings, wrong)
        >>> model.posterior(evidence, wrong).argmax(1)
        tensor([0, 1, 2])
        >>> model.update(evidence, wrong)
        >>> 0 < model.noise_rate < 1
        True
    """

    log_parameters: Tensor
    adam_mean: Tensor
    adam_square: Tensor
    adam_steps: Tensor
    label_counts: Tensor
    noise_rate_sums: Tensor
    recent_noise_rates: Tensor
    neighbours: NeighbourMemory | None
    confusion_counts: ConfusionCounts | None

    def __init__(
        self,
        num_classes: int,
        *,
        warmup: int | None = 25,
        class_counts: Tensor | None = None,
        lr: float = 0.05,
        neighbours: NeighbourMemory | None = None,
        max_counted_classes: int = 1000,
        witnesses: Mapping[str, Witness | None] | None = None,
    ) -> None:
        num_classes = check_count("num_classes", num_classes, minimum=2)
        if warmup is not None:
            warmup = check_count("warmup", warmup, minimum=0)
        lr = check_positive("lr", lr)
        max_counted_classes = check_count("max_counted_classes", max_counted_classes, minimum=0)
        if neighbours is not None and not isinstance(neighbours, NeighbourMemory):
            raise TypeError(
                f"neighbours must be a NeighbourMemory, got {type(neighbours).__name__}"
            )
        super().__init__()
        self.num_classes = num_classes
        self.warmup = warmup
        self.lr = lr
        self.counts_labels = class_counts is None
        if witnesses is None:
            witnesses = default_witnesses(num_classes, neighbours, max_counted_classes)
        elif neighbours is not None:
            raise ValueError(
                "neighbours must be among the witnesses where these are given, got both"
            )
        # parts of the module by their names, so that they are saved and moved with it
        for name, witness in {"neighbours": None, "confusion_counts": None, **witnesses}.items():
            self.add_module(name, witness)
        self._witnesses = tuple(name for name, witness in witnesses.items() if witness is not None)
        learnt = (witness.parameter for _, witness in self._named_witnesses())
        self._parameters_learnt = (_NOISE_RATE, _SPREAD, *filter(None, learnt))
        if len(set(self.parameter_names)) < len(self.parameter_names):
            names = ", ".join(self.parameter_names)
            raise ValueError(f"witnesses must have parameters of different names, got {names}")
        counts = torch.zeros(num_classes, dtype=torch.float32)
        if class_counts is not None:
            # to where the other tables are
            counts = _check_class_counts(class_counts, num_classes).to(counts)
        start, *ends = (
            [_unconstrained(of.name, getattr(of, value)) for of in self._parameters_learnt]
            for value in ("start", "lowest", "highest")
        )
        # numbers and no tensors, which would have to be on the device that the tables are on
        self._range = tuple(ends)
        parameters = torch.tensor(start, dtype=torch.float32)
        self.register_table("log_parameters", parameters, Rule())
        self.register_table("adam_mean", torch.zeros_like(parameters), Rule())
        self.register_table("adam_square", torch.zeros_like(parameters), Rule(lowest=0))
        self.register_table("adam_steps", counts.new_zeros(()), Rule(lowest=0, is_whole=True))
        self.register_table("label_counts", counts, Rule(lowest=0))
        # sum of the smoothing weights, of the weighted ε, and of the weighted shares not trusted
        self.register_table("noise_rate_sums", counts.new_zeros(3), Rule(lowest=0, highest=1))
        # ε after each of the last batches, newest first; inf for batches that have not been
        rates = Rule(lowest=0, may_be_inf=True)
        self.register_table("recent_noise_rates", counts.new_full((_WINDOW,), torch.inf), rates)
        self.noise_floor = NoiseFloor()

    @property
    def batches(self) -> int:
        """Batches seen."""
        return int(self.adam_steps)

    @property
    def is_warm(self) -> bool:
        """Whether ``warmup`` batches have been seen."""
        return self.warmup is not None and self.batches >= self.warmup

    @property
    def has_settled(self) -> bool:
        """Whether ε has moved by less than 0.1 over the last 50 batches."""
        lowest, highest = map(float, self.recent_noise_rates.aminmax())
        return highest - lowest < _SETTLED

    @property
    def confusions(self) -> Tensor:
        """(K, K) C_ky, how many samples of class k were labelled y, over some fifty batches.

        An estimate, by the posterior; 0 on the diagonal, and everywhere until ``has_settled``.
        """
        if self.confusion_counts is None:
            raise ValueError(
                "max_counted_classes must be at least num_classes for confusions to be counted, "
                f"got {self.num_classes} classes"
            )
        return self.confusion_counts.counts

    @property
    def noise_rate(self) -> float:
        """Smoothed share of wrong labels in the batches seen; nan before the warm-up ends.

        The larger of ε and of the share of labels that are not trusted. ε is learnt without what
        has been counted and is too small where neighbours are confused; of samples that belong to
        no class the labels are trusted although ε knows of them.
        """
        weight, *sums = self.noise_rate_sums.tolist()
        return max(sums) / weight if weight > 0 else math.nan

    @property
    def parameter_names(self) -> tuple[str, ...]:
        """Names of what is learnt, "noise_rate" (ε), "spread" (σ) and those of the witnesses."""
        return tuple(of.name for of in self._parameters_learnt)

    def parameter(self, name: str) -> float:
        """The present value of a parameter.

        Args:
            name: one of ``parameter_names``; "noise_rate" is ε as it stands, not smoothed.
        """
        if name not in self.parameter_names:
            names = ", ".join(self.parameter_names)
            raise ValueError(f"name must be one of {names}, got {name!r}")
        return self._values()[name]

    @property
    def temperature(self) -> float:
        """τ, how far from its centroid a sample of a class may lie, a geodesic length."""
        return self.parameter("temperature")

    @property
    def spread(self) -> float:
        """σ, a geodesic length, small if neighbours are confused, large if anything is."""
        return self.parameter("spread")

    @property
    def vote_weight(self) -> float:
        """β, what a neighbour's vote adds to log p; 0 where no neighbours are asked."""
        return self.parameter("vote_weight") if self.neighbours is not None else 0.0

    @torch.no_grad()
    def believe(
        self, evidence: ClassDistances, labels: Tensor, beside: LabelPosterior | None = None
    ) -> LabelPosterior:
        """What the model makes of a batch, as it stands.

        Args:
            evidence: where the samples and their labels lie among the classes.
            labels: (N,) labels as given.
            beside: what it made of other samples, if nothing has been learnt since: it saves what
                has to be computed of all classes.

        Returns:
            The posterior, and what :meth:`learn` needs beside it.
        """
        labels = check_integers("labels", labels)
        values = self._values()
        noise_rate, spread = values["noise_rate"], values["spread"]
        columns = evidence.own_columns(labels)
        answers = {name: witness.ask(evidence, labels) for name, witness in self._named_witnesses()}
        log_likelihood = self._log_likelihood(evidence, answers, values)
        normaliser = None if beside is None else beside.normaliser_of_all_classes
        if normaliser is None:
            normaliser = cp.log_normaliser(evidence.column_neighbourhoods(), spread)
        prior = cp.log_prior(
            evidence.label_distances, columns, normaliser.log_z, noise_rate, spread
        )
        by_distance = posterior = lp.label_posterior(log_likelihood, prior)
        for _, witness in self._named_witnesses():
            revised = witness.revise(prior, columns, noise_rate, by_distance)
            if revised is not None:
                prior = revised
                posterior = lp.label_posterior(log_likelihood, prior)
        trust = posterior.gather(1, columns[:, None]).squeeze(1)
        likelihood = log_likelihood.exp_()
        return LabelPosterior(
            evidence, labels, likelihood, by_distance, posterior, trust, normaliser, answers
        )

    def posterior(self, evidence: ClassDistances, labels: Tensor) -> Tensor:
        """Posterior over the true class of each sample, given its place and its label.

        Args:
            evidence: where the samples and their labels lie among the classes.
            labels: (N,) labels as given.

        Returns:
            (N, K), rows sum to 1; one-hot at the label where that class is still unseen.
        """
        belief = self.believe(evidence, labels)
        labels = belief.labels
        posterior = evidence.for_all_classes(belief.posterior)
        return lp.taken_at_their_word(posterior, labels, ~evidence.seen[labels])

    def update(self, evidence: ClassDistances, labels: Tensor) -> None:
        """Learn from one batch: one step on ε, τ and σ, and on β if neighbours vote.

        Args:
            evidence: where the samples and their labels lie among the classes.
            labels: (N,) labels as given. Samples whose class is unseen teach nothing yet.
        """
        self.learn(self.believe(evidence, labels))

    @torch.no_grad()
    def learn(self, belief: LabelPosterior) -> None:
        """Update from a batch already passed to :meth:`believe`.

        Args:
            belief: what :meth:`believe` returned, if nothing has been learnt since.
        """
        if self.counts_labels:
            self.label_counts += torch.bincount(belief.labels, minlength=self.num_classes)
        everything = belief
        known = belief.evidence.seen[belief.labels]
        if not known.all():
            belief = belief.select(known)
        if len(belief.labels) and belief.evidence.seen.sum() > 1:
            self._step(belief)
            self._apply_noise_floor(belief)
            lesson = Lesson(
                belief.evidence,
                belief.labels,
                belief.posterior_by_distance,
                self.spread,
                self.is_warm and self.has_settled,
            )
            for _, witness in self._named_witnesses():
                witness.learn(lesson)
        points, labels = everything.evidence.points, everything.labels
        for name, witness in self._named_witnesses():
            witness.remember(points, labels, everything.answers[name])
        self.adam_steps += 1
        rate = self.log_parameters[0].sigmoid()
        self.recent_noise_rates = torch.cat([rate[None], self.recent_noise_rates[:-1]])
        if self.is_warm and len(belief.labels):
            distrusted = (~lp.trusted_labels(belief.trust)).to(rate).mean()
            latest = torch.stack([torch.ones_like(rate), rate, distrusted])
            self.noise_rate_sums.lerp_(latest, 1 - SMOOTHING)
        self.count_change()

    def _check_together(self, state: Mapping[str, Any], prefix: str) -> None:
        key = prefix + "log_parameters"
        if state[key].is_meta:
            return
        for value, lowest, highest in zip(state[key].tolist(), *self._range, strict=True):
            # the rest is rounding
            if not lowest - 1e-5 <= value <= highest + 1e-5:
                raise ValueError(f"{key} must lie in [{lowest:.4g}, {highest:.4g}], got {value:g}")

    def _named_witnesses(self) -> Iterator[tuple[str, Witness]]:
        for name in self._witnesses:
            yield name, cast(Witness, getattr(self, name))

    def _values(self) -> dict[str, float]:
        """The parameters by name."""
        learnt = zip(self._parameters_learnt, self.log_parameters.tolist(), strict=True)
        return {of.name: _constrained(of.name, value) for of, value in learnt}

    def _log_likelihood(
        self,
        evidence: ClassDistances,
        answers: Mapping[str, tuple[Tensor, ...] | None],
        values: Mapping[str, float],
    ) -> Tensor:
        log_odds = evidence.by_column(self.label_counts).log1p()
        if evidence.candidates is not None:
            log_odds = log_odds + evidence.candidates.weights.log()
        for name, witness in self._named_witnesses():
            answer = answers[name]
            if answer is not None:
                value = values[witness.parameter.name] if witness.parameter else math.nan
                log_odds = witness.add_to(log_odds, evidence, answer, value)
        return log_odds.log_softmax(dim=1)

    def _step(self, belief: LabelPosterior) -> None:
        slopes = self._slopes(belief)
        gradient = [-slopes[of.name] for of in self._parameters_learnt]
        adam(
            [self.log_parameters],
            [self.log_parameters.new_tensor(gradient)],
            [self.adam_mean],
            [self.adam_square],
            [],
            [self.adam_steps.clone()],  # adam counts by itself; batches without a step count too
            foreach=False,
            amsgrad=False,
            beta1=0.9,
            beta2=0.999,
            lr=self.lr,
            weight_decay=0.0,
            eps=1e-8,
            maximize=False,
        )
        self.log_parameters.clamp_(*map(self.log_parameters.new_tensor, self._range))

    def _slopes(self, belief: LabelPosterior) -> dict[str, float]:
        """Slope of the log marginal likelihood by each parameter, without what does not teach."""
        evidence, posterior = belief.evidence, belief.posterior_by_distance
        columns = evidence.own_columns(belief.labels)
        values = self._values()
        by_noise_rate, by_spread = lp.prior_slopes(
            posterior,
            posterior.gather(1, columns[:, None]).squeeze(1),
            evidence.label_distances.nan_to_num(posinf=0),  # of classes that are unseen
            belief.normaliser.mean_distance,
            columns,
            values["noise_rate"],
            values["spread"],
        )
        slopes = {"noise_rate": by_noise_rate, "spread": by_spread}
        surprise = posterior - belief.likelihood
        for name, witness in self._named_witnesses():
            if witness.parameter is not None:
                own = witness.parameter.name
                slopes[own] = witness.slope(surprise, evidence, belief.answers[name], values[own])
        return slopes

    def _apply_noise_floor(self, belief: LabelPosterior) -> None:
        """Keep ε from falling below the share of random labels, once it has settled."""
        floor = self.noise_floor
        if not floor.has_begun and not (self.is_warm and self.has_settled):
            return
        floor.learn(belief)
        lowest = floor.value
        if lowest is not None:
            # the range of ε holds as ever
            bound = min(max(lowest, _NOISE_RATE.lowest), _NOISE_RATE.highest)
            self.log_parameters[0].clamp_min_(_unconstrained("noise_rate", bound))


def _unconstrained(name: str, value: float) -> float:
    """The logit of the noise rate, which is a share; the logarithm of any other parameter."""
    return math.log(value / (1 - value)) if name == "noise_rate" else math.log(value)


def _constrained(name: str, value: float) -> float:
    return 1 / (1 + math.exp(-value)) if name == "noise_rate" else math.exp(value)


def _check_class_counts(class_counts: Tensor, num_classes: int) -> Tensor:
    given = to_tensor("class_counts", class_counts)
    if given.dtype == torch.bool or given.is_complex():
        raise TypeError(f"class_counts must be of a real dtype, got {given.dtype}")
    counts = given.float()
    if counts.shape != (num_classes,):
        raise ValueError(
            f"class_counts must be of shape ({num_classes},), got {tuple(counts.shape)}"
        )
    if not (counts.isfinite().all() and (counts >= 0).all() and counts.sum() > 0):
        raise ValueError(f"class_counts must be at least 0 and not all 0, got {counts.tolist()}")
    return counts
