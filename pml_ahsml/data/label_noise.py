"""Wrong labels on purpose, to measure how much they hurt."""

import torch
from torch import Tensor

from ..checks import check_count, check_in_interval, check_labels

# Neighbours among which "near" noise draws.
_NEAR_CLASSES = 5

# Samples of a dissolved class that stay together in "small_cluster" noise.
_GROUP_SIZE = 4


def inject_label_noise(
    labels: Tensor,
    rate: float,
    kind: str = "symmetric",
    *,
    num_classes: int | None = None,
    class_similarity: Tensor | None = None,
    embeddings: Tensor | None = None,
    generator: torch.Generator | None = None,
) -> tuple[Tensor, Tensor]:
    """Replace a share of the labels by wrong ones and keep the truth.

    Args:
        labels: (N,) integers in [0, num_classes), the clean labels.
        rate: share of the labels to make wrong, in [0, 1]; round(rate·N) of them are.
        kind: "symmetric", every other class is equally likely; "near", one of the 5 most similar
            classes; "pair", the most similar class; "small_cluster", random classes are dissolved,
            the last one in part, into groups of at most 4 samples, and each group is given the
            label of a class that is kept.
        num_classes: K; by default the largest label plus one.
        class_similarity: (K, K), larger is more similar, for "near" and "pair".
        embeddings: (N, D), from which the similarity is the cosine between class means of the
            normalised rows. Either this or ``class_similarity``, for "near" and "pair" only.
        generator: the source of randomness, on the CPU; the global one by default.

    Returns:
        noisy_labels: (N,), dtype and device of ``labels``.
        is_noisy: (N,) bool, True where the label was made wrong. A wrong label always differs
            from the clean one.

    Raises:
        TypeError: for labels that are no integer tensor.
        ValueError: for a rate outside [0, 1], a kind that is not known, fewer than 2 classes,
            a similarity that is missing, of the wrong shape or not used by the kind, or a
            small_cluster rate that leaves no class.

    Source:
        Symmetric and small-cluster noise: Liu et al. (PRISM), CVPR 2021, except that the groups of
        a dissolved class are random here. Near and pair noise: this project.

    Example:
        >>> labels = torch.arange(10) % 5
        >>> noisy, is_noisy = inject_label_noise(
        ...     labels, 0.4, generator=torch.Generator().manual_seed(0)
        ... )
        >>> int(is_noisy.sum()), torch.equal(noisy != labels, is_noisy)
        (4, True)
    """
    check_in_interval("rate", rate, 0.0, 1.0)
    if kind not in ("symmetric", "near", "pair", "small_cluster"):
        raise ValueError(
            f"kind must be 'symmetric', 'near', 'pair' or 'small_cluster', got {kind!r}"
        )
    if not isinstance(labels, Tensor):
        raise TypeError(f"labels must be a tensor, got {type(labels).__name__}")
    if num_classes is None:
        num_classes = int(labels.max()) + 1 if len(labels) else 0
    check_count("num_classes", num_classes, minimum=2)
    check_labels("labels", labels, len(labels), num_classes)
    similarity = _class_similarity(kind, labels, num_classes, class_similarity, embeddings)
    clean, count = labels.cpu(), round(rate * len(labels))
    if kind == "small_cluster":
        noisy = _small_cluster(clean, count, num_classes, generator)
    else:
        chosen = torch.randperm(len(clean), generator=generator)[:count]
        noisy = clean.clone()
        if similarity is None:
            # an offset of 1 … K−1 around the circle of classes reaches every other class alike
            offset = torch.randint(1, num_classes, (count,), generator=generator)
            noisy[chosen] = ((clean[chosen] + offset) % num_classes).to(clean.dtype)
        else:
            neighbours = min(1 if kind == "pair" else _NEAR_CLASSES, num_classes - 1)
            nearest = similarity.fill_diagonal_(-torch.inf).topk(neighbours).indices
            which = torch.randint(neighbours, (count,), generator=generator)
            noisy[chosen] = nearest[clean[chosen].long(), which].to(clean.dtype)
    noisy = noisy.to(labels.device)
    return noisy, noisy != labels


def _class_similarity(
    kind: str,
    labels: Tensor,
    num_classes: int,
    class_similarity: Tensor | None,
    embeddings: Tensor | None,
) -> Tensor | None:
    """(K, K) on the CPU for the kinds that need it, None for the others."""
    given = [x is not None for x in (class_similarity, embeddings)]
    if kind not in ("near", "pair"):
        if any(given):
            raise ValueError(
                f"class_similarity and embeddings must be left out for kind={kind!r}, got one"
            )
        return None
    if sum(given) != 1:
        raise ValueError(
            f"class_similarity or embeddings must be given for kind={kind!r}, got {sum(given)} of 2"
        )
    if class_similarity is not None:
        if class_similarity.shape != (num_classes, num_classes):
            raise ValueError(
                f"class_similarity must be of shape ({num_classes}, {num_classes}), got "
                f"{tuple(class_similarity.shape)}"
            )
        return class_similarity.detach().cpu().double().clone()
    assert embeddings is not None
    if embeddings.ndim != 2 or len(embeddings) != len(labels):
        raise ValueError(
            f"embeddings must be of shape ({len(labels)}, D), got {tuple(embeddings.shape)}"
        )
    rows = torch.nn.functional.normalize(embeddings.detach().cpu().double())
    sums = torch.zeros(num_classes, rows.shape[1], dtype=rows.dtype)
    sums.index_add_(0, labels.cpu().long(), rows)
    means = torch.nn.functional.normalize(sums)
    return means @ means.T


def _small_cluster(
    clean: Tensor, count: int, num_classes: int, generator: torch.Generator | None
) -> Tensor:
    order = torch.randperm(num_classes, generator=generator)
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
        rows = rows[torch.randperm(len(rows), generator=generator)][:count]
        count -= len(rows)
        for group in rows.split(_GROUP_SIZE):
            new = kept[torch.randint(len(kept), (1,), generator=generator)]
            noisy[group] = new.to(noisy.dtype)
    return noisy
