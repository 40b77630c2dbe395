"""Samples whose labels are known to be right."""

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor

from ..checks import check_count, check_integers, in_range, to_tensor
from ..state.module_with_tables import ModuleWithTables
from ..state.saved_state import Rule
from .label_posterior import LabelPosterior
from .posterior import taken_at_their_word


class CleanSamples(ModuleWithTables):
    """Remembers which samples have labels that somebody has checked, one byte per sample.

    For such a sample i the true class is known, so t_i(k) = [k = y_i], whatever the witnesses say.
    What is learnt from posteriors is then learnt from the truth.

    Args:
        num_samples: training set size S ≥ 1.
        clean_ids: (M,) integers in [0, S), in any order.

    Raises:
        ValueError, TypeError: if an id is out of range or no integer.

    Source:
        This project.

    Example:
        >>> CleanSamples(num_samples=4, clean_ids=[0, 3]).is_clean
        tensor([1, 0, 0, 1], dtype=torch.uint8)
    """

    is_clean: Tensor

    def __init__(self, num_samples: int, clean_ids: Tensor | Sequence[int]) -> None:
        num_samples = check_count("num_samples", num_samples, minimum=1)
        given = to_tensor("clean_ids", clean_ids)
        # an empty list has no integer dtype
        ids = check_integers("clean_ids", given if given.numel() else given.long())
        if ids.ndim != 1:
            raise ValueError(f"clean_ids must be of shape (M,), got {tuple(ids.shape)}")
        in_range("clean_ids", ids, num_samples).now()
        super().__init__()
        is_clean = torch.zeros(num_samples, dtype=torch.uint8)
        is_clean[ids] = 1
        self.register_table("is_clean", is_clean, Rule(lowest=0, highest=1))

    @torch.no_grad()
    def believed(self, belief: LabelPosterior) -> LabelPosterior:
        """Replace the posteriors of the clean samples of a batch.

        Args:
            belief: the posterior of all witnesses. Samples without ids stay as they are.

        Returns:
            The same, certain of the given label where it is known to be right.
        """
        ids, opinion = belief.evidence.sample_ids, belief.opinion
        if ids is None:
            return belief
        rows, columns = self.is_clean[ids].bool(), belief.evidence.own_columns(belief.labels)

        def certain(posterior: Tensor) -> Tensor:
            return taken_at_their_word(posterior, columns, rows)

        if opinion is not None:
            opinion = opinion._replace(
                posterior=certain(opinion.posterior), lenient=certain(opinion.lenient)
            )
        return replace(
            belief,
            posterior_by_distance=certain(belief.posterior_by_distance),
            posterior=certain(belief.posterior),
            trust=belief.trust.masked_fill(rows, 1),
            opinion=opinion,
        )
