"""What becomes of samples whose label is doubtful: three switches and their defaults."""

from dataclasses import dataclass
from typing import Any, Literal

from torch import Tensor

from ..checks import check_count
from ..labels import posterior as lp
from ..labels.label_posterior import LabelPosterior
from .judgement import Judgement
from .relabelling import Relabelling, check_trust_threshold
from .replay_memory import ReplayMemory

# Eight batches of 128 are old enough to hold several samples of a class and young enough to fit the
# present network.
_MEMORY_SIZE = 1024

# With relabelling on, a right label left out has become cheap and a wrong one kept has not.
_TRUST_THRESHOLD = 0.8


@dataclass(frozen=True)
class DoubtfulSamples:
    """What becomes of doubtful samples besides that they are left out.

    Args:
        relabel: which of them get another label, or None for none of them.
        memory_size: number of past samples that may stand in for them, 0 for none.
        trust_threshold: in [0.5, 0.9999], what trust in a label must exceed once the noise rate has
            settled; None goes on with ``posterior.trusted_labels``.
    """

    relabel: Relabelling | None
    memory_size: int
    trust_threshold: float | None

    @classmethod
    def of(
        cls,
        relabel: Relabelling | None,
        replay_memory: int | Literal["auto"] | None,
        trust_threshold: float | Literal["auto"] | None,
    ) -> "DoubtfulSamples":
        """The switches as the wrapper takes them, checked; "auto" is on where ``relabel`` is.

        Raises:
            TypeError, ValueError: for an option of another kind or outside its range, and for one
                that is given here and by its old name in ``relabel``.
        """
        if relabel is not None and not isinstance(relabel, Relabelling):
            raise TypeError(f"relabel must be a Relabelling, got {type(relabel).__name__}")
        is_on = relabel is not None
        old_size = old_threshold = None
        if relabel is not None:
            old_size, old_threshold = relabel.memory_size, relabel.trust_threshold
        size = _chosen("replay_memory", replay_memory, old_size, _MEMORY_SIZE if is_on else None)
        threshold = _chosen(
            "trust_threshold", trust_threshold, old_threshold, _TRUST_THRESHOLD if is_on else None
        )
        return cls(
            relabel,
            0 if size is None else check_count("replay_memory", size, minimum=0),
            None if threshold is None else check_trust_threshold(threshold),
        )

    def new_memory(self, embedding_size: int, num_classes: int) -> ReplayMemory | None:
        """An empty memory of past samples, or None for none."""
        if self.memory_size == 0:
            return None
        return ReplayMemory(self.memory_size, embedding_size, num_classes)

    @property
    def waits_for_settling(self) -> bool:
        """Whether anything changes once the noise rate has settled."""
        return self.relabel is not None or self.trust_threshold is not None

    def judge(self, belief: LabelPosterior, trust: Tensor, noise_rate: float | None) -> Judgement:
        """Which labels are believed.

        Args:
            belief: what the label model makes of the samples.
            trust: (N,) in their labels: the model's, or 1 where it is not asked.
            noise_rate: the model's estimate, or None until it has settled.
        """
        trusted = lp.trusted_labels(trust)
        if noise_rate is None:
            return Judgement(trusted, trusted, belief.labels, relabels=False)
        as_given = trusted if self.trust_threshold is None else trust > self.trust_threshold
        if self.relabel is None:
            return Judgement(trusted, as_given, belief.labels, relabels=False)
        takes_part, believed = self.relabel.decide(belief, as_given, noise_rate)
        return Judgement(trusted, takes_part, believed, relabels=True)

    def may_stand_in(self, trust: Tensor) -> Tensor:
        """(N,) bool: the remembered samples that are trusted now, too.

        What was trusted while features were poor need not be.

        Args:
            trust: (N,) in their labels.
        """
        return trust > (0.5 if self.trust_threshold is None else self.trust_threshold)


def _chosen(name: str, given: Any, by_old_name: Any, automatic: Any) -> Any:
    """A switch: as given, by its old name in a Relabelling, or what "auto" stands for."""
    is_automatic = isinstance(given, str) and given == "auto"
    if by_old_name is not None:
        if not is_automatic:
            raise ValueError(
                f"{name} must be given to AdaptiveNoiseAwareLoss alone, got it in relabel, too"
            )
        return by_old_name
    return automatic if is_automatic else given
