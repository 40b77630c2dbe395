"""What the label model says of a batch, and which of its labels are believed."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from ..classes.class_statistics import ClassStatistics
from ..labels import posterior as lp
from ..labels.label_noise_model import LabelNoiseModel
from ..labels.label_posterior import LabelPosterior
from .doubtful_samples import DoubtfulSamples
from .judgement import Judgement


@dataclass(frozen=True)
class LabelJudge:
    """Judges labels by the state as it is. Changes none.

    Args:
        statistics: where classes lie.
        model: how wrong labels are.
        class_warmup: visits of a class before its labels are judged.
        doubtful: what becomes of doubtful samples.
    """

    statistics: ClassStatistics
    model: LabelNoiseModel
    class_warmup: int
    doubtful: DoubtfulSamples

    @torch.no_grad()
    def believe(
        self,
        embeddings: Tensor,
        labels: Tensor,
        ids: Mapping[str, Tensor | None] | None = None,
        normaliser_from: LabelPosterior | None = None,
    ) -> LabelPosterior:
        """What the label model makes of samples.

        Args:
            embeddings: (N, D).
            labels: (N,) as given.
            ids: by name, as in ``Batch.ids``: "view_ids", (N,) views of one sample share theirs, or
                None where each row is a sample; "sample_ids", (N,) rows of the training set, or
                None. None for neither.
            normaliser_from: posterior of other samples by the same state; its normaliser is reused
                to save time.
        """
        statistics = self.statistics.on(embeddings.device)
        ids = ids or {}
        evidence = statistics.evidence(embeddings, labels, ids.get("view_ids"))
        evidence = replace(evidence, sample_ids=ids.get("sample_ids"))
        return self.model.on(embeddings.device).believe(evidence, labels, normaliser_from)

    def trust(self, belief: LabelPosterior) -> Tensor:
        """(N,) probability that a label is right; 1 where the model is not asked yet."""
        return belief.trust.masked_fill(self._in_warmup(belief.labels), 1)

    def posterior(self, belief: LabelPosterior) -> Tensor:
        """(N, K) probability of each class; all on the label where the model is not asked yet."""
        posterior = belief.evidence.for_all_classes(belief.posterior)
        return lp.taken_at_their_word(posterior, belief.labels, self._in_warmup(belief.labels))

    @torch.no_grad()
    def judge(self, belief: LabelPosterior) -> Judgement:
        """Which labels the wrapped loss and the centroids go by."""
        model = self.model
        # (what is not needed is not read from the device)
        has_settled = self.doubtful.waits_for_settling and model.is_warm and model.has_settled
        noise_rate = model.noise_rate if has_settled else None
        return self.doubtful.judge(belief, self.trust(belief), noise_rate)

    def _in_warmup(self, labels: Tensor) -> Tensor:
        """(N,) bool: the samples whose label is believed whatever the model says."""
        if not self.model.is_warm:
            return torch.ones_like(labels, dtype=torch.bool)
        return self.statistics.visits[labels] < self.class_warmup
