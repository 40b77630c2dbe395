"""How wrong labels are drawn: one function for each kind of label noise.

All work on the CPU, whatever torch's default device, and take and return labels (N,) in int64.
"""

import torch
from torch import Tensor

Generator = torch.Generator | None

# Samples of a dissolved class that stay together in "small_cluster" noise.
_GROUP_SIZE = 4


def symmetric(clean: Tensor, count: int, num_classes: int, generator: Generator) -> Tensor:
    """``count`` random samples get any other class, all alike."""
    chosen = _choose(len(clean), count, generator)
    # an offset of 1 … K−1 around the circle of classes reaches every other class alike
    offset = torch.randint(1, num_classes, (count,), generator=generator, device="cpu")
    return _replace(clean, chosen, (clean[chosen] + offset) % num_classes)


def neighbours(
    clean: Tensor, count: int, similarity: Tensor, num_neighbours: int, generator: Generator
) -> Tensor:
    """``count`` random samples get one of the classes most similar to theirs, all alike."""
    chosen = _choose(len(clean), count, generator)
    similarity = similarity.clone().fill_diagonal_(-torch.inf)
    nearest = similarity.topk(min(num_neighbours, len(similarity) - 1)).indices
    which = torch.randint(nearest.shape[1], (count,), generator=generator, device="cpu")
    return _replace(clean, chosen, nearest[clean[chosen].long(), which])


def small_cluster(clean: Tensor, count: int, num_classes: int, generator: Generator) -> Tensor:
    """Random classes are dissolved, the last one in part; small groups go to a kept class each."""
    order = torch.randperm(num_classes, generator=generator, device="cpu")
    sizes = torch.bincount(clean.long(), minlength=num_classes)[order]
    before = sizes.cumsum(0) - sizes  # samples in the classes dissolved earlier
    dissolved, kept = order[before < count], order[before >= count]
    if count > 0 and len(kept) == 0:
        raise ValueError(
            f"rate must leave a class for small_cluster noise, got {count} of {len(clean)} samples"
        )
    noisy = clean.clone()
    for k in dissolved.tolist():
        rows = (clean == k).nonzero().squeeze(1)
        rows = rows[torch.randperm(len(rows), generator=generator, device="cpu")][:count]
        count -= len(rows)
        for group in rows.split(_GROUP_SIZE):
            new = kept[torch.randint(len(kept), (1,), generator=generator, device="cpu")]
            noisy[group] = new.to(noisy.dtype)
    return noisy


def choose_open_classes(
    clean: Tensor, count: int, num_classes: int, generator: Generator
) -> Tensor:
    """Random whole classes that together come as near to ``count`` samples as they can in turn."""
    order = torch.randperm(num_classes, generator=generator, device="cpu")
    sizes = torch.bincount(clean.long(), minlength=num_classes)[order]
    total, chosen = 0, []
    for k, size in zip(order.tolist(), sizes.tolist(), strict=True):
        if size > 0 and abs(total + size - count) < abs(total - count):
            total += size
            chosen.append(k)
    if count > 0 and not chosen:
        raise ValueError(
            "rate must be worth half a class at least for open_set noise, got "
            f"{count} of {len(clean)} samples"
        )
    return torch.tensor(chosen, dtype=torch.long, device="cpu")


def open_set(clean: Tensor, open_classes: Tensor, num_classes: int, generator: Generator) -> Tensor:
    """All samples of the open classes get any class that is kept, all alike."""
    is_open = torch.zeros(num_classes, dtype=torch.bool, device="cpu")
    is_open[open_classes] = True
    present = torch.bincount(clean.long(), minlength=num_classes) > 0
    kept = (present & ~is_open).nonzero().squeeze(1)
    if len(kept) == 0 and len(clean) > 0:
        raise ValueError(f"open_classes must leave a class, got all {num_classes} of them")
    chosen = is_open[clean.long()].nonzero().squeeze(1)
    if len(chosen) == 0:
        return clean.clone()
    return _replace(
        clean,
        chosen,
        kept[torch.randint(len(kept), (len(chosen),), generator=generator, device="cpu")],
    )


def instance(clean: Tensor, count: int, similarity: Tensor, generator: Generator) -> Tensor:
    """``count`` samples get the class they look like, the more ambiguous ones first.

    Args:
        clean: (N,).
        count: samples that get a wrong label.
        similarity: (N, K) of samples to class centroids.
        generator: the source of randomness.

    Returns:
        (N,).
    """
    if count > 0 and int(similarity.isfinite().any(0).sum()) < 2:
        raise ValueError("labels must hold at least 2 classes for instance noise, got 1")
    own = similarity.gather(1, clean.long()[:, None])
    others, nearest = similarity.scatter(1, clean.long()[:, None], -torch.inf).max(1)
    lead = others - own.squeeze(1)
    # the largest of log-weight plus Gumbel noise are draws without replacement by those weights
    uniform = torch.rand(len(clean), generator=generator, dtype=lead.dtype, device="cpu")
    gumbel = -(-uniform.clamp_min(torch.finfo(lead.dtype).tiny).log()).log()
    spread = lead.std(unbiased=False).clamp_min(torch.finfo(lead.dtype).eps) if len(clean) else 1
    chosen = (lead / spread + gumbel).topk(count).indices
    return _replace(clean, chosen, nearest[chosen])


def transition(clean: Tensor, matrix: Tensor, generator: Generator) -> Tensor:
    """Each label is drawn from the row of its class."""
    if len(clean) == 0:
        return clean.clone()
    drawn = torch.empty_like(clean)
    for k in clean.unique().tolist():
        rows = clean == k
        labels = torch.multinomial(matrix[k], int(rows.sum()), True, generator=generator)
        drawn[rows] = labels.to(clean.dtype)
    return drawn


def centroid_similarity(embeddings: Tensor, labels: Tensor, num_classes: int) -> Tensor:
    """(N, K) cosines of samples and class means of the normalised rows; −inf for absent classes."""
    rows, means = _rows_and_means(embeddings, labels, num_classes)
    absent = torch.bincount(labels.long(), minlength=num_classes) == 0
    return (rows @ means.T).masked_fill(absent, -torch.inf)


def mean_similarity(embeddings: Tensor, labels: Tensor, num_classes: int) -> Tensor:
    """(K, K) cosines between class means of the normalised rows."""
    _, means = _rows_and_means(embeddings, labels, num_classes)
    return means @ means.T


def _rows_and_means(embeddings: Tensor, labels: Tensor, num_classes: int) -> tuple[Tensor, Tensor]:
    rows = torch.nn.functional.normalize(embeddings.detach().cpu().double())
    sums = rows.new_zeros(num_classes, rows.shape[1])
    sums.index_add_(0, labels.cpu().long(), rows)
    return rows, torch.nn.functional.normalize(sums)


def _choose(total: int, count: int, generator: Generator) -> Tensor:
    return torch.randperm(total, generator=generator, device="cpu")[:count]


def _replace(clean: Tensor, rows: Tensor, labels: Tensor) -> Tensor:
    noisy = clean.clone()
    noisy[rows] = labels.to(clean.dtype)
    return noisy
