"""Checks of the options of label noise."""

from torch import Tensor

from ..checks import check_integers


def checked_vector(name: str, values: Tensor) -> Tensor:
    """Return labels or classes as (N,) int64 on the CPU; raise if they are not valid."""
    integers = check_integers(name, values).cpu()
    if integers.ndim != 1:
        raise ValueError(f"{name} must be of shape (N,), got {tuple(integers.shape)}")
    return integers


def checked_embeddings(embeddings: Tensor, num_rows: int) -> Tensor:
    """Return the embeddings; raise unless they are ``num_rows`` finite rows."""
    if embeddings.ndim != 2 or len(embeddings) != num_rows:
        raise ValueError(
            f"embeddings must be of shape ({num_rows}, D), got {tuple(embeddings.shape)}"
        )
    _check_finite("embeddings", embeddings)
    return embeddings


def checked_similarity(similarity: Tensor, classes: Tensor, num_classes: int) -> Tensor:
    """Return the (C, C) float64 similarities of the given classes; raise if they are not valid.

    The diagonal is not used and may be nan.
    """
    _check_square("class_similarity", similarity, num_classes)
    similarity = similarity.detach().cpu().double()[classes][:, classes]
    _check_finite("class_similarity", similarity.clone().fill_diagonal_(0))
    return similarity


def checked_transition_matrix(matrix: Tensor, num_classes: int) -> Tensor:
    """Return the matrix in float64; raise unless it is (K, K) with rows of probabilities."""
    _check_square("transition_matrix", matrix, num_classes)
    matrix = matrix.detach().cpu().double()
    _check_finite("transition_matrix", matrix)
    # float32 rounding changes a sum of K probabilities by up to K·6e-8, 1e-4 for K = 1,700
    if not (matrix >= 0).all() or not ((matrix.sum(1) - 1).abs() <= 1e-4).all():
        raise ValueError(
            "transition_matrix must have rows of probabilities that sum to 1, got values from "
            f"{float(matrix.min()):.3g} and sums from {float(matrix.sum(1).min()):.3g} to "
            f"{float(matrix.sum(1).max()):.3g}"
        )
    return matrix


def check_leads_to(matrix: Tensor, occurring: Tensor, classes: Tensor) -> None:
    """Raise unless the rows of the occurring classes lead to ``classes`` only."""
    reached = (matrix[occurring] > 0).any(0)
    reached[classes] = False
    if reached.any():
        raise ValueError(
            "transition_matrix must lead to classes that occur in labels unless num_classes is "
            f"given, got one that leads to class {int(reached.nonzero()[0])}"
        )


def _check_square(name: str, matrix: Tensor, num_classes: int) -> None:
    if matrix.shape != (num_classes, num_classes):
        raise ValueError(
            f"{name} must be of shape ({num_classes}, {num_classes}), got {tuple(matrix.shape)}"
        )


def _check_finite(name: str, matrix: Tensor) -> None:
    bad = int((~matrix.isfinite().all(1)).sum())
    if bad:
        raise ValueError(f"{name} must be finite, got nan or inf in {bad} of {len(matrix)} rows")
