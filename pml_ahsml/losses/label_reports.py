"""Queries about labels that the wrapper answers without learning."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from ..classes.class_statistics import ClassStatistics
from ..labels.label_noise_model import LabelNoiseModel
from ..labels.label_posterior import LabelPosterior
from .arguments import Arguments, to_classes
from .label_judge import LabelJudge
from .sample_identity import check_sample_ids

# Samples are judged in blocks of so many probabilities: with 11,318 classes some 200 MB at once.
_BLOCK = 1 << 21


class WithLabelReports:
    """Queries the label model and the class statistics of a wrapper, without changing them."""

    num_classes: int
    num_samples: int | None
    class_statistics: ClassStatistics
    noise_model: LabelNoiseModel

    @property
    def noise_rate(self) -> float:
        """Estimated share of wrong labels in the batches seen; nan before the warm-up ends."""
        return self.noise_model.noise_rate

    @torch.no_grad()
    def trust(self, embeddings: Tensor, labels: Tensor, sample_ids: Tensor | None = None) -> Tensor:
        """Probability that each label is right. Changes no state.

        Args:
            embeddings: (N, D).
            labels: (N,) integers in [0, num_classes), as given.
            sample_ids: (N,) rows of the training set, or None for other samples. With ids, samples
                do not vote for their own labels, and earlier opinions of them count.

        Returns:
            (N,) in [0, 1]; 1 during the warm-up, and for classes still in their own.
        """
        return self._in_blocks(embeddings, labels, sample_ids, self._judge().trust)

    @torch.no_grad()
    def posterior(
        self, embeddings: Tensor, labels: Tensor, sample_ids: Tensor | None = None
    ) -> Tensor:
        """Posterior over the true class of each sample; takes the arguments of :meth:`trust`.

        Returns:
            (N, num_classes), rows sum to 1; one-hot at the given label during the warm-up, and for
            classes still in their own.
        """
        return self._in_blocks(embeddings, labels, sample_ids, self._judge().posterior)

    def class_divergence(self, classes: Tensor | Sequence[int] | None = None) -> Tensor:
        """Geodesic distances between class centroids.

        Args:
            classes: (C,) classes; all by default.

        Returns:
            (C, C) geodesic lengths; nan for classes not seen yet.
        """
        return self.class_statistics.divergence(to_classes(classes))

    def _arguments(self) -> Arguments:
        raise NotImplementedError

    def _judge(self) -> LabelJudge:
        raise NotImplementedError

    def _in_blocks(
        self,
        embeddings: Tensor,
        labels: Tensor,
        sample_ids: Tensor | None,
        report: Callable[[LabelPosterior], Tensor],
    ) -> Tensor:
        """(N, …) the report on each sample, from beliefs about blocks of them."""
        labels = self._arguments().labels(embeddings, labels)
        if sample_ids is not None:
            sample_ids, checks = check_sample_ids(sample_ids, labels, self.num_samples)
            for check in checks:
                check.now()
        step = max(1, _BLOCK // self.num_classes)
        whole = first = None
        for start in range(0, max(1, len(labels)), step):
            rows = slice(start, start + step)
            ids = {"sample_ids": None if sample_ids is None else sample_ids[rows]}
            belief = self._judge().believe(embeddings[rows], labels[rows], ids, first)
            of_block = report(belief)
            if whole is None:
                whole, first = of_block.new_empty(len(labels), *of_block.shape[1:]), belief
            whole[rows] = of_block
        assert whole is not None
        return whole
