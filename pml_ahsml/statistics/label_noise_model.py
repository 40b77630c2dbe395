"""How wrong are the labels? The learnt part of the label model."""

import math

import torch
from torch import Tensor
from torch.optim.adam import adam

from ..checks import check_count, check_integers, check_positive, to_tensor
from ..functional import confusion_prior as cp
from ..functional import label_posterior as lp
from ..functional import neighbour_votes as nv
from ..functional import random_labels as rl
from .belief import Belief
from .confusion_counts import ConfusionCounts
from .evidence import Evidence, mean_over_views
from .module_with_tables import ModuleWithTables
from .neighbour_memory import NeighbourMemory

# Start and range of ε, τ, σ and β (a share; geodesic lengths; per vote). The ranges are wide enough
# for every data set tried and keep the softmaxes away from overflow while the network is young.
_START = (0.2, 0.1, 1.0, 0.2)
_LOWEST = (0.007, 0.01, 0.05, 0.003)
_HIGHEST = (0.9, 2.0, 50.0, 3.0)

# The raw ε moves by .03 from batch to batch; over some fifty batches that averages out.
_SMOOTHING = 0.98

# Weight of the smoothed shares of far labels from which they are believed: after 35 batches.
_ENOUGH = 0.5

# A noise rate that has moved by less than this over so many batches has settled. It jitters by .03;
# on its way from the start to where it belongs it moves by .1 in some twenty batches.
_SETTLED, _WINDOW = 0.1, 50


