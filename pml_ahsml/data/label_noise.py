"""Wrong labels on purpose, to measure how much they hurt."""

import torch
from torch import Tensor

from ..checks import check_count, check_in_interval, check_integers, check_labels, check_tensor
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

    Wrong labels are of classes that occur in ``labels``, unless ``num_classes`` says that there are
    others; with ``embeddings`` always, as they say nothing about a class without samples.

    Args:
        labels: (N,) integers in [0, num_classes), the clean labels; they may have gaps.
        rate: share of the labels to make wrong, in [0, 1]; round(rate·N) of them are, with
            "open_set" as near to it as whole classes come. None where the kind's own option
            determines it: a ``transition_matrix`` or ``open_classes``.
        kind: see above.
        num_classes: K, where classes without a sample are to be given to samples, too; by default
            K is the largest label plus one, and classes that do not occur are left out.
        class_similarity: (K, K), larger is more similar, for "near" and "pair"; its diagonal is not
            looked at.
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
        TypeError: for labels that are no integer tensor, and an option that is no tensor.
        ValueError: for a rate outside [0, 1], or given where the kind determines it; a kind that is
            not known, fewer than 2 classes, an option that is missing, of the wrong shape, not
            finite or not used by the kind; a rate or ``open_classes`` that leave no class, labels
            of a dtype that does not hold all classes, and a ``transition_matrix`` that leads to
            classes that do not occur where ``num_classes`` is not given.

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
    rate = _checked_rate(rate, kind, is_determined=kind == "transition" or open_classes is not None)
    _check_generator(generator)
    clean = _checked_vector("labels", labels)
    occurring_only = num_classes is None
    if num_classes is None:
        num_classes = int(clean.max()) + 1 if len(clean) else 0
    num_classes = check_count("num_classes", num_classes, minimum=2)
    check_labels("labels", clean, len(clean), num_classes)
    if num_classes - 1 > torch.iinfo(labels.dtype).max:
        raise ValueError(
            f"labels must be of a dtype that holds {num_classes} classes, got {labels.dtype}"
        )
    count = 0 if rate is None else round(rate * len(clean))
    if embeddings is not None:
        _check_embeddings(embeddings, len(clean))
    # the classes to draw from, by whose place in the list samples are labelled while it is drawn
    occurring = clean.unique()
    drawn_from = torch.arange(num_classes, device="cpu")
    if occurring_only or (kind in ("near", "pair") and embeddings is not None):
        drawn_from = occurring
    places = torch.searchsorted(drawn_from, clean)
    if kind in ("symmetric", "near", "pair", "small_cluster") and len(clean):
        _check_several(drawn_from)
    if kind == "symmetric":
        noisy = drawn_from[noise_kinds.symmetric(places, count, len(drawn_from), generator)]
    elif kind in ("near", "pair"):
        similarity = _class_similarity(
            class_similarity, embeddings, places, drawn_from, num_classes
        )
        num_neighbours = 1 if kind == "pair" else _NEAR_CLASSES
        noisy = drawn_from[
            noise_kinds.neighbours(places, count, similarity, num_neighbours, generator)
        ]
    elif kind == "small_cluster":
        noisy = drawn_from[noise_kinds.small_cluster(places, count, len(drawn_from), generator)]
    elif kind == "open_set":
        if open_classes is None:
            outside = noise_kinds.choose_open_classes(clean, count, num_classes, generator)
        else:
            outside = _checked_vector("open_classes", open_classes)
            check_labels("open_classes", outside, len(outside), num_classes)
        noisy = noise_kinds.open_set(clean, outside, num_classes, generator)
    elif kind == "instance":
        assert embeddings is not None  # by _check_options
        to_centroids = noise_kinds.centroid_similarity(embeddings, clean, num_classes)
        noisy = noise_kinds.instance(clean, count, to_centroids, generator)
    else:
        matrix = _checked_transition_matrix(transition_matrix, num_classes)
        if occurring_only:
            _check_leads_to(matrix, occurring)
        noisy = noise_kinds.transition(clean, matrix, generator)
    is_noisy = noisy != clean
    return noisy.to(labels.device, labels.dtype), is_noisy.to(labels.device)


