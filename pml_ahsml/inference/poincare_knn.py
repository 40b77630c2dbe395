"""Exact k-NN search in the Poincaré ball."""

import os
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from ..checks import check_count, check_flag
from ..distances import PoincareDistance
from ..functional.candidate_distances import candidate_distances
from ..functional.polar import Polar, polar_coordinates, row_norms
from .embedding_checks import check_rows, warn_if_normalised

try:
    import faiss
except ModuleNotFoundError:  # installed by the extra 'knn'
    faiss = None  # type: ignore[assignment]

# Size of a block of the score matrix without faiss: 64 MB in float32.
_BLOCK_ELEMENTS = 1 << 24

# Candidates searched for at once, over all queries: bounds the memory of their distances.
_CANDIDATES = 1 << 20


class PoincareKNN:
    """Exact k nearest neighbours by geodesic distance, with the interface of PML's ``FaissKNN``.

    On the hyperboloid the distance grows with −⟨x, y⟩ = x₀y₀ − Σ xᵢyᵢ, so the nearest points have
    the largest inner products with (−x₀, x₁, …). ``faiss.IndexFlatIP`` finds ``k + rerank``
    candidates in float32; their float64 distances decide. Without faiss the candidates come from
    matrix products in blocks, and the results are the same.

    Use it as ``knn_func`` of AccuracyCalculator (and so of every tester) and of InferenceModel.
    Testers and InferenceModel normalise embeddings by default, which discards the norm;
    ``accuracy_calculator`` and ``inference_model`` are set up for this distance. A search warns if
    all embeddings have norm 1.

    Args:
        distance: the PoincareDistance of training; a default one if left out. Its curvature is
            read at every search.
        rerank: number of candidates beyond k whose float64 distance is computed, ≥ 0. With 16, all
            neighbours agree with a float64 brute-force search in the eight settings of
            tests/inference, which include clusters of 1 % of the distance between them. Use more if
            more points than that lie at nearly the same distance (within about 1e-3).
        index_init_fn: makes an empty faiss index from the number of dimensions, D + 1;
            ``faiss.IndexFlatIP`` by default. With an approximate index, float64 only orders the
            candidates found. An inner-product index gets points of the hyperboloid, an L2 index
            points of the ball, where near points are also near in Euclidean distance. Use L2 for
            HNSW and IVF: their recall with inner products is poor if norms differ
            (docs/geometry.md). An index that needs training is trained at the first search, on the
            references added by then.
        reset_before: whether to clear the references at the start of a call, as AccuracyCalculator
            needs. Use False for InferenceModel, which adds references before it searches.
        reset_after: whether to clear the references at the end of a call; False for InferenceModel.

    Raises:
        TypeError: if ``distance`` is not a PoincareDistance.
        ValueError: if ``rerank`` is negative, or ``index_init_fn`` is given without faiss.

    Source:
        Hyperboloid: Nickel & Kiela, ICML 2018.

    Example:
        >>> reference = torch.tensor([[0.1, 0.0], [0.5, 0.0], [2.0, 0.0]])
        >>> distances, indices = PoincareKNN()(torch.tensor([[0.3, 0.0]]), 2, reference)
        >>> distances
        tensor([[0.4000, 0.4000]])
        >>> from pytorch_metric_learning.utils.accuracy_calculator import AccuracyCalculator
        >>> calculator = AccuracyCalculator(include=("precision_at_1",), knn_func=PoincareKNN())
    """

    references: Tensor | None
    index: Any
    _geometry: tuple[float, float, bool] | None
    _rows: Tensor  # the references as the distance sees them
    _polar: Polar | None

    def __init__(
        self,
        distance: PoincareDistance | None = None,
        *,
        rerank: int = 16,
        index_init_fn: Callable[[int], Any] | None = None,
        reset_before: bool = True,
        reset_after: bool = True,
    ) -> None:
        distance = PoincareDistance() if distance is None else distance
        if not isinstance(distance, PoincareDistance):
            raise TypeError(f"distance must be a PoincareDistance, got {type(distance).__name__}")
        rerank = check_count("rerank", rerank, minimum=0)
        if index_init_fn is not None and faiss is None:
            raise ValueError("index_init_fn must be None where faiss is not installed, got one")
        self.distance = distance
        self.rerank = rerank
        self.index_init_fn = index_init_fn
        self.reset_before = check_flag("reset_before", reset_before)
        self.reset_after = check_flag("reset_after", reset_after)
        self.reset()

    @torch.no_grad()
    def __call__(
        self,
        query: Tensor,
        k: int,
        reference: Tensor | None = None,
        ref_includes_query: bool = False,
    ) -> tuple[Tensor, Tensor]:
        """Search for the k nearest references of each query.

        Args:
            query: (N, D) embeddings.
            k: number of neighbours of each query, ≥ 1.
            reference: (M, D) embeddings, added to the references of earlier calls.
            ref_includes_query: whether row i of the references is query i. It is then not counted
                among its own neighbours.

        Returns:
            distances: (N, k) geodesic lengths, ascending; ties are in the order of the rows.
            indices: (N, k) rows of the references.

        Raises:
            ValueError: if there are fewer than k references, a shape is wrong, or an approximate
                index finds fewer than k.
        """
        dtype = torch.as_tensor(query).dtype
        query = check_rows("query", query, None)
        added = None if reference is None else check_rows("reference", reference, query.shape[1])
        there = None if self.reset_before else self.references
        if there is not None:
            check_rows("query", query, there.shape[1])
        available = sum(0 if rows is None else len(rows) for rows in (there, added))
        if not available:
            raise ValueError("reference must be given or added before a search, got None")
        if ref_includes_query and available < len(query):
            raise ValueError(
                f"reference must include the {len(query)} queries where ref_includes_query is "
                f"True, got {available} rows"
            )
        k = check_count("k", k, minimum=1)
        if k > available - ref_includes_query:
            raise ValueError(
                f"k must be at most {available - ref_includes_query}, the number of references "
                f"for each query, got {k}"
            )
        if self.reset_before:
            self.reset()
        if added is not None:
            self.add(added)
        self._prepare()
        warn_if_normalised(self.distance, query, self.references)
        wanted = min(k + ref_includes_query + self.rerank, available)
        step = max(1, _CANDIDATES // wanted)
        found = [
            self._search(query[start : start + step].cpu(), start, k, wanted, ref_includes_query)
            for start in range(0, max(1, len(query)), step)
        ]
        if self.reset_after:
            self.reset()
        distances, indices = (
            torch.cat(columns).to(query.device) for columns in zip(*found, strict=True)
        )
        if self.distance.power != 1:
            distances = distances**self.distance.power
        return distances.to(dtype), indices

    def train(self, embeddings: Tensor) -> None:
        """Replace all references by these, (M, D)."""
        rows = check_rows("embeddings", embeddings, None)
        self.reset()
        self.add(rows)

    def add(self, embeddings: Tensor) -> None:
        """Add references, (M, D)."""
        old = self.references
        rows = check_rows("embeddings", embeddings, None if old is None else old.shape[1])
        self.references = rows.cpu() if old is None else torch.cat([old, rows.cpu()])

    def save(self, filename: str | os.PathLike[str]) -> None:
        """Write the references, and the index if ``index_init_fn`` made it, to a file.

        Raises:
            ValueError: if there are no references.
        """
        if self.references is None:
            raise ValueError("references must be added before they are saved, got None")
        state: dict[str, Any] = {"references": self.references}
        if self.index_init_fn is not None:
            self._prepare()
            state["index"] = torch.from_numpy(faiss.serialize_index(self.index))
            state["geometry"] = self._geometry
        torch.save(state, filename)

    def load(self, filename: str | os.PathLike[str]) -> None:
        """Read a file of :meth:`save`. An index of another geometry is rebuilt."""
        state = torch.load(filename, weights_only=True)
        self.reset()
        self.references = state["references"]
        if "index" in state and faiss is not None and self.index_init_fn is not None:
            self.index = faiss.deserialize_index(state["index"].numpy())
            self._geometry = tuple(state["geometry"])

    def reset(self) -> None:
        """Remove all references."""
        self.references = self.index = self._geometry = self._polar = None
        self._rows = torch.empty(0)

    def _prepare(self) -> None:
        """Update coordinates and index for new references or a new geometry."""
        assert self.references is not None
        distance = self.distance
        geometry = (
            float(distance.curvature),
            float(distance.clip_radius),
            distance.embedding_space == "ball",
        )
        if geometry != self._geometry:
            self.index, self._polar, self._geometry = None, None, geometry
        if self._polar is None or len(self._rows) != len(self.references):
            self._rows = distance.maybe_normalize(self.references)
            self._polar = polar_coordinates(row_norms(self._rows), *geometry)
        if faiss is None:
            return
        if self.index is None:
            make = faiss.IndexFlatIP if self.index_init_fn is None else self.index_init_fn
            index = make(self._rows.shape[1] + 1)
            if index.metric_type not in (faiss.METRIC_INNER_PRODUCT, faiss.METRIC_L2):
                raise ValueError(
                    "index_init_fn must make an index for inner products or L2, got one of metric "
                    f"type {index.metric_type}"
                )
            self.index = index
        start, end = self.index.ntotal, len(self._rows)
        if start < end:
            new = self._to_index(self._rows[start:], self._polar.take(slice(start, end)), 1)
            if not self.index.is_trained:
                self.index.train(new)
            self.index.add(new)

    def _to_index(self, rows: Tensor, polar: Polar, sign: int) -> Any:
        """The points that represent some rows in the index: numpy, (N, D + 1)."""
        if self.index.metric_type == faiss.METRIC_L2:
            return _to_ball(rows, polar).numpy()
        return _lift(rows, polar, sign).numpy()

    def _search(
        self, query: Tensor, start: int, k: int, wanted: int, leave_out: bool
    ) -> tuple[Tensor, Tensor]:
        """Neighbours of some queries; ``start`` is the number of the first."""
        assert self._polar is not None
        assert self._geometry is not None
        query = self.distance.maybe_normalize(query)
        polar = polar_coordinates(row_norms(query), *self._geometry)
        if self.index is not None:
            points = self._to_index(query, polar, -1)
            candidates = torch.from_numpy(self.index.search(points, wanted)[1])
        else:
            references = _lift(self._rows, self._polar, 1)
            candidates = _best_products(_lift(query, polar, -1), references, wanted)
        # sort by row first: the stable sort below then breaks ties by row
        candidates = candidates.sort(dim=1).values
        missing = candidates < 0
        if leave_out:
            missing |= candidates == torch.arange(start, start + len(query), device="cpu")[:, None]
        distances = candidate_distances(
            query, self._rows, polar, self._polar, candidates.clamp_min(0), self._geometry[0]
        ).masked_fill_(missing, torch.inf)
        distances, order = distances.sort(dim=1, stable=True)
        short = ~distances[:, :k].isfinite().all(1)
        if bool(short.any()):
            raise ValueError(
                f"the index must find {k} neighbours of every query, got fewer for "
                f"{int(short.sum())}: search more widely (nprobe, efSearch), and check the "
                "embeddings for nan"
            )
        return distances[:, :k], candidates.gather(1, order[:, :k])


def _lift(rows: Tensor, polar: Polar, sign: int) -> Tensor:
    """Points (±cosh A, sinh A·û) of the hyperboloid in float32, (N, D + 1)."""
    stretched = rows * polar.stretch[:, None].to(rows)
    return torch.cat([sign * polar.cosh[:, None].to(rows), stretched], 1).float()


def _to_ball(rows: Tensor, polar: Polar) -> Tensor:
    """Points (0, tanh(A/2)·û) of the unit ball in float32, (N, D + 1)."""
    scale = (polar.radius / 2).tanh() / polar.norm
    return torch.nn.functional.pad((rows * scale[:, None].to(rows)).float(), (1, 0))


def _best_products(query: Tensor, references: Tensor, wanted: int) -> Tensor:
    """The candidates that a flat index would find, by matrix products in blocks."""
    rows = max(1, _BLOCK_ELEMENTS // len(references))
    return torch.cat([(part @ references.T).topk(wanted).indices for part in query.split(rows)])
