"""The evidence of all witnesses combined, and the slopes of the likelihood of the labels."""

import math
from collections.abc import Mapping

from torch import Tensor

from ..classes.class_distances import ClassDistances
from . import confusion_prior as cp
from . import posterior as lp
from .label_posterior import LabelPosterior
from .second_opinion import SecondOpinion
from .witnesses.witness import Witness


def log_likelihood(
    evidence: ClassDistances,
    log_counts: Tensor,
    witnesses: Mapping[str, Witness],
    answers: Mapping[str, tuple[Tensor, ...] | None],
    values: Mapping[str, float],
) -> Tensor:
    """(N, K) log p_i(k) ∝ log(N_k + 1) + Σ_w evidence of witness w for class k.

    Args:
        evidence: distances of the samples to the classes.
        log_counts: (K,) log(N_k + 1).
        witnesses: witnesses by name.
        answers: answer of each witness about the samples.
        values: values of the parameters by name.
    """
    log_odds = evidence.by_column(log_counts)
    if evidence.candidates is not None:
        log_odds = log_odds + evidence.candidates.weights.log()
    for name, witness in witnesses.items():
        answer = answers[name]
        if answer is not None:
            value = values[witness.parameter.name] if witness.parameter else math.nan
            log_odds = witness.add_to(log_odds, evidence, answer, value)
    return log_odds.log_softmax(dim=1)


def judged(
    evidence: ClassDistances,
    labels: Tensor,
    label_counts: Tensor,
    witnesses: Mapping[str, Witness],
    values: Mapping[str, float],
    normaliser: cp.Normaliser | None,
    second_opinion: SecondOpinion | None,
) -> LabelPosterior:
    """Combine all witnesses and the given labels by Bayes' rule.

    Args:
        evidence: distances of the samples to the classes.
        labels: (N,) labels as given.
        label_counts: (K,) N_k.
        witnesses: witnesses by name.
        values: values of the parameters by name.
        normaliser: normaliser of the confusion prior, if already known.
        second_opinion: averaged with the witnesses' posterior by its weight; None for none.
    """
    noise_rate, spread = values["noise_rate"], values["spread"]
    columns = evidence.own_columns(labels)
    answers = {name: witness.ask(evidence, labels) for name, witness in witnesses.items()}
    log_counts = label_counts.log1p()
    log_p = log_likelihood(evidence, log_counts, witnesses, answers, values)
    if normaliser is None:
        normaliser = cp.log_normaliser(evidence.column_neighbourhoods(), spread)
    prior = cp.log_prior(evidence.label_distances, columns, normaliser.log_z, noise_rate, spread)
    by_distance = posterior = lp.label_posterior(log_p, prior)
    for witness in witnesses.values():
        revised = witness.revise(prior, columns, noise_rate, by_distance)
        if revised is not None:
            prior = revised
            posterior = lp.label_posterior(log_p, prior)
    opinion = trust = None
    if second_opinion is not None:
        opinion = second_opinion.ask(evidence, labels, log_counts)
        weight = second_opinion.weight
        if opinion is not None and opinion.before is not None:
            trust = _trust(posterior, columns)
            opinion = opinion._replace(unheard_trust=trust)
        if opinion is not None and weight:
            posterior = posterior.lerp(opinion.posterior, weight)
            trust = _trust(posterior, columns)
    if trust is None:
        trust = _trust(posterior, columns)
    likelihood = log_p.exp_()
    return LabelPosterior(
        evidence, labels, likelihood, by_distance, posterior, trust, normaliser, opinion, answers
    )


def _trust(posterior: Tensor, columns: Tensor) -> Tensor:
    """(N,) posterior of the given labels."""
    return posterior.gather(1, columns[:, None]).squeeze(1)


def slopes(
    belief: LabelPosterior, witnesses: Mapping[str, Witness], values: Mapping[str, float]
) -> dict[str, Tensor]:
    """Slopes of the log marginal likelihood by each parameter.

    Counted confusions and the second opinion do not enter.

    Args:
        belief: the model's posterior for a batch.
        witnesses: witnesses by name.
        values: values of the parameters by name.
    """
    evidence, posterior = belief.evidence, belief.posterior_by_distance
    columns = evidence.own_columns(belief.labels)
    by_noise_rate, by_spread = lp.prior_slopes(
        posterior,
        belief.trust_by_distance,
        evidence.label_distances,
        belief.normaliser.mean_distance,
        columns,
        values["noise_rate"],
        values["spread"],
    )
    by_name: dict[str, Tensor] = {"noise_rate": by_noise_rate, "spread": by_spread}
    surprise = posterior - belief.likelihood
    for name, witness in witnesses.items():
        if witness.parameter is not None:
            own = witness.parameter.name
            by_name[own] = witness.slope(surprise, evidence, belief.answers[name], values[own])
    return by_name
