"""The base class of the label model's witnesses."""

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from ...classes.class_distances import ClassDistances
from ...state.module_with_tables import ModuleWithTables


class Parameter(NamedTuple):
    """A positive number that the label model learns on a logarithmic scale.

    Args:
        name: its name in ``LabelNoiseModel.parameter``.
        start: its first value.
        lowest: the smallest value it may take.
        highest: the largest.
    """

    name: str
    start: float
    lowest: float
    highest: float


@dataclass(frozen=True)
class Lesson:
    """A judged batch for a witness to learn from.

    Args:
        evidence: distances of the samples to the classes, without samples labelled with a class
            never seen.
        labels: (N,) their labels as given.
        posterior: (N, K) t_i(k) without counted confusions: counts must not confirm themselves.
        log_spread: () log σ of the confusion prior, after this batch.
        has_settled: whether the model is warm and its noise rate has settled.
    """

    evidence: ClassDistances
    labels: Tensor
    posterior: Tensor
    log_spread: Tensor
    has_settled: bool

    @property
    def spread(self) -> Tensor:
        """() σ."""
        return self.log_spread.exp()


class Witness(ModuleWithTables):
    """A source of evidence for the class of a sample.

    The label model asks every witness, adds up their evidence and learns their parameters. It uses
    these methods only. Each has a default; a witness overrides those that it needs.

    - :meth:`ask`: finds its *answer* about a batch.
    - :meth:`add_to`: adds its log evidence for each class.
    - :meth:`slope`: gives the slope of the likelihood by its parameter.
    - :meth:`revise`: changes how likely a class is labelled as another.
    - :meth:`learn` and :meth:`remember`: learn from judged rows, or from all rows.

    Example:
        >>> class Coin(Witness):
        ...     parameter = Parameter("bias", 1.0, 0.1, 10.0)
        ...     def add_to(self, log_odds, evidence, answer, value):
        ...         return log_odds + value  # the same for all classes: says nothing
        >>> from pml_ahsml import LabelNoiseModel
        >>> LabelNoiseModel(3, witnesses={"coin": Coin()}).parameter("bias")
        1.0
    """

    parameter: Parameter | None = None

    def ask(self, evidence: ClassDistances, labels: Tensor) -> tuple[Tensor, ...] | None:
        """Return what the witness knows about a batch.

        Args:
            evidence: distances of the samples to the classes.
            labels: (N,) labels as given.

        Returns:
            Tensors with a row for each sample, or None if it has no evidence.
        """
        return ()

    def add_to(
        self, log_odds: Tensor, evidence: ClassDistances, answer: tuple[Tensor, ...], value: float
    ) -> Tensor:
        """Return the log odds of the classes with the evidence of this witness added.

        Args:
            log_odds: (K,) or (N, K), not to be changed.
            evidence: distances of the samples to the classes.
            answer: answer of :meth:`ask`.
            value: value of the parameter; nan without one.
        """
        return log_odds

    def slope(
        self,
        surprise: Tensor,
        evidence: ClassDistances,
        answer: tuple[Tensor, ...] | None,
        value: float,
    ) -> Tensor:
        """Slope of the log marginal likelihood by the logarithm of the parameter.

        Args:
            surprise: (N, K) t_i(k) − p_i(k), what the label changed.
            evidence: distances of the samples to the classes.
            answer: answer of :meth:`ask`.
            value: value of the parameter.
        """
        return surprise.new_zeros(())

    def revise(
        self, log_prior: Tensor, columns: Tensor, noise_rate: float, posterior: Tensor
    ) -> Tensor | None:
        """Revise the log-probability that a sample of class k is labelled y_i.

        Args:
            log_prior: (N, K) log T_{k,y_i} by the distances, not to be changed.
            columns: (N,) columns of the labels.
            noise_rate: ε in (0, 1).
            posterior: (N, K) t_i(k) by ``log_prior``.

        Returns:
            (N, K), or None to leave it as it is.
        """
        return None

    def learn(self, lesson: Lesson) -> None:
        """Learn from a judged batch."""

    def remember(self, points: Tensor, labels: Tensor, answer: tuple[Tensor, ...] | None) -> None:
        """Learn from all samples of a batch, those labelled with a class never seen included.

        Args:
            points: (N, D + 1) points of the hyperboloid.
            labels: (N,) labels as given.
            answer: answer of :meth:`ask`.
        """


def mean_product(surprise: Tensor, values: Tensor, factor: float = 1.0) -> Tensor:
    """factor·mean_i Σ_k surprise_ik·values_ik; where nothing surprises, a value of inf counts as 0.

    Summed in float64, so that the order of rows does not matter.
    """
    return (surprise * values).nansum(dtype=torch.float64) * (factor / len(surprise))
