"""Wrong labels on purpose, to measure how much they hurt."""

import torch
from torch import Tensor

from ..checks import check_count, check_in_interval, check_labels
from . import noise_kinds

# Neighbours among which "near" noise draws.
_NEAR_CLASSES = 5

# The options that each kind makes use of.
_OPTIONS = {
    "symmetric": (),
    "near": ("class_similarity", "embeddings"),
    "pair": ("class_similarity", "embeddings"),
    "small_cluster": (),
    "open_set": ("open_classes",),
    "instance": ("embeddings",),
    "transition": ("transition_matrix",),
}


def inject_label_noise(
    labels: Tensor,
    rate: float | None,
    kind: str = "symmetric",
    *,
    num_classes: int | None = None,
    class_similarity: Tensor | None = None,
    transition_matrix: Tensor | None = None,
    embeddings: Tensor | None = None,
    open_classes: Tensor | None = None,
    generator: torch.Generator | None = None,
) -> tuple[Tensor, Tensor]:
    """Replace a share of the labels by wrong ones and keep the truth.

    Kinds of noise:

    - "symmetric": every other class is equally likely.
    - "near": one of the 5 most similar classes.
    - "pair": the most similar class.
    - "small_cluster": random classes are dissolved, the last one in part, into groups of at most 4
      samples, and each group is given the label of a class that is kept.
    - "open_set": whole classes are declared to be outside; each of their samples is given the
      label of a random class that is kept. No label in use is right for such a sample.
    - "instance": samples nearer to another class than to their own are the likeliest to be wrong.
      With m_i the cosine of sample i to the nearest other class mean less that to its own, samples
      are drawn without replacement by the weights exp(m_i / std m), and are given the label of
      that nearest class.
    - "transition": each label is drawn from the row of its class in ``transition_matrix``.

    Args:
        labels: (N,) integers in [0, num_classes), the clean labels.
        rate: share of the labels to make wrong, in [0, 1]; round(rate·N) of them are, with
            "open_set" as near to it as whole classes come. None where the kind's own option
            determines it: a ``transition_matrix`` or ``open_classes``.
        kind: see above.
        num_classes: K; by default the largest label plus one.
        class_similarity: (K, K), larger is more similar, for "near" and "pair".
        transition_matrix: (K, K), for "transition": entry (k, y) is the probability of the label y
            for a sample of class k; rows sum to 1.
        embeddings: (N, D), for "instance"; for "near" and "pair" in the place of
            ``class_similarity``, which is then the cosine between class means of the normalised
            rows.
        open_classes: (C,) the classes outside, for "open_set"; random ones by default.
        generator: the source of randomness, on the CPU; the global one by default.

    Returns:
        noisy_labels: (N,), dtype and device of ``labels``.
        is_noisy: (N,) bool, True where the label was made wrong. A wrong label always differs
            from the clean one.

    Raises:
        TypeError: for labels that are no integer tensor.
        ValueError: for a rate outside [0, 1], or given where the kind determines it; a kind that is
            not known, fewer than 2 classes, an option that is missing, of the wrong shape or not
            used by the kind; a rate or ``open_classes`` that leave no class.

    Source:
        Symmetric and small-cluster noise: Liu et al. (PRISM), CVPR 2021, except that the groups of
        a dissolved class are random here. The others in this form: this project.

    Example:
        >>> labels = torch.arange(10) % 5
        >>> noisy, is_noisy = inject_label_noise(
        ...     labels, 0.4, generator=torch.Generator().manual_seed(0)
        ... )
        >>> int(is_noisy.sum()), torch.equal(noisy != labels, is_noisy)
        (4, True)
    """
    _check_options(
        kind,
        class_similarity=class_similarity,
        transition_matrix=transition_matrix,
        embeddings=embeddings,
        open_classes=open_classes,
    )
    _check_rate(rate, kind, is_determined=kind == "transition" or open_classes is not None)
    if not isinstance(labels, Tensor):
        raise TypeError(f"labels must be a tensor, got {type(labels).__name__}")
    if num_classes is None:
        num_classes = int(labels.max()) + 1 if len(labels) else 0
    check_count("num_classes", num_classes, minimum=2)
    check_labels("labels", labels, len(labels), num_classes)
    clean = labels.cpu()
    count = 0 if rate is None else round(rate * len(labels))
    if embeddings is not None and (embeddings.ndim != 2 or len(embeddings) != len(labels)):
        raise ValueError(
            f"embeddings must be of shape ({len(labels)}, D), got {tuple(embeddings.shape)}"
        )
    if kind == "symmetric":
        noisy = noise_kinds.symmetric(clean, count, num_classes, generator)
    elif kind in ("near", "pair"):
        similarity = _class_similarity(class_similarity, embeddings, clean, num_classes)
        num_neighbours = 1 if kind == "pair" else _NEAR_CLASSES
        noisy = noise_kinds.neighbours(clean, count, similarity, num_neighbours, generator)
    elif kind == "small_cluster":
        noisy = noise_kinds.small_cluster(clean, count, num_classes, generator)
    elif kind == "open_set":
        if open_classes is None:
            outside = noise_kinds.choose_open_classes(clean, count, num_classes, generator)
        else:
            check_labels("open_classes", open_classes, len(open_classes), num_classes)
            outside = open_classes.cpu().long()
        noisy = noise_kinds.open_set(clean, outside, num_classes, generator)
    elif kind == "instance":
        assert embeddings is not None  # by _check_options
        to_centroids = noise_kinds.centroid_similarity(embeddings, clean, num_classes)
        noisy = noise_kinds.instance(clean, count, to_centroids, generator)
    else:
        matrix = _checked_transition_matrix(transition_matrix, num_classes)
        noisy = noise_kinds.transition(clean, matrix, generator)
    noisy = noisy.to(labels.device)
    return noisy, noisy != labels


