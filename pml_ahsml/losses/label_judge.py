"""Judge the labels of a batch: posterior, trust and decisions."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from ..classes.class_means import Groups
from ..classes.class_statistics import ClassStatistics
from ..labels import posterior as lp
from ..labels.label_noise_model import LabelNoiseModel
from ..labels.label_posterior import LabelPosterior
from .doubtful_samples import DoubtfulSamples
from .judgement import Judgement


@dataclass(frozen=True)
class LabelJudge:
    """Judges labels by the current state, without changing it.

    Args:
        statistics: the class statistics.
        model: the label model.
        class_warmup: batches that must contain a class before its labels are judged.
        doubtful: options for doubtful samples.
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
        groups: Groups | None = None,
    ) -> LabelPosterior:
        """Compute the label model's posterior for a batch.

        Args:
            embeddings: (N, D).
            labels: (N,) labels as given.
            ids: by name, as in ``Batch.ids``: "view_ids", (N,) one id for all views of a sample, or
                None if each row is a sample; "sample_ids", (N,) rows of the training set, or None.
                None for neither.
            groups: the samples by label; None if not known yet.
        """
        statistics = self.statistics.on(embeddings.device)
        ids = ids or {}
        evidence = statistics.evidence(embeddings, labels, ids.get("view_ids"), groups)
        evidence = replace(evidence, sample_ids=ids.get("sample_ids"))
        return self.model.on(embeddings.device).believe(evidence, labels)

    def in_full(self, belief: LabelPosterior) -> LabelPosterior:
        """Replace t_i(k) by √(t_i(k)·o_i(k)), so that the second opinion o is heard in full.

        Training hears it with care: a hard sample that is doubted is never learnt.
        """
        opinion, of_model = belief.opinion, self.model.second_opinion
        if opinion is None or of_model is None or not of_model.speaks:
            return belief
        posterior = lp.geometric_mean(belief.posterior, opinion.posterior)
        trust = posterior.gather(1, belief.evidence.own_columns(belief.labels)[:, None]).squeeze(1)
        return replace(belief, posterior=posterior, trust=trust)

    def trust(self, belief: LabelPosterior) -> Tensor:
        """(N,) probability that each label is right; 1 where the model is not used yet."""
        return belief.trust.masked_fill(self._in_warmup(belief.labels), 1)

    def posterior(self, belief: LabelPosterior) -> Tensor:
        """(N, K) class probabilities; one-hot at the label where the model is not used yet."""
        posterior = belief.evidence.for_all_classes(belief.posterior)
        return lp.taken_at_their_word(posterior, belief.labels, self._in_warmup(belief.labels))

    def summary(self, belief: LabelPosterior) -> Tensor:
        """(N, 4) trust, probability of the likeliest class, this class, and whether it is judged.

        The second opinion is heard in full. In float64, which holds the number of any class.
        """
        belief = self.in_full(belief)
        confidence, suggested = self.posterior(belief).max(1)
        is_judged = ~self._in_warmup(belief.labels)
        columns = (self.trust(belief), confidence, suggested, is_judged)
        return torch.stack([column.double() for column in columns], 1)

    def may_stand_in(self, belief: LabelPosterior) -> Tensor:
        """(N,) bool: the remembered samples that are still trusted."""
        return self.doubtful.may_stand_in(self.trust(belief), self.model.trust_needed)

    @torch.no_grad()
    def judge(self, belief: LabelPosterior) -> Judgement:
        """Decide which labels the wrapped loss and the centroids use."""
        model = self.model
        has_settled = self.doubtful.waits_for_settling and model.is_warm and model.has_settled
        noise_rate = model.noise_rate if has_settled else None
        is_new = self._in_warmup(belief.labels)
        trust = belief.trust.masked_fill(is_new, 1)
        judgement = self.doubtful.judge(belief, trust, noise_rate, model.trust_needed)
        # all that the host must know of the batch from here on, by one read
        masks = [is_new, judgement.takes_part]
        if judgement.as_given is not judgement.takes_part:
            masks.append(judgement.as_given)
        numbers = belief.read_counts(*masks)
        return replace(
            judgement,
            num_not_judged=numbers[0],
            num_taking_part=numbers[1],
            num_as_given=numbers[-1],
        )

    def _in_warmup(self, labels: Tensor) -> Tensor:
        """(N,) bool: samples whose label is believed regardless of the model."""
        if not self.model.is_warm:
            return torch.ones_like(labels, dtype=torch.bool)
        return self.statistics.visits[labels] < self.class_warmup
