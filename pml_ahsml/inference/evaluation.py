"""PML's evaluation and retrieval classes, set up for the distance of training.

By default PML's InferenceModel and testers normalise embeddings, its AccuracyCalculator ranks by
Euclidean distance and its MatchFinder compares by cosine similarity. With hyperbolic embeddings
these defaults run without error, but measure something other than what was trained.
"""

from typing import Any

import torch
from pytorch_metric_learning.utils.accuracy_calculator import AccuracyCalculator
from pytorch_metric_learning.utils.inference import InferenceModel, MatchFinder
from torch import Tensor

from ..checks import check_count, check_in_interval, check_positive
from ..distances import HyperbolicDistance, PoincareDistance
from .embedding_checks import check_distance, warn_if_misread
from .poincare_knn import PoincareKNN


def accuracy_calculator(
    distance: HyperbolicDistance | None = None, **kwargs: Any
) -> AccuracyCalculator:
    """Make an AccuracyCalculator of PML that finds nearest neighbours by geodesic distance.

    A tester that uses it needs ``normalize_embeddings=False``; otherwise it warns.

    Args:
        distance: the PoincareDistance or LorentzSimilarity of training; a default PoincareDistance
            if left out.
        **kwargs: passed to ``AccuracyCalculator``, except ``knn_func``. NMI and AMI are excluded
            unless ``include`` names them, because they cluster by Euclidean distance.

    Returns:
        The calculator.

    Raises:
        ValueError: if ``knn_func`` is given.

    Example:
        >>> calculator = accuracy_calculator(k="max_bin_count", include=("precision_at_1",))
        >>> embeddings = torch.tensor([[0.1, 0.0], [0.2, 0.0], [2.0, 0.0], [1.9, 0.0]])
        >>> calculator.get_accuracy(embeddings, torch.tensor([0, 0, 1, 1]))
        {'precision_at_1': 1.0}
    """
    _refuse("knn_func", kwargs)
    if not kwargs.get("include"):
        kwargs["exclude"] = (*kwargs.get("exclude", ()), "NMI", "AMI")
    if kwargs.get("k") is not None and not isinstance(kwargs["k"], str):
        kwargs["k"] = check_count("k", kwargs["k"], minimum=1)  # PML rejects numpy integers
    return AccuracyCalculator(knn_func=PoincareKNN(distance), **kwargs)


class PoincareMatchFinder(MatchFinder):
    """PML's MatchFinder with geodesic distance; it warns about normalised embeddings.

    Args:
        distance: the PoincareDistance or LorentzSimilarity of training; a default PoincareDistance
            if left out.
        threshold: t > 0; two embeddings match if d(u, v) ≤ t. Distances lie in [0, 4·clip_radius].
            For a LorentzSimilarity t in [−1, 1], and they match if s(u, v) ≥ t. If None, every
            call must give it.

    Raises:
        TypeError: if ``distance`` is of another class, or ``threshold`` is not a number.
        ValueError: if ``threshold`` is out of range.

    Example:
        >>> finder = PoincareMatchFinder(threshold=0.5)
        >>> finder.is_match(torch.tensor([[0.3, 0.0]]), torch.tensor([[0.5, 0.0]]))
        True
    """

    def __init__(
        self, distance: HyperbolicDistance | None = None, threshold: float | None = None
    ) -> None:
        distance = PoincareDistance() if distance is None else distance
        check_distance(distance)
        if threshold is not None:
            threshold = _checked_threshold(threshold, distance)
        super().__init__(distance, threshold)

    def get_matching_pairs(
        self,
        query_emb: Tensor,
        ref_emb: Tensor | None = None,
        threshold: float | None = None,
        return_tuples: bool = False,
    ) -> Any:
        """Find the pairs that match. Overrides ``MatchFinder.get_matching_pairs``."""
        threshold = self._checked(threshold, query_emb, ref_emb)
        return super().get_matching_pairs(query_emb, ref_emb, threshold, return_tuples)

    def is_match(self, x: Tensor, y: Tensor, threshold: float | None = None) -> Any:
        """Tell whether row i of x matches row i of y. Overrides ``MatchFinder.is_match``."""
        threshold = self._checked(threshold, x, y)
        return super().is_match(x, y, threshold)

    def _checked(self, threshold: float | None, *embeddings: Tensor | None) -> float | None:
        if threshold is None and self.threshold is None:
            raise ValueError("threshold must be given here or to PoincareMatchFinder, got None")
        warn_if_misread(self.distance, *embeddings)
        return None if threshold is None else _checked_threshold(threshold, self.distance)


def inference_model(
    trunk: torch.nn.Module,
    distance: HyperbolicDistance | None = None,
    *,
    embedder: torch.nn.Module | None = None,
    threshold: float | None = None,
    knn_func: PoincareKNN | None = None,
    **kwargs: Any,
) -> InferenceModel:
    """Make an InferenceModel of PML that finds neighbours and matches by the distance of training.

    Args:
        trunk: the network, or its first part.
        distance: the PoincareDistance or LorentzSimilarity of training; a default PoincareDistance
            if left out.
        embedder: the second part of the network.
        threshold: largest distance at which two embeddings match, see :class:`PoincareMatchFinder`.
        knn_func: your own PoincareKNN (approximate index, more candidates). It must have the same
            distance and ``reset_before=False, reset_after=False``.
        **kwargs: passed to ``InferenceModel``: data_device, dtype. ``normalize_embeddings`` is
            False.

    Returns:
        The model.

    Raises:
        ValueError: if ``normalize_embeddings`` or ``match_finder`` is given, or ``knn_func`` has
            another distance or resets its references.

    Example:
        >>> model = inference_model(torch.nn.Identity(), threshold=0.5)
        >>> model.train_knn(torch.tensor([[0.1, 0.0], [2.0, 0.0]]))
        >>> model.get_nearest_neighbors(torch.tensor([[1.9, 0.0]]), k=1)[1]
        tensor([[1]])
    """
    for name in ("normalize_embeddings", "match_finder"):
        _refuse(name, kwargs)
    if knn_func is None:
        knn_func = PoincareKNN(distance, reset_before=False, reset_after=False)
    elif knn_func.reset_before or knn_func.reset_after:
        raise ValueError("knn_func must have reset_before=False and reset_after=False, got True")
    elif distance is not None and knn_func.distance is not distance:
        raise ValueError("knn_func must have the same distance as the model, got another one")
    return InferenceModel(
        trunk,
        embedder=embedder,
        match_finder=PoincareMatchFinder(knn_func.distance, threshold),
        normalize_embeddings=False,
        knn_func=knn_func,
        **kwargs,
    )


def _checked_threshold(threshold: Any, distance: HyperbolicDistance) -> float:
    if distance.is_inverted:
        return check_in_interval("threshold", threshold, -1.0, 1.0)
    return check_positive("threshold", threshold)


def _refuse(name: str, kwargs: dict[str, Any]) -> None:
    if name in kwargs:
        raise ValueError(
            f"{name} must be left out, as the distance determines it, got {kwargs[name]!r}"
        )
