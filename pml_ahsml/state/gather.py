"""Gathers the batches of all ranks, so that all ranks learn the same or all raise an error."""

from collections.abc import Mapping
from types import TracebackType
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor

from .host_numbers import rows_where

# A rank that raised an error announces this instead of its number of rows.
_FAILED = -1

# Labels, view ids and sample ids. A rank that has failed sends as many columns, but none of these.
_MOST_COLUMNS = 3


class AllRanks:
    """A training step in which all ranks learn from the rows of all ranks, or none learns.

    If one rank raises an error, the others would wait for it forever. Leaving the ``with`` block by
    an error tells the others, and they raise a RuntimeError that names the rank. Each rank

    1. calls :meth:`announce` after checking its batch, before any state changes,
    2. computes its loss, which may fail on some ranks,
    3. calls :meth:`gather` and learns.

    This takes one short collective operation more than the two that transfer the rows.

    Args:
        is_needed: whether this step learns from the rows of all ranks; the same on all ranks.
            Ignored for a single process.
        embeddings: this rank's embeddings, not checked yet. The ranks communicate on their device.

    Raises:
        RuntimeError: in :meth:`announce` and :meth:`gather`, if another rank raised an error.
        ValueError: in :meth:`announce`, if only some ranks have ids of a kind.

    Example:
        >>> embeddings, labels = torch.zeros(4, 2), torch.zeros(4, dtype=torch.long)
        >>> with AllRanks(True, embeddings) as ranks:  # a single process has only its own rows
        ...     ranks.announce(4, {})
        ...     ranks.is_needed
        False
    """

    def __init__(self, is_needed: bool, embeddings: Any) -> None:
        self.is_needed = is_needed and is_distributed()
        self._device = _device(embeddings) if self.is_needed else None
        self._lengths: list[int] = []
        # whether the other ranks will wait for this one later in the step
        self._is_awaited = self.is_needed

    def __enter__(self) -> "AllRanks":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if not (self._is_awaited and isinstance(error, Exception)):
            return
        self._is_awaited = False
        if not self._lengths:
            self._tell(_FAILED, 0)
        else:
            self._exchange(self._columns([], has_failed=True))

    def announce(self, num_rows: int, ids: Mapping[str, Tensor | None]) -> None:
        """Tell the other ranks that the batch is valid, and how many rows it has.

        Args:
            num_rows: N ≥ 0, number of rows that :meth:`gather` will get.
            ids: the ids that :meth:`gather` will get, by name; None if this rank has none.
        """
        if not self.is_needed:
            return
        self._is_awaited = False
        # which kinds of ids there are, as bits, for the error message
        kinds = sum(1 << bit for bit, of in enumerate(ids.values()) if of is not None)
        told = self._tell(num_rows, kinds)
        _raise_for([length == _FAILED for length, _ in told])
        for bit, name in enumerate(ids):
            without = [rank for rank, (_, has) in enumerate(told) if not has >> bit & 1]
            if 0 < len(without) < len(told):
                raise ValueError(
                    f"{name} must be given on all ranks or on none, got none on rank "
                    f"{_enumerated(without)}"
                )
        self._lengths = [length for length, _ in told]
        self._is_awaited = True

    def gather(
        self, embeddings: Tensor, labels: Tensor, ids: Mapping[str, Tensor | None]
    ) -> tuple[Tensor, Tensor, dict[str, Tensor | None]]:
        """Gather the batches of all ranks.

        Args:
            embeddings: (N, D) embeddings of this rank. No gradient flows through.
            labels: (N,) labels of this rank.
            ids: (N,) ids of this rank by name, each kind None on all ranks or on none. Ranks may
                use the same "view_ids" for different samples. Ids of other names mean the same
                everywhere.

        Returns:
            embeddings: (ΣN, D) in float32, in the order of the ranks.
            labels: (ΣN,).
            ids: (ΣN,) by name. Rows of different ranks have different "view_ids".
        """
        self._is_awaited = False
        given = {name: of for name, of in ids.items() if of is not None}
        columns = self._exchange(self._columns([labels, *given.values()], has_failed=False))
        _raise_for([bool(failed) for failed in torch.stack([part[0, 0] for part in columns])])
        table = self._rows([part[1:] for part in columns])
        rows = embeddings.new_zeros(max(self._lengths), embeddings.shape[1], dtype=torch.float32)
        rows[: len(embeddings)] = embeddings
        gathered = self._rows(self._exchange(rows))
        of_all = dict(zip(given, table[:, 1:].unbind(1), strict=False))
        if "view_ids" in of_all:
            of_all["view_ids"] = self._told_apart(of_all["view_ids"])
        return gathered, table[:, 0], {name: of_all.get(name) for name in ids}

    def _told_apart(self, ids: Tensor) -> Tensor:
        """Ids that rows of different ranks do not share."""
        of_rank = torch.arange(len(self._lengths), device=ids.device).repeat_interleave(
            torch.tensor(self._lengths, device=ids.device)
        )
        told_apart: Tensor = torch.stack([of_rank, ids], 1).unique(dim=0, return_inverse=True)[1]
        return told_apart

    def _tell(self, *numbers: int) -> list[list[int]]:
        """Send some numbers and return those of each rank."""
        told = self._exchange(torch.tensor(numbers, device=self._device))
        return [[int(number) for number in of_rank] for of_rank in torch.stack(told).tolist()]

    def _columns(self, columns: list[Tensor], has_failed: bool) -> Tensor:
        """Labels and ids in a table of one shape on all ranks; row 0 says who failed."""
        shape = 1 + max(self._lengths), _MOST_COLUMNS
        table = torch.zeros(shape, dtype=torch.long, device=self._device)
        table[0] = int(has_failed)
        for number, column in enumerate(columns):
            table[1 : 1 + len(column), number] = column
        return table

    def _exchange(self, values: Tensor) -> list[Tensor]:
        """Return the values of each rank, of one shape on all ranks."""
        parts = [torch.empty_like(values) for _ in range(dist.get_world_size())]
        if values.numel():
            dist.all_gather(parts, values)
        return parts

    def _rows(self, parts: list[Tensor]) -> Tensor:
        """Join the rows of all ranks, without the padding."""
        return torch.cat([part[:n] for part, n in zip(parts, self._lengths, strict=True)])


