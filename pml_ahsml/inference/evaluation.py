"""Evaluation and retrieval by the distance of training, with PML's own classes.

PML's InferenceModel and testers normalise embeddings by default, its AccuracyCalculator ranks by
Euclidean distance and its MatchFinder by cosine similarity. With hyperbolic embeddings each of
these gives a result, none of them the one that was trained for.
"""

from typing import Any

import torch
from pytorch_metric_learning.utils.accuracy_calculator import AccuracyCalculator
from pytorch_metric_learning.utils.inference import InferenceModel, MatchFinder
from torch import Tensor

from ..checks import check_count, check_positive
from ..distances import PoincareDistance
from .poincare_knn import PoincareKNN, warn_if_normalised


def accuracy_calculator(
    distance: PoincareDistance | None = None, **kwargs: Any
) -> AccuracyCalculator:
    """PML's AccuracyCalculator with neighbours by geodesic distance.

    A tester that uses it needs ``normalize_embeddings=False``; without, it warns.

    Args:
        distance: the PoincareDistance of training; a default one if left out.
        **kwargs: of ``AccuracyCalculator``. ``knn_func`` is taken. NMI and AMI, which cluster by
            Euclidean distance, are left out unless ``include`` names them.

    Returns:
        The calculator.

    Raises:
        ValueError: for a ``knn_func``.

    Source:
        This project.

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
        kwargs["k"] = check_count("k", kwargs["k"], minimum=1)  # PML takes none of numpy's
    return AccuracyCalculator(knn_func=PoincareKNN(distance), **kwargs)


class PoincareMatchFinder(MatchFinder):
    """PML's MatchFinder by geodesic distance, which warns of normalised embeddings.

    Args:
        distance: the PoincareDistance of training; a default one if left out.
        threshold: t > 0, two embeddings match if d(u, v) ≤ t, in [0, 4·clip_radius]. None to give
            it at each call.

    Raises:
        TypeError: for a distance that is no PoincareDistance, or a threshold that is no number.
        ValueError: for a threshold that is not positive.

    Source:
        This project.

    Example:
        >>> finder = PoincareMatchFinder(threshold=0.5)
        >>> finder.is_match(torch.tensor([[0.3, 0.0]]), torch.tensor([[0.5, 0.0]]))
        True
    """

    def __init__(
        self, distance: PoincareDistance | None = None, threshold: float | None = None
    ) -> None:
        distance = PoincareDistance() if distance is None else distance
        if not isinstance(distance, PoincareDistance):
            raise TypeError(f"distance must be a PoincareDistance, got {type(distance).__name__}")
        if threshold is not None:
            threshold = check_positive("threshold", threshold)
        super().__init__(distance, threshold)

    def get_matching_pairs(
        self,
        query_emb: Tensor,
        ref_emb: Tensor | None = None,
        threshold: float | None = None,
        return_tuples: bool = False,
    ) -> Any:
        """Which pairs match. Overrides ``MatchFinder.get_matching_pairs``."""
        threshold = self._checked(threshold, query_emb, ref_emb)
        return super().get_matching_pairs(query_emb, ref_emb, threshold, return_tuples)

    def is_match(self, x: Tensor, y: Tensor, threshold: float | None = None) -> Any:
        """Whether matching rows match. Overrides ``MatchFinder.is_match``."""
        threshold = self._checked(threshold, x, y)
        return super().is_match(x, y, threshold)

    def _checked(self, threshold: float | None, *embeddings: Tensor | None) -> float | None:
        if threshold is None and self.threshold is None:
            raise ValueError("threshold must be given here or to the match finder, got None")
        warn_if_normalised(self.distance, *embeddings)
        return None if threshold is None else check_positive("threshold", threshold)


def inference_model(
    trunk: torch.nn.Module,
    distance: PoincareDistance | None = None,
    *,
    embedder: torch.nn.Module | None = None,
    threshold: float | None = None,
    knn_func: PoincareKNN | None = None,
    **kwargs: Any,
) -> InferenceModel:
    """PML's InferenceModel with neighbours and matches by the distance of training.

    Args:
        trunk: the network, or its first part.
        distance: the PoincareDistance of training; a default one if left out.
        embedder: the second part of the network.
        threshold: distance up to which two embeddings match, see :class:`PoincareMatchFinder`.
        knn_func: a PoincareKNN of your own (approximate index, more candidates) with
            ``reset_before=False, reset_after=False``. It must have the same distance.
        **kwargs: of ``InferenceModel``: data_device, dtype. ``normalize_embeddings`` is False.

    Returns:
        The model.

    Raises:
        ValueError: for ``normalize_embeddings`` or ``match_finder``, or a ``knn_func`` of another
            distance or one that forgets its references.

    Source:
        This project.

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
        raise ValueError("knn_func must have the same distance as the model, got another")
    return InferenceModel(
        trunk,
        embedder=embedder,
        match_finder=PoincareMatchFinder(knn_func.distance, threshold),
        normalize_embeddings=False,
        knn_func=knn_func,
        **kwargs,
    )


def _refuse(name: str, kwargs: dict[str, Any]) -> None:
    if name in kwargs:
        raise ValueError(
            f"{name} must be left out, it follows from the distance, got {kwargs[name]!r}"
        )
