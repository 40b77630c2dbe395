"""Makes a wrapper in the state of a late training, and batches for it."""

import torch
from pytorch_metric_learning import losses
from torch import Tensor

from benchmarks.geometry.overhead.sizes import BATCH_SIZE, PER_CLASS
from pml_ahsml import AdaptiveNoiseAwareLoss
from pml_ahsml.hyperbolic import hyperboloid


def late_wrapper(
    num_classes: int, embedding_size: int, device: torch.device
) -> AdaptiveNoiseAwareLoss:
    """Make a wrapped ContrastiveLoss that has seen all classes, with half of the labels wrong.

    Its state is loaded, because learning it would take K/32 steps. The distances of neighbouring
    classes are random; no time depends on them.
    """
    wrapper = AdaptiveNoiseAwareLoss(losses.ContrastiveLoss(), num_classes, embedding_size)
    of_classes, model = wrapper.class_statistics.on(device), wrapper.noise_model.on(device)
    blocks = class_centres(num_classes, embedding_size, device).split(1 << 14)
    means = [
        hyperboloid.hyperboloid_lift(of_classes.tangent(block), 0.1).float() for block in blocks
    ]
    distances = torch.empty_like(of_classes.neighbour_distances).uniform_(2, 4)
    tables = {
        "means": torch.cat(means),
        "visits": torch.full_like(of_classes.visits, 10),
        "neighbour_distances": distances,
    }
    if of_classes.is_exact:
        distances.fill_diagonal_(torch.inf)
    else:
        tables["neighbour_weights"] = torch.ones_like(distances)
    _load(of_classes, tables)
    half = model.log_parameters.clone()
    half[0] = 0  # the logit of ε = ½
    _load(
        model,
        {
            "adam_steps": torch.full_like(model.adam_steps, 1000),
            "label_counts": torch.full_like(model.label_counts, 10),
            "log_parameters": half,
        },
    )
    history = model.noise_rate_history
    _load(history, {"recent": torch.full_like(history.recent, 0.5)})
    return wrapper


def _load(module: torch.nn.Module, tables: dict[str, Tensor]) -> None:
    """Load some tables by ``load_state_dict``, and keep the others."""
    module.load_state_dict({**module.state_dict(), **tables})


def state_bytes(wrapper: AdaptiveNoiseAwareLoss) -> int:
    """Return the size of the saved state of classes and labels."""
    parts = (wrapper.class_statistics, wrapper.noise_model)
    return sum(table.nbytes for part in parts for table in part.state_dict().values())


def class_centres(num_classes: int, embedding_size: int, device: torch.device) -> Tensor:
    """Draw (K, D) normally distributed points."""
    generator = torch.Generator().manual_seed(0)
    return torch.randn(num_classes, embedding_size, generator=generator).to(device)


def embeddings_of(centres: Tensor, number: int) -> tuple[Tensor, Tensor]:
    """Make a batch of embeddings near their class centres; half of the labels are wrong."""
    generator = torch.Generator().manual_seed(number)
    count = BATCH_SIZE // PER_CLASS
    truth = torch.randint(len(centres), (count,), generator=generator).repeat_interleave(PER_CLASS)
    other = torch.randint(len(centres), truth.shape, generator=generator)
    labels = torch.where(torch.rand(len(truth), generator=generator) < 0.5, other, truth)
    noise = torch.randn(len(truth), centres.shape[1], generator=generator)
    embeddings = centres[truth.to(centres.device)] + 0.1 * noise.to(centres.device)
    return embeddings.requires_grad_(), labels.to(centres.device)