def _check_options(kind: str, **options: Tensor | None) -> None:
    if not isinstance(kind, str) or kind not in _OPTIONS:
        raise ValueError(f"kind must be one of {', '.join(map(repr, _OPTIONS))}, got {kind!r}")
    used = _OPTIONS[kind]
    for name, value in options.items():
        if value is None:
            continue
        if name not in used:
            raise ValueError(f"{name} must be left out for kind={kind!r}, got one")
        check_tensor(name, value)
    given = sum(options[name] is not None for name in used)
    if (kind != "open_set" and used and given == 0) or given > 1:
        raise ValueError(f"{' or '.join(used)} must be given for kind={kind!r}, got {given} of it")


def _checked_rate(rate: float | None, kind: str, is_determined: bool) -> float | None:
    if not is_determined:
        return check_in_interval("rate", rate, 0.0, 1.0)
    if rate is not None:
        option = _OPTIONS[kind][0]
        raise ValueError(f"rate must be None where {option} determines it, got {rate}")
    return None


def _checked_vector(name: str, values: Tensor) -> Tensor:
    """Labels or classes on the CPU in int64."""
    integers = check_integers(name, values).cpu()
    if integers.ndim != 1:
        raise ValueError(f"{name} must be of shape (N,), got {tuple(integers.shape)}")
    return integers


def _check_generator(generator: torch.Generator | None) -> None:
    if generator is None:
        return
    if not isinstance(generator, torch.Generator):
        raise TypeError(f"generator must be a torch.Generator, got {type(generator).__name__}")
    if generator.device.type != "cpu":
        raise ValueError(f"generator must be one of the CPU, got one of {generator.device}")


def _check_embeddings(embeddings: Tensor, num_rows: int) -> None:
    if embeddings.ndim != 2 or len(embeddings) != num_rows:
        raise ValueError(
            f"embeddings must be of shape ({num_rows}, D), got {tuple(embeddings.shape)}"
        )
    _check_finite("embeddings", embeddings)


def _check_several(classes: Tensor) -> None:
    if len(classes) < 2:
        raise ValueError(
            "labels must hold at least 2 classes, to draw wrong ones from those that occur, got "
            f"{len(classes)}"
        )


def _class_similarity(
    class_similarity: Tensor | None,
    embeddings: Tensor | None,
    places: Tensor,
    drawn_from: Tensor,
    num_classes: int,
) -> Tensor:
    """(C, C) of the C classes to draw from."""
    if embeddings is not None:
        return noise_kinds.mean_similarity(embeddings, places, len(drawn_from))
    assert class_similarity is not None  # by _check_options
    _check_square("class_similarity", class_similarity, num_classes)
    similarity = class_similarity.detach().cpu().double()[drawn_from][:, drawn_from]
    # what classes have in common with themselves is often left open
    _check_finite("class_similarity", similarity.clone().fill_diagonal_(0))
    return similarity


def _checked_transition_matrix(matrix: Tensor | None, num_classes: int) -> Tensor:
    assert matrix is not None  # by _check_options
    _check_square("transition_matrix", matrix, num_classes)
    matrix = matrix.detach().cpu().double()
    _check_finite("transition_matrix", matrix)
    if not (matrix >= 0).all() or not ((matrix.sum(1) - 1).abs() <= 1e-4).all():
        raise ValueError(
            "transition_matrix must have rows of probabilities that sum to 1, got values from "
            f"{float(matrix.min()):.3g} and sums from {float(matrix.sum(1).min()):.3g} to "
            f"{float(matrix.sum(1).max()):.3g}"
        )
    return matrix


def _check_leads_to(matrix: Tensor, occurring: Tensor) -> None:
    """Raise unless the rows of the classes that occur lead to such classes only."""
    reached = (matrix[occurring] > 0).any(0)
    reached[occurring] = False
    if reached.any():
        raise ValueError(
            "transition_matrix must lead to classes that occur in labels unless num_classes is "
            f"given, got one that leads to {int(reached.nonzero()[0])}"
        )


def _check_square(name: str, matrix: Tensor, num_classes: int) -> None:
    if matrix.shape != (num_classes, num_classes):
        raise ValueError(
            f"{name} must be of shape ({num_classes}, {num_classes}), got {tuple(matrix.shape)}"
        )


def _check_finite(name: str, matrix: Tensor) -> None:
    bad = int((~matrix.isfinite().all(1)).sum())
    if bad:
        raise ValueError(f"{name} must be finite, got nan or inf in {bad} of {len(matrix)} rows")
