"""The label model: how often labels are wrong, and which."""

from collections.abc import Mapping
from typing import cast

import torch
from torch import Tensor

from ..checks import check_count, check_integers, check_positive
from ..classes.class_distances import ClassDistances
from ..classes.neighbourhoods import Neighbourhoods
from ..state.derived import Derived
from ..state.host_numbers import rows_where
from ..state.saved_state import Rule
from . import confusion_prior as cp
from . import parameter_scale as ps
from . import posterior as lp
from .class_counts import check_class_counts
from .clean_samples import CleanSamples
from .label_posterior import LabelPosterior
from .learnt_parameters import WithLearntParameters
from .least_trust import LeastTrust
from .likelihood import judged, slopes
from .noise_floor import NoiseFloor
from .noise_rate_history import NoiseRateHistory
from .second_opinion import SecondOpinion
from .witnesses import (
    MOST_CLASSES,
    ConfusionCounts,
    Lesson,
    NeighbourMemory,
    Witness,
    choose_witnesses,
    parameters_of,
)


class LabelNoiseModel(WithLearntParameters):
    """Learns how often labels are wrong and how classes get confused, from the given labels.

    By Bayes' rule the posterior over the true class is t_i(k) ∝ p_i(k)·T_{k,y_i}, with

    - p_i(k) ∝ (N_k + 1)·exp(Σ_w evidence of witness w for class k). N_k is the number of samples
      labelled k, in the batches seen or from ``class_counts``;
    - T_ky = 1 − ε for y = k, and ε·softmax_{y≠k}( −d(μ_k, μ_y)/σ ) otherwise.

    Each batch takes one Adam step on logit ε, log σ and the logarithms of the witnesses' parameters
    to raise the marginal likelihood mean_i log Σ_k p_i(k)·T_{k,y_i}. The network gets no gradient.
    Once ε has settled, a ``NoiseFloor`` bounds it and confusions are counted. See docs/method.md.

    Args:
        num_classes: K ≥ 2.
        warmup: batches before the model is used, or None for never; ``noise_rate`` is nan until
            then. After 25 batches a network has not yet memorised wrong labels.
        class_counts: (K,) training samples per label. Helps if classes differ in size and the
            sampler draws them equally often.
        lr: step size of Adam. 0.05 reaches any noise rate within about 75 batches.
        neighbours: a ``NeighbourMemory`` for the same classes, or None for no votes.
        max_counted_classes: with more, confusions are not counted: the table would be mostly empty.
        second_opinion: a ``SecondOpinion`` for the same classes, or None for none.
        noise_rate: least share of wrong labels, in [0, 0.9], if known; None for 0. As large a share
            of the labels is not trusted.
        witnesses: witnesses by name. By default those of ``default_witnesses(…)``, which takes
            ``neighbours`` and ``max_counted_classes``.
        clean_samples: the ``CleanSamples``, or None if no label is known to be right.

    Attributes:
        confusion_counts: the ``ConfusionCounts``, None with too many classes.

    Raises:
        TypeError, ValueError: if an option has the wrong type or is out of range.

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

    label_counts: Tensor
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
        max_counted_classes: int = MOST_CLASSES,
        second_opinion: SecondOpinion | None = None,
        noise_rate: float | None = None,
        witnesses: Mapping[str, Witness | None] | None = None,
        clean_samples: CleanSamples | None = None,
    ) -> None:
        num_classes = check_count("num_classes", num_classes, minimum=2)
        if warmup is not None:
            warmup = check_count("warmup", warmup, minimum=0)
        lr = check_positive("lr", lr)
        max_counted_classes = check_count("max_counted_classes", max_counted_classes, minimum=0)
        # checks the rate
        least_trust = None if noise_rate is None else LeastTrust(noise_rate)
        chosen = choose_witnesses(num_classes, neighbours, max_counted_classes, witnesses)
        parameters = (ps.NOISE_RATE, ps.SPREAD, *parameters_of(chosen))
        super().__init__()
        self.num_classes = num_classes
        self.warmup = warmup
        self.counts_labels = class_counts is None
        # as submodules, so that they are saved and moved with the model
        for name, witness in {"neighbours": None, "confusion_counts": None, **chosen}.items():
            self.add_module(name, witness)
        self._witnesses = tuple(name for name, witness in chosen.items() if witness is not None)
        self.second_opinion = second_opinion
        self.clean_samples = clean_samples
        self.least_trust = least_trust
        counts = torch.zeros(num_classes, dtype=torch.float32)
        if class_counts is not None:
            # to the device of the other tables
            counts = check_class_counts(class_counts, num_classes).to(counts)
        self._register_parameters(parameters, lr)
        self.register_table("label_counts", counts, Rule(lowest=0))
        self._normaliser: Derived[cp.Normaliser] = Derived()
        self.noise_floor = NoiseFloor()
        self.noise_rate_history = NoiseRateHistory()

    @property
    def batches(self) -> int:
        """Batches seen."""
        return int(self.numbers("adam_steps")[0])

    @property
    def is_warm(self) -> bool:
        """Whether ``warmup`` batches have been seen."""
        return self._is_warm_after(self.batches)

    @property
    def has_settled(self) -> bool:
        """Whether ε has moved by less than 0.1 over the last 50 batches."""
        return self.noise_rate_history.has_settled

    @property
    def confusions(self) -> Tensor:
        """(K, K) estimated samples of class k labelled y over about fifty batches, once settled."""
        if self.confusion_counts is None:
            raise ValueError(
                "max_counted_classes must be at least num_classes for confusions to be counted, "
                f"got {self.num_classes} classes"
            )
        return self.confusion_counts.counts

    @property
    def noise_rate(self) -> float:
        """Smoothed share of wrong labels in the batches seen; nan before the warm-up ends."""
        found = self.noise_rate_history.value
        # nan stays nan
        return found if self.least_trust is None else max(found, self.least_trust.noise_rate)

    @property
    def trust_needed(self) -> float:
        """The trust that a label must reach because the noise rate is known; 0 if it is not."""
        return 0.0 if self.least_trust is None else self.least_trust.value

    @property
    def vote_weight(self) -> float:
        """ω, what a neighbour's vote adds to log p; 0 if no neighbours vote."""
        return self.parameter("vote_weight") if self.neighbours is not None else 0.0

    @torch.no_grad()
    def believe(
        self,
        evidence: ClassDistances,
        labels: Tensor,
    ) -> LabelPosterior:
        """Compute the posterior of a batch by the current state.

        Args:
            evidence: distances of the samples and of their labels to the classes.
            labels: (N,) labels as given.

        Returns:
            The posterior, and what else :meth:`learn` needs.
        """
        labels = check_integers("labels", labels)
        self.read_numbers()
        values, normaliser = self._values(), None
        if evidence.candidates is None:
            # the same until centroids or σ have changed
            of_classes = *evidence.neighbourhoods, values["spread"]
            normaliser = self._normaliser.of(_normaliser_of, *of_classes)
        counts, witnesses, opinion = self.label_counts, self._named_witnesses(), self.second_opinion
        belief = judged(evidence, labels, counts, witnesses, values, normaliser, opinion)
        return belief if self.clean_samples is None else self.clean_samples.believed(belief)

    def posterior(self, evidence: ClassDistances, labels: Tensor) -> Tensor:
        """Posterior over the true class of each sample; takes the arguments of :meth:`believe`.

        Returns:
            (N, K), rows sum to 1; one-hot at the label if its class is still unseen.
        """
        belief = self.believe(evidence, labels)
        labels = belief.labels
        posterior = evidence.for_all_classes(belief.posterior)
        return lp.taken_at_their_word(posterior, labels, ~evidence.seen[labels])

    def update(self, evidence: ClassDistances, labels: Tensor) -> None:
        """Learn from one batch; takes the arguments of :meth:`believe`."""
        self.learn(self.believe(evidence, labels))

    @torch.no_grad()
    def learn(self, belief: LabelPosterior, trusted: Tensor | None = None) -> None:
        """Update from a batch already passed to :meth:`believe`.

        Args:
            belief: what :meth:`believe` returned, if nothing has been learnt since.
            trusted: (N,) bool, ``trusted_labels`` by the trust in labels of classes seen before, if
                already known.
        """
        if self.counts_labels:
            one_each = self.label_counts.new_ones(len(belief.labels))
            self.label_counts.index_add_(0, belief.labels, one_each)
        everything, counts = belief, belief.counts
        if counts.known < len(belief.labels):
            rows = rows_where(belief.known, counts.known)
            belief = belief.select(rows)
            trusted = trusted if trusted is None else trusted[rows]
        if counts.known and counts.seen > 1:
            self._raise_parameters(slopes(belief, self._named_witnesses(), self._values()))
            has_settled = self.is_warm and self.has_settled
            self._apply_noise_floor(belief, has_settled)
            posterior, log_spread = belief.posterior_by_distance, self.log_parameters[1]
            lesson = Lesson(belief.evidence, belief.labels, posterior, log_spread, has_settled)
            for witness in self._named_witnesses().values():
                witness.learn(lesson)
        points, labels = everything.evidence.points, everything.labels
        for name, witness in self._named_witnesses().items():
            witness.remember(points, labels, everything.answers[name])
        if self.second_opinion is not None:
            self.second_opinion.learn(everything)
        is_warm = self._is_warm_after(self.batches + 1)
        self.adam_steps += 1
        rate = self.log_parameters[0].sigmoid()
        self.noise_rate_history.add(rate)
        if is_warm and counts.known:
            if trusted is None:
                trusted = lp.trusted_labels(belief.trust, self.trust_needed)
            distrusted = (~trusted).mean(dtype=rate.dtype)
            self.noise_rate_history.smooth(rate, distrusted)
            if self.least_trust is not None:
                self.least_trust.learn(belief.trust)
        self.count_change()

    def _is_warm_after(self, batches: int) -> bool:
        return self.warmup is not None and batches >= self.warmup

    def _named_witnesses(self) -> dict[str, Witness]:
        return {name: cast(Witness, getattr(self, name)) for name in self._witnesses}

    def _apply_noise_floor(self, belief: LabelPosterior, has_settled: bool) -> None:
        """Keep ε above its lower bounds, of which the floor is one once ε has settled."""
        bound, highest = ps.NOISE_RATE.lowest, ps.NOISE_RATE.highest
        if self.second_opinion is not None:
            # ε stays within its range
            bound = min(max(bound, self.second_opinion.noise_rate or 0.0), highest)
        if not (has_settled or self.noise_floor.has_begun):
            self.log_parameters[0].clamp_min_(ps.unconstrained("noise_rate", bound))
            return
        self.noise_floor.learn(belief)
        floor = self.noise_floor.value.clamp(bound, highest).logit()
        self.log_parameters[0].clamp_min_(floor)


def _normaliser_of(distances: Tensor, weights: Tensor | None, spread: float) -> cp.Normaliser:
    return cp.log_normaliser(Neighbourhoods(distances, weights), spread)