class LabelNoiseModel(ModuleWithTables):
    """Noise rate ε, temperature τ and confusion spread σ, learnt from the labels as given.

    p_i(k) ∝ (N_k + 1)·exp(−d(h_i, μ_k)/τ), T_ky = 1 − ε or ε·softmax_{y≠k}( −d(μ_k, μ_y)/σ ), and
    the posterior over the true class is t_i(k) ∝ p_i(k)·T_{k,y_i}. One Adam step a batch on
    (logit ε, log τ, log σ) raises mean_i log Σ_k p_i(k)·T_{k,y_i}; the network gets no gradient.
    N_k is how many samples have been labelled k, in the batches seen or, by ``class_counts``, in
    the training set: where small classes are drawn as often as large ones, most of what is
    labelled as a small one by mistake is of a large one, and may be more than what belongs there.

    Of samples that belong to no class the likelihood learns nothing, as any label is as likely as
    any other, and the network learns in time to place them with their labels. So ε is held at what
    the labels of far classes say at least, π = (S − P)/(1 − P): S is how many labels are of classes
    that lie far from their sample, in units of how many random ones would be, and P how many right
    ones would be (``random_labels``), over some fifty batches. That begins when ε has settled for
    the first time: while features are poor right labels are of far classes, too.

    Once ε has settled, it is counted besides which class is labelled as which: C_ky sums t_i(k)
    over the samples labelled y, older batches for less. Samples are then judged with S = T/ε and

    T̂_ky = ε·(α·S_ky + C_ky)/(α + Σ_y C_ky) for y ≠ k

    in place of T_ky, each without its own part of C. How much the distances weigh, α, follows from
    the counts: all, where these differ from S by chance alone. What is learnt, C included, is
    learnt from t_i(k) by T, so that no count confirms itself.

    With ``neighbours``, the nearest of the samples seen last vote, too, with their labels as given:
    p_i(k) ∝ (N_k + 1)·exp(−d(h_i, μ_k)/τ + β·v_ik), and β is learnt like τ. Where classes lie in
    one place each, centroids say all and β falls.

    Args:
        num_classes: K ≥ 2.
        warmup: batches before the model is believed: ``noise_rate`` is nan until then. With 25 it
            is believed before a network has learnt wrong labels by heart; ε may still be on its way
            then, see ``has_settled``.
        class_counts: (K,) samples of each class in the training set, as labelled. Worth giving
            where classes differ in size and a sampler draws them alike. By default the labels seen
            are counted.
        lr: step size of Adam. 0.05 reaches any noise rate within some 75 batches.
        neighbours: a ``NeighbourMemory`` for the same classes, or None to go by centroids alone.
        max_counted_classes: with up to so many classes it is counted which are labelled as which;
            with more, the table would be large and mostly empty.

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
    smoothed: Tensor
    far_labels: Tensor
    recent: Tensor

    def __init__(
        self,
        num_classes: int,
        *,
        warmup: int = 25,
        class_counts: Tensor | None = None,
        lr: float = 0.05,
        neighbours: NeighbourMemory | None = None,
        max_counted_classes: int = 1000,
    ) -> None:
        num_classes = check_count("num_classes", num_classes, minimum=2)
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
        # without neighbours there is no β
        num_parameters = 3 if neighbours is None else 4
        values = (v[:num_parameters] for v in (_START, _LOWEST, _HIGHEST))
        start, *self._range = map(_to_unconstrained, values)
        counts = torch.zeros(num_classes, dtype=torch.float32)
        if class_counts is not None:
            # to where the other tables are
            counts = _check_class_counts(class_counts, num_classes).to(counts)
        self.register_table("log_parameters", start.to(counts))
        self.register_table("adam_mean", torch.zeros_like(self.log_parameters))
        self.register_table("adam_square", torch.zeros_like(self.log_parameters))
        self.register_table("adam_steps", torch.zeros((), dtype=torch.float32))
        self.register_table("label_counts", counts)
        # sum of the smoothing weights, of the weighted ε, and of the weighted shares not trusted
        self.register_table("smoothed", torch.zeros(3, dtype=torch.float32))
        # sum of the smoothing weights, and of the weighted S, P and B
        self.register_table("far_labels", torch.zeros(4, dtype=torch.float32))
        # ε after each of the last batches, newest first; inf for batches that have not been
        self.register_table("recent", torch.full((_WINDOW,), torch.inf, dtype=torch.float32))
        self.neighbours = neighbours
        is_counted = num_classes <= max_counted_classes
        self.confusion_counts = ConfusionCounts(num_classes) if is_counted else None

    @property
    def batches(self) -> int:
        """Batches seen."""
        return int(self.adam_steps)

    @property
    def is_warm(self) -> bool:
        """Whether ``warmup`` batches have been seen."""
        return self.batches >= self.warmup

    @property
    def has_settled(self) -> bool:
        """Whether ε has moved by less than 0.1 over the last 50 batches."""
        lowest, highest = map(float, self.recent.aminmax())
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
        """Share of wrong labels in the batches seen, smoothed; nan before the warm-up ends.

        The larger of ε and of the share of labels that are not trusted. ε is learnt without what
        has been counted and is too small where neighbours are confused; of samples that belong to
        no class the labels are trusted although ε knows of them.
        """
        weight, *sums = self.smoothed.tolist()
        return max(sums) / weight if weight > 0 else math.nan

    @property
    def temperature(self) -> float:
        """τ, how far from its centroid a sample of a class may lie, a geodesic length."""
        return self._numbers()[1]

    @property
    def spread(self) -> float:
        """σ, a geodesic length, small if neighbours are confused, large if anything is."""
        return self._numbers()[2]

    @property
    def vote_weight(self) -> float:
        """β, what a neighbour's vote adds to log p; 0 where no neighbours are asked."""
        return math.exp(self.log_parameters[3]) if self.neighbours is not None else 0.0

    @torch.no_grad()
    def believe(self, evidence: Evidence, labels: Tensor, beside: Belief | None = None) -> Belief:
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
        noise_rate, temperature, spread = self._numbers()
        columns = evidence.own_columns(labels)
        neighbours, votes = self._ask_neighbours(evidence, labels)
        log_likelihood = self._log_likelihood(evidence, temperature, votes)
        normaliser = None if beside is None else beside.normaliser_of_all_classes
        if normaliser is None:
            normaliser = cp.log_normaliser(evidence.column_neighbourhoods(), spread)
        log_z = normaliser.log_z
        prior = cp.log_prior(evidence.label_distances, columns, log_z, noise_rate, spread)
        without_counts = posterior = lp.label_posterior(log_likelihood, prior)
        if self.confusion_counts is not None:
            counted = self.confusion_counts.log_prior(prior, columns, noise_rate, without_counts)
            if counted is not None:
                posterior = lp.label_posterior(log_likelihood, counted)
        trust = posterior.gather(1, columns[:, None]).squeeze(1)
        likelihood = log_likelihood.exp_()
        return Belief(
            evidence,
            labels,
            likelihood,
            without_counts,
            posterior,
            trust,
            normaliser,
            neighbours,
            votes,
        )

    def posterior(self, evidence: Evidence, labels: Tensor) -> Tensor:
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

    def update(self, evidence: Evidence, labels: Tensor) -> None:
        """Learn from one batch: one step on ε, τ and σ, and on β if neighbours vote.

        Args:
            evidence: where the samples and their labels lie among the classes.
            labels: (N,) labels as given. Samples whose class is unseen teach nothing yet.
        """
        self.learn(self.believe(evidence, labels))

    @torch.no_grad()
    def learn(self, belief: Belief) -> None:
        """Learn from one batch, of which the model has made something already.

        Args:
            belief: what :meth:`believe` returned; nothing has been learnt since.
        """
        if self.counts_labels:
            self.label_counts += torch.bincount(belief.labels, minlength=self.num_classes)
        everything = belief
        known = belief.evidence.seen[belief.labels]
        if not known.all():
            belief = belief.select(known)
        if len(belief.labels) and belief.evidence.seen.sum() > 1:
            self._step(belief)
            self._hold(belief)
            self._count(belief)
        if self.neighbours is not None:
            points, labels = everything.evidence.points, everything.labels
            self.neighbours.learn(points, labels, everything.neighbours)
        self.adam_steps += 1
        rate = self.log_parameters[0].sigmoid()
        self.recent = torch.cat([rate[None], self.recent[:-1]])
        if self.is_warm and len(belief.labels):
            distrusted = (~lp.trusted_labels(belief.trust)).to(rate).mean()
            latest = torch.stack([torch.ones_like(rate), rate, distrusted])
            self.smoothed.lerp_(latest, 1 - _SMOOTHING)

    def _numbers(self) -> tuple[float, float, float]:
        """ε, τ and σ."""
        logit, log_temperature, log_spread = self.log_parameters[:3].tolist()
        return 1 / (1 + math.exp(-logit)), math.exp(log_temperature), math.exp(log_spread)

    def _ask_neighbours(
        self, evidence: Evidence, labels: Tensor
    ) -> tuple[Tensor | None, Tensor | None]:
        """(N, k) labels of the nearest remembered samples and (N, K) their votes, if any."""
        memory = self.neighbours
        if memory is None or evidence.candidates is not None:
            return None, None
        neighbours = memory.neighbours(evidence.points)
        if neighbours is None:
            return None, None
        votes = memory.votes(neighbours, labels)
        if evidence.view_ids is not None:
            votes = mean_over_views(votes, evidence.view_ids)
        return neighbours, votes

    def _log_likelihood(
        self, evidence: Evidence, temperature: float, votes: Tensor | None
    ) -> Tensor:
        log_sizes = evidence.by_column(self.label_counts).log1p()
        if evidence.candidates is not None:
            log_sizes = log_sizes + evidence.candidates.weights.log()
        if votes is not None:
            log_sizes = log_sizes + self.vote_weight * votes
        return lp.class_log_likelihood(evidence.distances, temperature, log_sizes)

    def _step(self, belief: Belief) -> None:
        evidence = belief.evidence
        columns = evidence.own_columns(belief.labels)
        gradient = -lp.marginal_gradient(
            belief.without_counts,
            belief.likelihood,
            belief.without_counts.gather(1, columns[:, None]).squeeze(1),
            evidence.distances.nan_to_num(posinf=0),  # of classes that are unseen
            evidence.label_distances.nan_to_num(posinf=0),
            belief.normaliser.mean_distance,
            columns,
            self.log_parameters[:3],
        )
        if self.neighbours is not None:
            gradient = torch.cat([gradient, -self._vote_gradient(belief)])
        adam(
            [self.log_parameters],
            [gradient],
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
        self.log_parameters.clamp_(*(end.to(self.log_parameters) for end in self._range))

    def _vote_gradient(self, belief: Belief) -> Tensor:
        slope = 0.0
        if belief.votes is not None:
            slope = nv.weight_gradient(
                belief.without_counts, belief.likelihood, belief.votes, self.vote_weight
            )
        return self.log_parameters.new_tensor([slope])

    def _hold(self, belief: Belief) -> None:
        """Keep ε from falling below the share of random labels, once it has settled."""
        has_begun = float(self.far_labels[0]) > 0
        if not has_begun and not (self.is_warm and self.has_settled):
            return
        evidence = belief.evidence
        shares = rl.far_label_shares(
            evidence.distances,
            evidence.column_weights(),
            evidence.own_columns(belief.labels),
            belief.likelihood,
        )
        one = shares.new_ones(1)
        self.far_labels.lerp_(torch.cat([one, shares]).to(self.far_labels), 1 - _SMOOTHING)
        weight, *sums = self.far_labels.tolist()
        if weight > _ENOUGH:
            lowest = rl.share_at_random(*(x / weight for x in sums))
            # the range of ε holds as ever
            bound = _logit(min(max(lowest, _LOWEST[0]), _HIGHEST[0]))
            self.log_parameters[0].clamp_min_(bound)

    def _count(self, belief: Belief) -> None:
        divergence, weights = belief.evidence.neighbourhoods
        counts = self.confusion_counts
        if counts is not None and weights is None and self.is_warm and self.has_settled:
            counts.learn(belief.without_counts, belief.labels, divergence, self.spread)


def _to_unconstrained(values: tuple[float, ...]) -> Tensor:
    """(logit ε, log τ, log σ) and, where there is one, log β."""
    noise_rate, *others = values
    values = (_logit(noise_rate), *map(math.log, others))
    return torch.tensor(values, dtype=torch.float32, device="cpu")


def _logit(share: float) -> float:
    return math.log(share / (1 - share))


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
