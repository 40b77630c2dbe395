"""Measures how many nearest neighbours the approximate indices of faiss find."""

import importlib.util
from collections.abc import Callable
from typing import Any

from torch import Tensor

from pml_ahsml import PoincareDistance, PoincareKNN

HAS_FAISS = importlib.util.find_spec("faiss") is not None


def recalls(e: Tensor, k: int, distance: PoincareDistance, exact: Tensor) -> dict[str, float]:
    """Compute the share of the (N, k) neighbours that each index finds; empty without faiss."""
    if not HAS_FAISS:
        return {}
    import faiss

    result = {}
    for name, make in (("HNSW", hnsw), ("IVF", ivf)):
        for metric, label in ((faiss.METRIC_L2, "L2"), (faiss.METRIC_INNER_PRODUCT, "products")):
            knn = PoincareKNN(distance, index_init_fn=make(metric, len(e)))
            found = knn(e, k, e, True)[1]
            hit = (found[:, :, None] == exact[:, None]).any(2)
            result[f"recall of {name}, {label}"] = float(hit.double().mean())
    return result


def hnsw(metric: int, _: int) -> Callable[[int], Any]:
    """Make a factory of graphs with 32 links per point and efSearch 128."""
    import faiss

    def make(d: int) -> Any:
        index = faiss.IndexHNSWFlat(d, 32, metric)
        index.hnsw.efSearch = 128
        return index

    return make


def ivf(metric: int, count: int) -> Callable[[int], Any]:
    """Make a factory of indices with a cell for 200 points, which probe an eighth of the cells."""
    import faiss

    def make(d: int) -> Any:
        index = faiss.index_factory(d, f"IVF{max(4, count // 200)},Flat", metric)
        index.nprobe = max(2, count // 1600)
        return index

    return make


def set_threads(number: int) -> None:
    """Set the number of threads of faiss, if it is installed."""
    if HAS_FAISS:
        import faiss

        faiss.omp_set_num_threads(number)
