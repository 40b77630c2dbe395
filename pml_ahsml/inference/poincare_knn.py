"""k nearest neighbours in the Poincaré ball."""

import os
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from ..checks import check_count, check_flag
from ..distances import HyperbolicDistance, PoincareDistance
from ..hyperbolic import nearest_candidates as nc
from ..hyperbolic.polar import Polar, polar_coordinates
from . import knn_file
from .embedding_checks import check_distance, check_rows, check_search, warn_if_misread
from .ranking import nearest_of_candidates
from .row_blocks import as_seen, is_kept_as_given, norms, product_search

try:
    import faiss
except ModuleNotFoundError:  # an extra of the package
    faiss = None  # type: ignore[assignment]

# Candidates found at once, over all queries: 12 MB of products and rows.
_CANDIDATES = 1 << 20

# An index is rebuilt if new references are farther out than its own by more than this factor: their
# coordinates would not fit into float32.
_MOST_GROWTH = 2.0**30

# In the ball, queries farther out than this multiple of the references move in to it.
_FAR_OUT = 2.0**10


class PoincareKNN:
    """Exact k nearest neighbours by geodesic distance, with the interface of PML's ``FaissKNN``.

    On the hyperboloid the nearest points have the largest inner products
    (``hyperbolic/nearest_candidates``): ``faiss.IndexFlatIP`` finds ``k + rerank`` candidates in
    float32, and their distances in float64 decide. If rounding might hide a nearer neighbour, the
    query is searched again in float64. The results are the same without faiss. References in half
    precision, or in a ``numpy.memmap``, stay as they are and are searched block by block without
    faiss, so that no float32 copy of all of them is made.

    It fits wherever PML takes a ``knn_func``: AccuracyCalculator (and so every tester) and
    InferenceModel. Testers and InferenceModel normalise embeddings by default, which discards the
    norm that this distance depends on; ``inference_model`` of ``pml_ahsml.inference`` does not. A
    search among embeddings that all have norm 1 warns.

    Args:
        distance: the PoincareDistance or LorentzSimilarity of training, which order alike; a
            default PoincareDistance if left out. Its curvature and scale are read at every search.
        rerank: candidates beyond k that are ranked in float64, ≥ 0. With 16 the second search is
            rarely needed; tight clusters need more to avoid it. With 0 there is no second search:
            float32 selects the neighbours, and float64 only orders them.
        index_init_fn: makes an empty faiss index from the number of dimensions, D + 1;
            ``faiss.IndexFlatIP`` if left out. The results of a custom index are only reordered in
            float64. Use L2 for HNSW and IVF, whose recall with inner products is poor if norms
            differ (docs/geometry.md). An index that needs training is trained on the references
            present at the first search.
        reset_before: forget the references at the start of a call, as AccuracyCalculator needs it.
            Use False for InferenceModel, which adds references first and searches later.
        reset_after: forget the references at the end of a call; False for InferenceModel.

    Raises:
        TypeError: if distance is neither.
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
    _scale: float  # of the coordinates in the index
    _rows: Tensor  # the references as the distance sees them
    _by_block: bool  # whether no float32 copy of all of them is made
    _polar: Polar | None

    def __init__(
        self,
        distance: HyperbolicDistance | None = None,
        *,
        rerank: int = 16,
        index_init_fn: Callable[[int], Any] | None = None,
        reset_before: bool = True,
        reset_after: bool = True,
    ) -> None:
        distance = PoincareDistance() if distance is None else distance
        check_distance(distance)
        rerank = check_count("rerank", rerank, minimum=0)
        if index_init_fn is not None and faiss is None:
            raise ValueError(f"index_init_fn must be None without faiss, got {index_init_fn!r}")
        self.distance = distance
        self.rerank = rerank
        self.index_init_fn = index_init_fn
        self.reset_before = check_flag("reset_before", reset_before)
        self.reset_after = check_flag("reset_after", reset_after)
        self.reset()

    @torch.no_grad()
    @torch.autocast("cpu", enabled=False)
    def __call__(
        self,
        query: Tensor,
        k: int,
        reference: Tensor | None = None,
        ref_includes_query: bool = False,
    ) -> tuple[Tensor, Tensor]:
        """Find the k nearest references of each query.

        Args:
            query: (N, D) embeddings.
            k: neighbours per query, ≥ 0. AccuracyCalculator asks for 0 if its own k is
                "max_bin_count" and no class has two samples.
            reference: (M, D) embeddings, added to those already there; a tensor or an array.
            ref_includes_query: whether row i of the references is query i, which is then left
                out of its own neighbours.

        Returns:
            distances: (N, k) geodesic lengths, ascending; ties are in the order of their rows.
            indices: (N, k) rows of the references.

        Raises:
            ValueError: if there are fewer than k references or none, embeddings have another shape
                or hold nan or inf, or an approximate index finds fewer than k neighbours.
        """
        there = None if self.reset_before else self.references
        query, k = check_search(query, k, reference, there, ref_includes_query)
        if self.reset_before:
            self.reset()
        if reference is not None:
            self.add(reference)
        self._prepare()
        warn_if_misread(self.distance, query, self.references)
        distances, indices = self._nearest(query.cpu(), k, ref_includes_query)
        if self.reset_after:
            self.reset()
        distances *= self.distance.scale
        if self.distance.power != 1 and not self.distance.is_inverted:
            distances = distances**self.distance.power
        return distances.to(query.device, query.dtype), indices.to(query.device)

    def train(self, embeddings: Tensor) -> None:
        """Replace all references by these, (M, D)."""
        check_rows("embeddings", embeddings, None)
        self.reset()
        self.add(embeddings)

    def add(self, embeddings: Tensor) -> None:
        """Add references, (M, D)."""
        old = self.references
        rows = check_rows("embeddings", embeddings, None if old is None else old.shape[1])
        self.references = rows.cpu() if old is None else torch.cat([old, rows.cpu()])
        self._by_block = is_kept_as_given(embeddings if old is None else self.references)

    def save(self, filename: str | os.PathLike[str]) -> None:
        """Write the references, and a custom index if there is one, to a file.

        Raises:
            ValueError: if there are no references.
        """
        if self.references is None:
            raise ValueError("references must be added before they are saved, got None")
        built = None
        if self.index_init_fn is not None:
            self._prepare()
            assert self._geometry is not None
            built = knn_file.BuiltIndex(self.index, self._geometry, self._scale)
        knn_file.write(filename, self.references, built)

    def load(self, filename: str | os.PathLike[str]) -> None:
        """Read what :meth:`save` wrote, and check it before anything changes.

        An index of other curvature or clipping, or of an older format, is rebuilt.

        Raises:
            ValueError: if the file is of another kind or damaged; nothing changes then.
            OSError: if the file does not exist or cannot be read.
        """
        references, built = knn_file.read(filename)
        self.reset()
        self.references = references
        self._by_block = is_kept_as_given(references)
        if built is not None and self.index_init_fn is not None:
            self.index, self._geometry, self._scale = built

    def reset(self) -> None:
        """Forget all references."""
        self.references = self.index = self._geometry = self._polar = None
        self._scale = 1.0
        self._rows = torch.empty(0)
        self._by_block = False

    def _prepare(self) -> None:
        """Bring coordinates and index up to date with the references and the curvature."""
        assert self.references is not None
        distance = self.distance
        curvature, clip_radius = distance.geometry
        geometry = (float(curvature), clip_radius, distance.embedding_space == "ball")
        if geometry != self._geometry:
            self.index, self._polar, self._geometry = None, None, geometry
        if self._polar is None or len(self._rows) != len(self.references):
            self._rows = as_seen(distance, self.references)
            self._polar = polar_coordinates(norms(self._rows), *geometry)
        largest = nc.largest_sinh(self._polar)
        if largest > _MOST_GROWTH * self._scale:
            self.index = None
        if self.index is None:
            self._scale = largest
        # faiss.IndexFlatIP would keep all rows in float32
        if faiss is None or (self._by_block and self.index_init_fn is None):
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
            rows, polar = self._rows[start:], self._polar.take(slice(start, end))
            if self.index.metric_type == faiss.METRIC_L2:  # near points are also near in the ball
                new = nc.ball_points(rows, polar, self._scale)
            else:
                new = nc.reference_columns(rows, polar, self._scale, torch.float32)
            if not self.index.is_trained:
                self.index.train(new.numpy())
            self.index.add(new.numpy())

    def _nearest(self, query: Tensor, k: int, leave_out: bool) -> tuple[Tensor, Tensor]:
        """Find (N, k) distances in float64 and rows; with ``leave_out``, query i skips row i."""
        assert self._geometry is not None
        assert self._polar is not None
        query = as_seen(self.distance, query)
        polar = polar_coordinates(norms(query), *self._geometry)
        distances = torch.empty(len(query), k, dtype=torch.float64, device="cpu")
        indices = torch.empty(len(query), k, dtype=torch.long, device="cpu")
        if k == 0:
            return distances, indices
        wanted = min(k + leave_out + self.rerank, len(self._rows))
        # a custom index, or float32 alone, may miss neighbours
        is_exact = self.index_init_fn is None and self.rerank > 0 and wanted < len(self._rows)
        largest, root = self._polar.radius.max(), self._geometry[0] ** 0.5
        rows = torch.arange(len(query), device="cpu")
        # first in float32, then in float64 for the queries left in doubt
        for dtype in (torch.float32, torch.float64):
            find = self._finder(wanted, dtype)
            in_doubt = [rows[:0]]
            for part in rows.split(max(1, _CANDIDATES // wanted)):
                e, x = query[part], polar.take(part)
                products, candidates = find(e, x)
                skipped = part if leave_out else None
                near, order = nearest_of_candidates(
                    (e, x), (self._rows, self._polar), candidates, k, skipped, self._geometry[0]
                )
                distances[part], indices[part] = near, order
                if is_exact:
                    kth, last = near[:, -1] * root, products[:, -1]
                    enough = nc.are_enough(x, kth, last, self._scale, largest, e.shape[1] + 1)
                    in_doubt.append(part[~enough])
            rows = torch.cat(in_doubt)
            if len(rows) == 0:
                break
        return distances, indices

    def _finder(
        self, wanted: int, dtype: torch.dtype
    ) -> Callable[[Tensor, Polar], tuple[Tensor, Tensor]]:
        """Make a search for (N, wanted) products and rows of candidates; float64 uses no index."""
        assert self._polar is not None
        if self.index is None or dtype == torch.float64:
            return product_search(
                self._rows, self._polar, self._scale, dtype, wanted, self._by_block
            )
        is_ball = self.index.metric_type == faiss.METRIC_L2
        most = _FAR_OUT * nc.largest_sinh(self._polar)

        def ask(query: Tensor, x: Polar) -> tuple[Tensor, Tensor]:
            if is_ball:
                points = nc.ball_points(query, x, self._scale, most)
            else:
                points = nc.query_columns(query, x, self._scale, dtype)
            products, rows = self.index.search(points.numpy(), wanted)
            return torch.from_numpy(products), torch.from_numpy(rows)

        return ask
