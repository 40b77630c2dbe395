"""k nearest neighbours in the Poincaré ball."""

import os
import warnings
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from ..checks import check_count, check_flag, check_tensor
from ..distances import PoincareDistance
from ..functional.candidate_distances import candidate_distances
from ..functional.polar import Polar, polar_coordinates, row_norms

try:
    import faiss
except ModuleNotFoundError:  # an extra of the package
    faiss = None  # type: ignore[assignment]

# Floats in one block of the score matrix without faiss: 64 MB in float32.
_BLOCK_ELEMENTS = 1 << 24

# Candidates found at once, over all queries.
_CANDIDATES = 1 << 20

# Norms this near to 1 are what normalising leaves, in half precision too.
_NORMALISED = 2e-3


class PoincareKNN:
    """Exact k nearest neighbours by geodesic distance, with the interface of PML's ``FaissKNN``.

    On the hyperboloid the distance grows with −⟨x, y⟩ = x₀y₀ − Σ xᵢyᵢ, so the largest inner
    products with (−x₀, x₁, …) are the nearest points: ``faiss.IndexFlatIP`` finds ``k + rerank``
    candidates in float32, and their distances in float64 decide. Without faiss the candidates come
    from matrix products in blocks, and the answers are the same.

    Goes where PML takes a ``knn_func``: AccuracyCalculator (and so every tester) and
    InferenceModel. Both normalise embeddings by default, which throws away the norm that this
    distance lives on; ``pml_ahsml.inference`` has ready ones that do not. A search among
    embeddings that all have norm 1 warns.

    Args:
        distance: the PoincareDistance of training; a default one if left out. Its curvature is
            read at every search.
        rerank: candidates beyond k that float64 looks at, at least 0. 16 made all neighbours those
            of a float64 brute force in the eight settings of tests/inference, clusters of 1 % of
            the distance between them included. More are needed where more points than that lie
            within some 1e-3 of each other's distance, in tighter or larger clusters.
        index_init_fn: makes an empty faiss index from the number of dimensions, D + 1;
            ``faiss.IndexFlatIP`` if left out. An approximate one finds what it finds, which float64
            then puts in order. An index for inner products gets points of the hyperboloid, one for
            L2 points of the ball, whose small Euclidean neighbourhoods are hyperbolic ones: take
            L2 for HNSW and IVF, whose recall with inner products is poor where norms differ
            (docs/geometry.md). One that needs training is trained on the references that are
            there at the first search.
        reset_before: forget the references at the start of a call, as AccuracyCalculator wants.
            InferenceModel adds references first and searches later: give it False.
        reset_after: forget the references at the end of a call; False for InferenceModel.

    Raises:
        TypeError: for a distance that is no PoincareDistance.
        ValueError: for a negative rerank, or an ``index_init_fn`` without faiss.

    Source:
        This project; hyperboloid: Nickel & Kiela, ICML 2018.

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
        """Search.

        Args:
            query: (N, D) embeddings.
            k: neighbours wanted for each query, at least 1.
            reference: (M, D) embeddings, added to those that are there.
            ref_includes_query: whether row i of the references is query i, which is then left
                out of its own neighbours.

        Returns:
            distances: (N, k) geodesic lengths, ascending; of equal ones the first row first.
            indices: (N, k) rows of the references.

        Raises:
            ValueError: without references, with fewer than k of them, for embeddings of another
                shape, or where an approximate index finds fewer than k.
        """
        dtype = torch.as_tensor(query).dtype
        query = _check_rows("query", query, None)
        added = None if reference is None else _check_rows("reference", reference, query.shape[1])
        there = None if self.reset_before else self.references
        if there is not None:
            _check_rows("query", query, there.shape[1])
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
        """Start anew with these references, (M, D)."""
        rows = _check_rows("embeddings", embeddings, None)
        self.reset()
        self.add(rows)

    def add(self, embeddings: Tensor) -> None:
        """Add references, (M, D)."""
        old = self.references
        rows = _check_rows("embeddings", embeddings, None if old is None else old.shape[1])
        self.references = rows.cpu() if old is None else torch.cat([old, rows.cpu()])

    def save(self, filename: str | os.PathLike[str]) -> None:
        """Write the references to a file, and with them an index of the user's choice.

        Raises:
            ValueError: without references.
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
        """Read what :meth:`save` wrote. An index of other curvature or clipping is built anew."""
        state = torch.load(filename, weights_only=True)
        self.reset()
        self.references = state["references"]
        if "index" in state and faiss is not None and self.index_init_fn is not None:
            self.index = faiss.deserialize_index(state["index"].numpy())
            self._geometry = tuple(state["geometry"])

    def reset(self) -> None:
        """Forget all references."""
        self.references = self.index = self._geometry = self._polar = None
        self._rows = torch.empty(0)

    def _prepare(self) -> None:
        """Bring coordinates and index up to date with the references and the curvature."""
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
        """What the index is given for some rows: numpy, (N, D + 1)."""
        if self.index.metric_type == faiss.METRIC_L2:
            return _to_ball(rows, polar).numpy()
        return _lift(rows, polar, sign).numpy()

    def _search(
        self, query: Tensor, start: int, k: int, wanted: int, leave_out: bool
    ) -> tuple[Tensor, Tensor]:
        """Neighbours of some queries, the first of which is row ``start`` of all."""
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
        # in the order of rows, by which the stable sort then breaks ties
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
                f"{int(short.sum())}: let it look at more (nprobe, efSearch), and check the "
                "embeddings for nan"
            )
        return distances[:, :k], candidates.gather(1, order[:, :k])


