"""Rows of all ranks, in the same order on every rank."""

import torch
import torch.distributed as dist
from torch import Tensor


def gather_rows(embeddings: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """Concatenate the batches of all ranks, which may differ in length.

    Args:
        embeddings: (N, D), this rank's; no gradient flows through.
        labels: (N,), this rank's.

    Returns:
        (ΣN, D) and (ΣN,), by rank; the arguments themselves where nothing is distributed.

    Source:
        This project.

    Example:
        >>> embeddings, labels = gather_rows(torch.zeros(4, 2), torch.zeros(4))
        >>> embeddings.shape  # a single process has only its own rows
        torch.Size([4, 2])
    """
    if not (dist.is_available() and dist.is_initialized()) or dist.get_world_size() == 1:
        return embeddings, labels
    world_size = dist.get_world_size()
    length = torch.tensor([len(labels)], device=embeddings.device)
    lengths = [torch.zeros_like(length) for _ in range(world_size)]
    dist.all_gather(lengths, length)
    longest = max(int(n) for n in lengths)
    gathered = []
    for rows in (embeddings, labels):
        # all_gather wants equal shapes on all ranks: pad, then cut
        padded = rows.new_zeros(longest, *rows.shape[1:])
        padded[: len(rows)] = rows
        parts = [torch.empty_like(padded) for _ in range(world_size)]
        dist.all_gather(parts, padded)
        gathered.append(torch.cat([p[: int(n)] for p, n in zip(parts, lengths, strict=True)]))
    return gathered[0], gathered[1]


def gather_batch(
    embeddings: Tensor, labels: Tensor, view_ids: Tensor | None
) -> tuple[Tensor, Tensor, Tensor | None]:
    """The batches of all ranks, which may use the same view ids for different samples.

    Args:
        embeddings: (N, D), this rank's; no gradient flows through.
        labels: (N,), this rank's.
        view_ids: (N,), this rank's, or None on all ranks.

    Returns:
        (ΣN, D), (ΣN,) and (ΣN,) or None, by rank; ids are shared within a rank only.

    Source:
        This project.

    Example:
        >>> _, _, ids = gather_batch(torch.zeros(2, 1), torch.zeros(2).long(), torch.tensor([7, 7]))
        >>> ids
        tensor([0, 0])
    """
    if view_ids is None:
        return *gather_rows(embeddings, labels), None
    rank = dist.get_rank() if dist.is_available() and dist.is_initialized() else 0
    columns = torch.stack([labels, view_ids.to(labels), torch.full_like(labels, rank)], 1)
    embeddings, columns = gather_rows(embeddings, columns)
    ids = columns[:, 1:].unique(dim=0, return_inverse=True)[1]
    return embeddings, columns[:, 0], ids
