import pytest
import torch
from pytorch_metric_learning import losses

from pml_ahsml import AdaptiveMargins, AdaptiveNoiseAwareLoss, ClassStatistics, PoincareDistance
from pml_ahsml.classes import class_similarity as cs
from pml_ahsml.classes import nearest_classes as cc
from pml_ahsml.hyperbolic import hyperboloid
from pml_ahsml.hyperbolic.nearest_rows import nearest_rows
from pml_ahsml.hyperbolic.products import minus_product, product, row_products
from pml_ahsml.labels.witnesses import confusion_counts
from tests.noisy_batches import B, D, K, batch


def points(n: int, d: int = 32) -> torch.Tensor:
    # neighbours that half precision cannot tell apart
    return hyperboloid.hyperboloid_lift(torch.ones(d) + 0.02 * torch.randn(n, d), 0.1)


def gradients(distance) -> list[torch.Tensor]:
    e, f = torch.randn(12, 8).requires_grad_(), torch.randn(9, 8).requires_grad_()
    first = torch.autograd.grad(distance(e, f).sum(), (e, f), create_graph=True)
    second = torch.autograd.grad(first[0].square().sum(), (e, f))
    return [*first, *second]


def running_margins() -> list[torch.Tensor]:
    statistics = ClassStatistics(K, D, PoincareDistance())
    statistics.update(*batch(0)[:2])
    return [x.nan_to_num() for x in statistics.mean_similarity(torch.arange(K))]


def counts() -> list[torch.Tensor]:
    table = torch.rand(6, 6) * 50
    return [confusion_counts.weight_of_distances(table, torch.full((6, 6), 1 / 6))]


def candidates() -> list[torch.Tensor]:
    means = points(200)
    labels, seen = torch.arange(10), torch.ones(200, dtype=torch.bool)
    return list(cc.candidate_classes(means[:10].double(), labels, means, seen, 8, 8))


def similarity() -> list[torch.Tensor]:
    tables = cs.class_similarity(torch.rand(20, 20), torch.arange(20) % 4, 4)
    return [x.nan_to_num() for x in tables]


def minus() -> list[torch.Tensor]:
    return [minus_product(torch.randn(5, 7), torch.randn(7, 3), torch.randn(5, 1))]


PLACES = {
    "a product": lambda: [product(torch.randn(5, 7), torch.randn(7, 3))],
    "minus a product": minus,
    "products of rows": lambda: [row_products(torch.randn(5, 7), torch.randn(5, 7))],
    "nearest rows": lambda: [nearest_rows(points(20), points(300), 10)],
    "candidate classes": candidates,
    "class similarity": similarity,
    "running margins": running_margins,
    "confusion counts": counts,
    "gradients": lambda: gradients(PoincareDistance()),
    "distances": lambda: [hyperboloid.hyperboloid_distance(points(9), points(8), 0.1)],
}


@pytest.mark.parametrize("half", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("place", PLACES)
def test_autocast_changes_nothing(place, half):
    found = []
    for enabled in (True, False):
        torch.manual_seed(0)
        with torch.autocast("cpu", dtype=half, enabled=enabled):
            found.append(PLACES[place]())
    for ours, expected in zip(*found, strict=True):
        assert ours.dtype == expected.dtype
        assert torch.equal(ours, expected)


@pytest.mark.parametrize(
    ("a", "b", "inputs"),
    [
        ((5, 7), (7, 3), (5, 1)),
        ((2, 5, 7), (2, 7, 3), (2, 5, 1)),
        ((2, 1, 7), (7, 3), (2, 1, 1)),
        ((2, 2, 5, 7), (2, 2, 7, 3), (2, 2, 5, 1)),
    ],
)
def test_minus_a_product_and_inputs(a, b, inputs):
    a, b, inputs = (torch.randn(shape, dtype=torch.float64) for shape in (a, b, inputs))
    torch.testing.assert_close(minus_product(a, b, inputs), -(a @ b + inputs))


@pytest.mark.parametrize("shape", [(5, 7), (5, 0), (0, 7)])
def test_products_of_rows(shape):
    a, b = torch.randn(2, *shape, dtype=torch.float64)
    torch.testing.assert_close(row_products(a, b), (a * b).sum(-1))


@pytest.mark.parametrize("scope", ["batch", "running"])
def test_a_wrapper_learns_the_same_under_autocast(scope):
    # with a distance of this package, which autocast does not reach either
    found = []
    for enabled in (True, False):
        loss = losses.ContrastiveLoss(distance=PoincareDistance())
        # a batch of 64 fills the memory of the neighbours from the third batch on
        wrapper = AdaptiveNoiseAwareLoss(
            loss, K, D, warmup=2, class_warmup=1, margins=AdaptiveMargins(scope=scope)
        )
        values = []
        for seed in range(20):
            embeddings, labels, _ = batch(seed)
            embeddings.requires_grad_()
            with torch.autocast("cpu", dtype=torch.bfloat16, enabled=enabled):
                value = wrapper(embeddings, labels)
                value.backward()
            assert embeddings.shape[0] == B
            values += [value.detach().float(), embeddings.grad]
        statistics, model = wrapper.class_statistics, wrapper.noise_model
        found.append([*values, statistics.means, statistics.gain_statistics, model.log_parameters])
    for ours, expected in zip(*found, strict=True):
        assert torch.equal(ours, expected)
