"""The file that PoincareKNN saves its references in."""

import math
import os
import zipfile
import zlib
from typing import Any, NamedTuple, NoReturn

import torch
from torch import Tensor

from .row_blocks import HALF

try:
    import faiss
except ModuleNotFoundError:  # an extra of the package
    faiss = None  # type: ignore[assignment]

_INDEX_ENTRIES = {"index", "geometry", "scale", "checksum"}

# Entries of files from before the first release. Their index has other coordinates and is rebuilt.
_OLD_INDEX_ENTRIES = {"index", "geometry"}


class BuiltIndex(NamedTuple):
    """A faiss index, and the settings its coordinates depend on."""

    index: Any
    geometry: tuple[float, float, bool]  # curvature, clip radius, whether rows are on the ball
    scale: float


def write(
    filename: str | os.PathLike[str], references: Tensor, built: BuiltIndex | None = None
) -> None:
    """Write references, and optionally their index, to a file for :func:`read`.

    Args:
        filename: path of the file.
        references: (M, D) references.
        built: index of the references.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     write(f"{folder}/references.pt", torch.ones(2, 3))
        ...     read(f"{folder}/references.pt")[0].shape
        torch.Size([2, 3])
    """
    state: dict[str, Any] = {"references": references}
    if built is not None:
        content = faiss.serialize_index(built.index)
        state |= {
            "index": torch.from_numpy(content),
            "geometry": built.geometry,
            "scale": built.scale,
            # faiss may crash on a damaged index
            "checksum": zlib.crc32(content.tobytes()),
        }
    torch.save(state, filename)


def read(filename: str | os.PathLike[str]) -> tuple[Tensor, BuiltIndex | None]:
    """Read and check a file written by :func:`write`.

    Args:
        filename: path of the file.

    Returns:
        The references, and their index or None if there is no index or no faiss.

    Raises:
        ValueError: if the file is of another kind or damaged, naming the file and the entry.
        OSError: if the file does not exist or cannot be read.
    """
    state = _load(filename)
    entries = {"references"} | (set() if set(state) == {"references"} else _INDEX_ENTRIES)
    if set(state) not in (entries, {"references"} | _OLD_INDEX_ENTRIES):
        _refuse(filename, "entries", f"{sorted(entries)}", f"{sorted(map(str, state))}")
    references = _tensor(filename, "references", state["references"])
    if references.ndim != 2:
        _refuse(filename, "references", "of shape (M, D)", f"{tuple(references.shape)}")
    if references.dtype not in (torch.float32, torch.float64, *HALF):
        rule = "of dtype float16, bfloat16, float32 or float64"
        _refuse(filename, "references", rule, f"{references.dtype}")
    if not references.isfinite().all():
        _refuse(filename, "references", "finite", "nan or inf")
    if "index" not in state:
        return references, None
    geometry = _geometry(filename, state["geometry"])
    content = _tensor(filename, "index", state["index"])
    if content.dtype != torch.uint8 or content.ndim != 1:
        wrong = f"{content.dtype} of shape {tuple(content.shape)}"
        _refuse(filename, "index", "a row of bytes (uint8)", wrong)
    if "scale" not in state:
        return references, None
    scale = state["scale"]
    if not _is_positive(scale):
        _refuse(filename, "scale", "a positive, finite float", repr(scale))
    if state["checksum"] != zlib.crc32(content.numpy().tobytes()) or isinstance(
        state["checksum"], bool
    ):
        _refuse(filename, "checksum", "that of the index", repr(state["checksum"]))
    if faiss is None:
        return references, None
    return references, BuiltIndex(_index(filename, content, references), geometry, scale)


def _load(filename: str | os.PathLike[str]) -> dict[Any, Any]:
    with open(filename, "rb") as file:
        try:
            with zipfile.ZipFile(file) as archive:
                damaged = archive.testzip()
            file.seek(0)
            state = None if damaged else torch.load(file, map_location="cpu", weights_only=True)
        except Exception as error:  # damaged bytes raise errors of many kinds
            raise ValueError(
                f"{os.fspath(filename)} must be written by PoincareKNN.save, got a file that "
                f"cannot be read: {error}"
            ) from error
    if damaged:
        _refuse(filename, "every entry", "undamaged", f"damage in {damaged}")
    if not isinstance(state, dict):
        _refuse(filename, "content", "a dict of entries", type(state).__name__)
    return state


def _tensor(filename: str | os.PathLike[str], name: str, value: Any) -> Tensor:
    if not isinstance(value, Tensor):
        _refuse(filename, name, "a tensor", type(value).__name__)
    if value.layout != torch.strided or value.device.type != "cpu":
        _refuse(filename, name, "dense and have data", f"{value.layout} on {value.device}")
    return value.detach().contiguous()


def _geometry(filename: str | os.PathLike[str], value: Any) -> tuple[float, float, bool]:
    is_right = (
        isinstance(value, tuple | list)
        and len(value) == 3
        and all(map(_is_positive, value[:2]))
        and isinstance(value[2], bool)
    )
    if not is_right:
        rule = "curvature and clip radius, positive and finite, and a bool"
        _refuse(filename, "geometry", rule, repr(value))
    curvature, clip_radius, on_ball = value
    return curvature, clip_radius, on_ball


def _index(filename: str | os.PathLike[str], content: Tensor, references: Tensor) -> Any:
    try:
        index = faiss.deserialize_index(content.numpy())
    except Exception as error:  # faiss's wrapper raises errors of many kinds
        _refuse(filename, "index", "an index that faiss can read", str(error))
    found = (index.ntotal, index.d)
    expected = (len(references), references.shape[1] + 1)
    if found != expected:
        rule = f"of {expected[0]} points with {expected[1]} dimensions, as the references"
        _refuse(filename, "index", rule, f"{found[0]} with {found[1]}")
    if index.metric_type not in (faiss.METRIC_INNER_PRODUCT, faiss.METRIC_L2):
        rule = "for inner products or L2"
        _refuse(filename, "index", rule, f"metric type {index.metric_type}")
    if not index.is_trained:
        _refuse(filename, "index", "trained", "an untrained one")
    return index


def _is_positive(value: Any) -> bool:
    return isinstance(value, float) and math.isfinite(value) and value > 0


def _refuse(filename: str | os.PathLike[str], name: str, rule: str, got: str) -> NoReturn:
    raise ValueError(f"{name} of {os.fspath(filename)} must be {rule}, got {got}")
