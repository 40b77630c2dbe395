"""Injects label noise, to measure how much it hurts."""

import torch
from torch import Tensor

from ..checks import check_count, check_in_interval, check_labels, check_tensor
from .noise_kinds import KINDS, NoiseKind, NoiseTask
from .noise_options import checked_vector


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
    """Replace a share of the labels by wrong ones, and report which.

    Kinds of noise:

    - "symmetric": every other class is equally likely.
    - "near": one of the 5 most similar classes.
    - "pair": the most similar class.
    - "small_cluster": random classes are dissolved, the last one in part, into groups of at most 4
      samples. Each group gets the label of a class that is kept.
    - "open_set": random classes are declared unknown. Each of their samples gets the label of a
      random class that is kept, so no label in use is right for it.
    - "instance": samples near another class are the likeliest to be wrong. With m_i the cosine of
      sample i to the nearest other class mean minus that to its own, samples are drawn without
      replacement with weights exp(m_i / std m). Each gets the label of that nearest class.
    - "transition": each label is drawn from the row of its class in ``transition_matrix``.

    Wrong labels come from the classes that occur in ``labels``. With ``num_classes`` they may come
    from all K classes, unless ``embeddings`` are given: a class without samples has no mean.

    Args:
        labels: (N,) integers in [0, num_classes), the clean labels; gaps are allowed.
        rate: share of the labels to make wrong, in [0, 1]. round(rate·N) labels become wrong; with
            "open_set" as close to that as whole classes allow. None if an option determines it:
            ``transition_matrix`` or ``open_classes``.
        kind: see above.
        num_classes: K, to let wrong labels come from classes without samples. By default they come
            from the classes that occur.
        class_similarity: (K, K), larger is more similar, for "near" and "pair"; the diagonal is
            ignored.
        transition_matrix: (K, K), for "transition": entry (k, y) is the probability of the label y
            for a sample of class k; rows sum to 1.
        embeddings: (N, D), for "instance". For "near" and "pair" they replace ``class_similarity``
            by the cosine between class means of the normalised rows.
        open_classes: (C,) the unknown classes for "open_set"; random ones by default.
        generator: the source of randomness, on the CPU; the global one by default.

    Returns:
        noisy_labels: (N,), dtype and device of ``labels``.
        is_noisy: (N,) bool, True where the label was made wrong. A wrong label always differs
            from the clean one.

    Raises:
        TypeError: if ``labels`` is not an integer tensor, or an option is not a tensor.
        ValueError: if ``kind`` is unknown, ``rate`` is outside [0, 1] or given where an option
            determines it, there are fewer than 2 classes, no class would be left, the dtype of
            ``labels`` cannot hold K classes, or an option is missing, not used by the kind, of the
            wrong shape, or not finite; also if ``transition_matrix`` leads to classes that do not
            occur and ``num_classes`` is not given.

    Source:
        Symmetric and small-cluster noise: Liu et al. (PRISM), CVPR 2021, except that the groups of
        a dissolved class are random here.

    Example:
        >>> labels = torch.arange(10) % 5
        >>> noisy, is_noisy = inject_label_noise(
        ...     labels, 0.4, generator=torch.Generator().manual_seed(0)
        ... )
        >>> int(is_noisy.sum()), torch.equal(noisy != labels, is_noisy)
        (4, True)
    """
    options = {
        "class_similarity": class_similarity,
        "transition_matrix": transition_matrix,
        "embeddings": embeddings,
        "open_classes": open_classes,
    }
    given = {name: value for name, value in options.items() if value is not None}
    noise = _checked_kind(kind, given)
    rate = _checked_rate(rate, noise, given)
    _check_generator(generator)
    clean = checked_vector("labels", labels)
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
    classes = clean.unique() if occurring_only else torch.arange(num_classes, device="cpu")
    task = NoiseTask(clean, count, classes, num_classes, generator)
    noisy = noise.draw(task, **given)
    is_noisy = noisy != clean
    return noisy.to(labels.device, labels.dtype), is_noisy.to(labels.device)


def _checked_kind(kind: str, given: dict[str, Tensor]) -> NoiseKind:
    """The registered kind; raises unless it takes the given options."""
    if not isinstance(kind, str) or kind not in KINDS:
        raise ValueError(f"kind must be one of {', '.join(map(repr, KINDS))}, got {kind!r}")
    noise = KINDS[kind]
    for name, value in given.items():
        if name not in noise.one_of:
            raise ValueError(f"{name} must be left out for kind={kind!r}, got one")
        check_tensor(name, value)
    needs_one = noise.one_of and not noise.is_optional
    if len(given) > 1 or (needs_one and not given):
        raise ValueError(
            f"{' or '.join(noise.one_of)} must be given for kind={kind!r}, got "
            f"{' and '.join(given) or 'none'}"
        )
    return noise


def _checked_rate(rate: float | None, noise: NoiseKind, given: dict[str, Tensor]) -> float | None:
    if not (noise.sets_rate and given):
        return check_in_interval("rate", rate, 0.0, 1.0)
    if rate is not None:
        option = next(iter(given))
        raise ValueError(f"rate must be None because {option} determines it, got {rate}")
    return None


def _check_generator(generator: torch.Generator | None) -> None:
    if generator is None:
        return
    if not isinstance(generator, torch.Generator):
        raise TypeError(f"generator must be a torch.Generator, got {type(generator).__name__}")
    if generator.device.type != "cpu":
        raise ValueError(f"generator must be a CPU generator, got one of {generator.device}")
