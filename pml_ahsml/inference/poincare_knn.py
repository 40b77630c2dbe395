"""k nearest neighbours in the Poincaré ball."""

import os

import torch
from pytorch_metric_learning.utils.inference import return_results
from torch import Tensor

from ..checks import check_count
from ..distances import PoincareDistance

# Floats in one block of the distance matrix: 64 MB in float32.
_BLOCK_ELEMENTS = 1 << 24


class PoincareKNN:
    """Exact k nearest neighbours by geodesic distance, with the interface of PML's ``FaissKNN``.

    Goes where PML takes a ``knn_func``: AccuracyCalculator (and so every tester) and
    InferenceModel. Both normalise embeddings by default, which throws away the norm that this
    distance lives on: give the tester and InferenceModel ``normalize_embeddings=False``.

    Args:
        distance: the PoincareDistance of training; a default one if left out.
        reset_before: forget the references at the start of a call, as AccuracyCalculator wants.
            InferenceModel adds references first and searches later: give it False.
        reset_after: forget the references at the end of a call; False for InferenceModel.

    Raises:
        TypeError: for a distance that is no PoincareDistance.

    Source:
        This project.

    Example:
        >>> reference = torch.tensor([[0.1, 0.0], [0.5, 0.0], [2.0, 0.0]])
        >>> distances, indices = PoincareKNN()(torch.tensor([[0.3, 0.0]]), 2, reference)
        >>> distances
        tensor([[0.4000, 0.4000]])
        >>> from pytorch_metric_learning.utils.accuracy_calculator import AccuracyCalculator
        >>> calculator = AccuracyCalculator(include=("precision_at_1",), knn_func=PoincareKNN())
    """

    def __init__(
        self,
        distance: PoincareDistance | None = None,
        *,
        reset_before: bool = True,
        reset_after: bool = True,
    ) -> None:
        distance = PoincareDistance() if distance is None else distance
        if not isinstance(distance, PoincareDistance):
            raise TypeError(f"distance must be a PoincareDistance, got {type(distance).__name__}")
        self.distance = distance
        self.reset_before = reset_before
        self.reset_after = reset_after
        self.references: Tensor | None = None

    @torch.no_grad()
    def __call__(
        self,
        query: Tensor,
        k: int,
        reference: Tensor | None = None,
        ref_includes_query: bool = False,
    ) -> tuple[Tensor, Tensor]:
        """Search.

        Args:
            query: (N, D) embeddings.
            k: neighbours wanted for each query, at least 1.
            reference: (M, D) embeddings, added to those that are there.
            ref_includes_query: whether row i of the references is query i, which is then left
                out of its own neighbours.

        Returns:
            distances: (N, k) geodesic lengths, ascending.
            indices: (N, k) rows of the references.

        Raises:
            ValueError: without references, or with fewer than k of them.
        """
        check_count("k", k, minimum=1)
        if self.reset_before:
            self.reset()
        if reference is not None:
            self.add(reference)
        if self.references is None:
            raise ValueError("reference must be given or added before a search, got None")
        wanted = k + 1 if ref_includes_query else k
        if wanted > len(self.references):
            raise ValueError(
                f"k must be at most {len(self.references) - (wanted - k)}, the number of "
                f"references for each query, got {k}"
            )
        references = self.references.to(query.device)
        rows = max(1, _BLOCK_ELEMENTS // len(references))
        blocks = [
            self.distance(block, references).topk(wanted, dim=1, largest=False)
            for block in query.split(rows)
        ]
        distances = torch.cat([block.values for block in blocks])
        indices = torch.cat([block.indices for block in blocks])
        if self.reset_after:
            self.reset()
        distances, indices = return_results(distances, indices, ref_includes_query)
        return distances, indices

    def train(self, embeddings: Tensor) -> None:
        """Start anew with these references, (M, D)."""
        self.reset()
        self.add(embeddings)

    def add(self, embeddings: Tensor) -> None:
        """Add references, (M, D)."""
        embeddings = torch.as_tensor(embeddings).detach().cpu()
        if self.references is None:
            self.references = embeddings
        else:
            self.references = torch.cat([self.references, embeddings])

    def save(self, filename: str | os.PathLike[str]) -> None:
        """Write the references to a file."""
        torch.save(self.references, filename)

    def load(self, filename: str | os.PathLike[str]) -> None:
        """Read references written by :meth:`save`."""
        self.references = torch.load(filename, weights_only=True)

    def reset(self) -> None:
        """Forget all references."""
        self.references = None