def _check_options(kind: str, **options: Tensor | None) -> None:
    if kind not in _OPTIONS:
        raise ValueError(f"kind must be one of {', '.join(map(repr, _OPTIONS))}, got {kind!r}")
    used = _OPTIONS[kind]
    for name, value in options.items():
        if value is not None and name not in used:
            raise ValueError(f"{name} must be left out for kind={kind!r}, got one")
    given = sum(options[name] is not None for name in used)
    if (kind != "open_set" and used and given == 0) or given > 1:
        raise ValueError(f"{' or '.join(used)} must be given for kind={kind!r}, got {given} of it")


def _check_rate(rate: float | None, kind: str, is_determined: bool) -> None:
    if not is_determined:
        check_in_interval("rate", rate, 0.0, 1.0)
    elif rate is not None:
        option = _OPTIONS[kind][0]
        raise ValueError(f"rate must be None where {option} determines it, got {rate}")


def _class_similarity(
    class_similarity: Tensor | None, embeddings: Tensor | None, clean: Tensor, num_classes: int
) -> Tensor:
    if embeddings is not None:
        return noise_kinds.mean_similarity(embeddings, clean, num_classes)
    assert class_similarity is not None  # by _check_options
    _check_square("class_similarity", class_similarity, num_classes)
    return class_similarity.detach().cpu().double()


def _checked_transition_matrix(matrix: Tensor | None, num_classes: int) -> Tensor:
    assert matrix is not None  # by _check_options
    _check_square("transition_matrix", matrix, num_classes)
    matrix = matrix.detach().cpu().double()
    if not (matrix >= 0).all() or not torch.allclose(
        matrix.sum(1), torch.ones(1).double(), 0, 1e-4
    ):
        raise ValueError(
            "transition_matrix must have rows of probabilities that sum to 1, got values from "
            f"{float(matrix.min()):.3g} and sums from {float(matrix.sum(1).min()):.3g} to "
            f"{float(matrix.sum(1).max()):.3g}"
        )
    return matrix


def _check_square(name: str, matrix: Tensor, num_classes: int) -> None:
    if matrix.shape != (num_classes, num_classes):
        raise ValueError(
            f"{name} must be of shape ({num_classes}, {num_classes}), got {tuple(matrix.shape)}"
        )
