"""Wrong labels on purpose, to measure how much they hurt."""

import torch
from torch import Tensor

from ..checks import check_count, check_in_interval, check_labels


def inject_label_noise(
    labels: Tensor,
    rate: float,
    kind: str = "symmetric",
    *,
    num_classes: int | None = None,
    generator: torch.Generator | None = None,
) -> tuple[Tensor, Tensor]:
    """Replace a share of the labels by wrong ones and keep the truth.

    Args:
        labels: (N,) integers in [0, num_classes), the clean labels.
        rate: share of the labels to make wrong, in [0, 1]; round(rate·N) of them are.
        kind: "symmetric": every other class is equally likely.
        num_classes: K; by default the largest label plus one.
        generator: the source of randomness, on the CPU; the global one by default.

    Returns:
        noisy_labels: (N,), dtype and device of ``labels``.
        is_noisy: (N,) bool, True where the label was made wrong. A wrong label always differs
            from the clean one.

    Raises:
        TypeError: for labels that are no integer tensor.
        ValueError: for a rate outside [0, 1], a kind that is not known, or fewer than 2 classes.

    Source:
        Symmetric noise as in Liu et al. (PRISM), CVPR 2021.

    Example:
        >>> labels = torch.arange(10) % 5
        >>> noisy, is_noisy = inject_label_noise(
        ...     labels, 0.4, generator=torch.Generator().manual_seed(0)
        ... )
        >>> int(is_noisy.sum()), torch.equal(noisy != labels, is_noisy)
        (4, True)
    """
    check_in_interval("rate", rate, 0.0, 1.0)
    if kind != "symmetric":
        raise ValueError(f"kind must be 'symmetric', got {kind!r}")
    if not isinstance(labels, Tensor):
        raise TypeError(f"labels must be a tensor, got {type(labels).__name__}")
    if num_classes is None:
        num_classes = int(labels.max()) + 1 if len(labels) else 0
    check_count("num_classes", num_classes, minimum=2)
    check_labels("labels", labels, len(labels), num_classes)
    chosen = torch.randperm(len(labels), generator=generator)[: round(rate * len(labels))]
    # an offset of 1 … K−1 around the circle of classes reaches every other class equally often
    offset = torch.randint(1, num_classes, (len(chosen),), generator=generator)
    chosen, offset = chosen.to(labels.device), offset.to(labels.device, labels.dtype)
    noisy_labels = labels.clone()
    noisy_labels[chosen] = (labels[chosen] + offset) % num_classes
    return noisy_labels, noisy_labels != labels