def is_distributed() -> bool:
    """Tell whether there are other ranks."""
    return dist.is_available() and dist.is_initialized() and dist.get_world_size() > 1


def by_rank(rows: Tensor, count: int | None = None) -> Tensor:
    """Bring some rows of a batch that PML has gathered into the order of the ranks.

    PML's DistributedLossWrapper puts a rank's own rows first, so the order differs between ranks.

    Args:
        rows: (N,) bool, the selected rows.
        count: M, if the host knows it.

    Returns:
        (M,) indices of the selected rows by rank.

    Example:
        >>> by_rank(torch.tensor([True, False]))
        tensor([0])
    """
    if not is_distributed() or len(rows) % dist.get_world_size():
        return rows_where(rows, count)
    rank, size = dist.get_rank(), len(rows) // dist.get_world_size()
    own, others = torch.arange(len(rows), device=rows.device).tensor_split([size])
    order = torch.cat([others[: rank * size], own, others[rank * size :]])
    return order[rows_where(rows[order], count)]


def gather_as_pml(values: Tensor, num_rows: int) -> Tensor:
    """Gather values in the order of the rows that PML's DistributedLossWrapper gathers.

    Args:
        values: (N,) values of this rank.
        num_rows: number of rows of the batch.

    Returns:
        (num_rows,), a rank's own values first; the values unchanged if the batch holds only the
        rows of this rank.

    Example:
        >>> gather_as_pml(torch.tensor([3, 1]), 2)
        tensor([3, 1])
    """
    if not is_distributed() or num_rows != len(values) * dist.get_world_size():
        return values
    parts = [torch.empty_like(values) for _ in range(dist.get_world_size())]
    dist.all_gather(parts, values)
    rank = dist.get_rank()
    return torch.cat([values, *parts[:rank], *parts[rank + 1 :]])


def mean_over_ranks(value: float, weight: float, device: torch.device) -> float:
    """Average a number over all ranks, which must all ask for it.

    Args:
        value: number of this rank.
        weight: its weight, ≥ 0; a number of weight 0 does not count.
        device: device on which the ranks communicate.

    Returns:
        The weighted mean, the same on all ranks; 0 if all weights are 0.

    Example:
        >>> mean_over_ranks(3.0, 2, torch.device("cpu"))
        3.0
    """
    if not is_distributed():
        return value if weight else 0.0
    told = torch.tensor([value * weight if weight else 0.0, weight], dtype=torch.float64)
    told = told.to(device)
    dist.all_reduce(told)
    total, weights = told.tolist()
    return total / weights if weights else 0.0


def _device(embeddings: Any) -> torch.device:
    """Device on which the ranks communicate: that of the embeddings, else the backend's."""
    if isinstance(embeddings, Tensor) and embeddings.device.type != "meta":
        return embeddings.device
    is_nccl = dist.get_backend() == "nccl"
    return torch.device("cuda", torch.cuda.current_device()) if is_nccl else torch.device("cpu")


def _raise_for(has_failed: list[bool]) -> None:
    """Raise an error that names the ranks that failed, if any."""
    failed = [rank for rank, failed in enumerate(has_failed) if failed]
    if failed:
        raise RuntimeError(
            f"rank {_enumerated(failed)} raised an error, so no rank learned from this batch"
        )


def _enumerated(ranks: list[int]) -> str:
    return ", ".join(map(str, ranks))