def warn_if_normalised(distance: PoincareDistance, *embeddings: Tensor | None) -> None:
    """Warn where all embeddings have norm 1 and the distance would make use of their norm.

    Args:
        distance: one with ``normalize_embeddings=True`` expects it, and nothing is said.
        *embeddings: (N, D) each.

    Example:
        >>> warn_if_normalised(PoincareDistance(), torch.tensor([[0.5, 0.0]]))
    """
    norms = [torch.linalg.vector_norm(e.float(), dim=1) for e in embeddings if e is not None]
    if distance.normalize_embeddings or not sum(len(norm) for norm in norms):
        return
    if all(bool(((norm - 1).abs() < _NORMALISED).all()) for norm in norms):
        warnings.warn(
            "all embeddings have norm 1, so the norm that a PoincareDistance lives on has been "
            "thrown away: give the tester or InferenceModel normalize_embeddings=False, or the "
            "PoincareDistance normalize_embeddings=True if this is meant",
            stacklevel=3,
        )


def _check_rows(name: str, embeddings: Any, columns: int | None) -> Tensor:
    """Embeddings as a tensor of float32 or float64."""
    if isinstance(embeddings, Tensor):
        check_tensor(name, embeddings)
    rows = torch.as_tensor(embeddings).detach()
    if rows.ndim != 2 or (columns is not None and rows.shape[1] != columns):
        shape = f"(N, {'D' if columns is None else columns})"
        raise ValueError(f"{name} must be of shape {shape}, got {tuple(rows.shape)}")
    if not rows.is_floating_point():
        raise TypeError(f"{name} must be of a floating point dtype, got {rows.dtype}")
    return rows.to(torch.promote_types(rows.dtype, torch.float32))


def _lift(rows: Tensor, polar: Polar, sign: int) -> Tensor:
    """Points (±cosh A, sinh A·û) of the hyperboloid in float32, (N, D + 1)."""
    stretched = rows * polar.stretch[:, None].to(rows)
    return torch.cat([sign * polar.cosh[:, None].to(rows), stretched], 1).float()


def _to_ball(rows: Tensor, polar: Polar) -> Tensor:
    """Points (0, tanh(A/2)·û) of the unit ball in float32, (N, D + 1)."""
    scale = (polar.radius / 2).tanh() / polar.norm
    return torch.nn.functional.pad((rows * scale[:, None].to(rows)).float(), (1, 0))


def _best_products(query: Tensor, references: Tensor, wanted: int) -> Tensor:
    """What the flat index finds, by matrix products in blocks."""
    rows = max(1, _BLOCK_ELEMENTS // len(references))
    return torch.cat([(part @ references.T).topk(wanted).indices for part in query.split(rows)])
