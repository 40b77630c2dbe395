"""Options for samples with doubtful labels, and their defaults."""

from dataclasses import dataclass
from typing import Any, Literal

from torch import Tensor

from ..checks import check_count
from ..labels.label_posterior import LabelPosterior
from ..labels.posterior import reaching, trusted_labels
from .judgement import Judgement
from .relabelling import Relabelling, check_trust_threshold
from .replay_memory import ReplayMemory

# Eight batches of 128: enough to hold several samples per class, recent enough to fit the current
# network.
_MEMORY_SIZE = 1024

# With relabelling, leaving out a right label costs little; keeping a wrong one costs as before.
_TRUST_THRESHOLD = 0.8


@dataclass(frozen=True)
class DoubtfulSamples:
    """Options for samples with doubtful labels: relabelling, replay and the trust threshold.

    Args:
        relabel: which of them get another label, or None for no relabelling.
        memory_size: number of past samples kept to replace them, 0 for none.
        trust_threshold: in [0.5, 0.9999], the trust that a label must exceed once the noise rate
            has settled; None keeps using ``posterior.trusted_labels``.
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
        """Check the wrapper's options; "auto" means on if ``relabel`` is given.

        Raises:
            TypeError, ValueError: if an option has the wrong type or is out of range, or is given
                both here and by its old name in ``relabel``.
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
        """Create an empty memory of past samples; None if its size is 0."""
        if self.memory_size == 0:
            return None
        return ReplayMemory(self.memory_size, embedding_size, num_classes)

    @property
    def waits_for_settling(self) -> bool:
        """Whether anything changes once the noise rate has settled."""
        return self.relabel is not None or self.trust_threshold is not None

    def judge(
        self,
        belief: LabelPosterior,
        trust: Tensor,
        noise_rate: float | None,
        least_trust: float = 0.0,
    ) -> Judgement:
        """Decide which samples are trusted, take part and are relabelled.

        Args:
            belief: the label model's posterior for the samples.
            trust: (N,) the model's trust in their labels, or 1 where the model is not used.
            noise_rate: the model's estimate, or None until it has settled.
            least_trust: the trust that a label must reach because the noise rate is known.
        """
        if noise_rate is None or self.trust_threshold is None:
            as_given = trusted_labels(trust, least_trust)
        else:
            as_given = reaching(least_trust, trust, trust > self.trust_threshold)
        if noise_rate is None or self.relabel is None:
            takes_part, believed, relabels = as_given, belief.labels, False
        else:
            takes_part, believed = self.relabel.decide(belief, as_given, noise_rate)
            relabels = True
        return Judgement(
            trust, takes_part, believed, as_given, relabels=relabels, least_trust=least_trust
        )

    def may_stand_in(self, trust: Tensor, least_trust: float = 0.0) -> Tensor:
        """(N,) bool: the remembered samples that are still trusted.

        A sample trusted while features were poor may not be trusted now.

        Args:
            trust: (N,) trust in their labels.
            least_trust: the trust that a label must reach because the noise rate is known.
        """
        threshold = 0.5 if self.trust_threshold is None else self.trust_threshold
        return reaching(least_trust, trust, trust > threshold)


def _chosen(name: str, given: Any, by_old_name: Any, automatic: Any) -> Any:
    """Return an option: as given, by its old name in a Relabelling, or the value of "auto"."""
    is_automatic = isinstance(given, str) and given == "auto"
    if by_old_name is not None:
        if not is_automatic:
            raise ValueError(
                f"{name} must be given to AdaptiveNoiseAwareLoss alone, got it in relabel as well"
            )
        return by_old_name
    return automatic if is_automatic else given
