"""Queries about labels that the wrapper answers without learning."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from ..audit.arguments import directions, labels_and_classes, names_of
from ..audit.assembly import Opinion, assembled
from ..audit.judging.judgement import noise_rate_bounds
from ..audit.judging.neighbours import nearest_others
from ..audit.label_audit import LabelAudit
from ..checks import check_count
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

    @torch.no_grad()
    def audit(
        self,
        embeddings: Tensor,
        labels: Tensor,
        sample_ids: Tensor | None = None,
        *,
        class_names: Sequence[str] | None = None,
        sample_names: Sequence[str] | None = None,
        k: int = 10,
    ) -> LabelAudit:
        """Put what training has taught about some labels together as an audit. Changes no state.

        Trust and suggested classes are those of √(t_i(k)·o_i(k)), with t the :meth:`posterior` by
        which training judges labels, and o that of the ``SecondOpinion``; of t, while that knows
        nothing. Training hears o with care: it doubts some hard samples, which would then never be
        learnt. For the order of a list o is worth as much as t.
        :func:`pml_ahsml.audit_labels` asks the embeddings alone instead, and needs no training.

        Args:
            embeddings: (N, D) of the network in eval mode.
            labels: (N,) integers in [0, num_classes), as given.
            sample_ids: (N,) rows of the training set, or None, as in :meth:`trust`.
            class_names: num_classes names; by default the numbers.
            sample_names: N names, for example of files.
            k: number of neighbours to show, by cosine, ≥ 1.

        Returns:
            The audit. Labels are not judged during the warm-up.

        Raises:
            ValueError: if a shape or a value is out of range.
            TypeError: if an argument is of a wrong type.
        """
        names = names_of("class_names", class_names, self.num_classes)
        names = names or tuple(str(number) for number in range(self.num_classes))
        k = check_count("k", k, minimum=1)
        columns = self._in_blocks(embeddings, labels, sample_ids, self._judge().summary).cpu()
        trust, confidence, suggested, judged = columns.unbind(1)
        points = directions(embeddings)
        labels, classes = labels_and_classes(labels, len(points), names)
        is_judged = judged > 0
        rate, interval = noise_rates(trust, is_judged)
        opinion = Opinion(
            trust=trust.float(),
            suggested=suggested.long(),
            confidence=confidence.float(),
            is_judged=is_judged,
            noise_rate=rate,
            noise_rate_interval=interval,
        )
        found = names_of("sample_names", sample_names, len(points))
        return assembled(points, labels, opinion, nearest_others(points, k), classes, found)

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
        whole = None
        for start in range(0, max(1, len(labels)), step):
            rows = slice(start, start + step)
            ids = {"sample_ids": None if sample_ids is None else sample_ids[rows]}
            belief = self._judge().believe(embeddings[rows], labels[rows], ids)
            of_block = report(belief)
            if whole is None:
                whole = of_block.new_empty(len(labels), *of_block.shape[1:])
            whole[rows] = of_block
        assert whole is not None
        return whole


def noise_rates(trust: Tensor, is_judged: Tensor) -> tuple[float, tuple[float, float]]:
    """Expected share of wrong labels, and bounds of it.

    Args:
        trust: (N,).
        is_judged: (N,) bool.

    Returns:
        The mean of 1 − trust, and its :func:`noise_rate_bounds`; zeros if nothing is judged.

    Example:
        >>> rate, (low, high) = noise_rates(torch.tensor([0.0, 0.5, 1.0]), torch.ones(3).bool())
        >>> rate, low < rate < high
        (0.5, True)
    """
    judged = trust[is_judged]
    rate = float((1 - judged).double().mean()) if len(judged) else 0.0
    return rate, noise_rate_bounds(judged, judged, rate)
