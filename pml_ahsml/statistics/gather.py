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
