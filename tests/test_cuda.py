"""The distance, the wrapper and the k-NN on a GPU, against the CPU.

``python -m benchmarks.gpu`` runs these. PML_AHSML_DEVICE=cpu runs them without a GPU, which shows
that they run, and nothing more. All tolerances were set before anything ran on a GPU.
"""

import os

import pytest
import torch
from pytorch_metric_learning import losses
from pytorch_metric_learning.utils.accuracy_calculator import AccuracyCalculator
from pytorch_metric_learning.utils.inference import CustomKNN

from pml_ahsml import AdaptiveNoiseAwareLoss, LorentzSimilarity, PoincareDistance, PoincareKNN
from pml_ahsml.hyperbolic import maps, near_pairs

C, CLIP = 0.1, 2.3
CLASSES, D, STEPS, WARMUP = 40, 16, 30, 5


@pytest.fixture
def device() -> torch.device:
    device = torch.device(os.environ.get("PML_AHSML_DEVICE", "cuda"))
    if device.type == "cuda" and not torch.cuda.is_available():
        pytest.skip("torch sees no CUDA GPU")
    return device


def points(kind: str) -> torch.Tensor:
    """Rows near the origin, anywhere in the clip radius, beyond it, or near-duplicates."""
    directions = torch.nn.functional.normalize(torch.randn(64, 32))
    if kind == "duplicates":
        half = directions[::2] * torch.linspace(0.1, 2.2, 32)[:, None]
        return torch.stack([half, half + 1e-3 * directions[1::2]], 1).flatten(0, 1)
    radius = {"near the origin": 1e-3, "inside": 2.2, "clipped": 5.0}[kind]
    return directions * torch.linspace(0.1, 1, 64)[:, None] * radius


def exact_distances(e: torch.Tensor) -> torch.Tensor:
    """All distances in float64, on the CPU, by the form that keeps small ones exact."""
    u = maps.clip_norm(e, CLIP)
    i, j = (index.flatten() for index in torch.meshgrid(*[torch.arange(len(e))] * 2, indexing="ij"))
    return near_pairs.pairwise_distance(u[i], u[j], C).view(len(e), len(e))


class TestDistances:
    @pytest.mark.parametrize("kind", ["near the origin", "inside", "clipped", "duplicates"])
    def test_distances_and_gradients_are_those_of_float64(self, device, kind):
        e = points(kind)
        # of a matrix with a diagonal of zeros, whose gradient is none
        weights = 1 - torch.eye(len(e))
        ours = e.to(device).requires_grad_()
        matrix = PoincareDistance(C, CLIP)(ours)
        assert matrix.device.type == device.type
        (gradient,) = torch.autograd.grad((matrix * weights.to(device)).sum(), ours)
        theirs = e.double().requires_grad_()
        exact = exact_distances(theirs)
        off = ~torch.eye(len(e), dtype=torch.bool)
        (wanted,) = torch.autograd.grad(exact[off].sum(), theirs)
        torch.testing.assert_close(
            matrix.detach().cpu().double()[off], exact.detach()[off], rtol=1e-4, atol=0
        )
        error = (gradient.cpu().double() - wanted).norm(dim=1)
        assert float((error / wanted.norm(dim=1).clamp_min(1e-3 * wanted.norm())).max()) < 5e-3

    @pytest.mark.parametrize("kind", ["near the origin", "inside", "clipped", "duplicates"])
    def test_similarities_are_those_of_float64(self, device, kind):
        e = points(kind)
        matrix = LorentzSimilarity(C, CLIP, scale=None)(e.to(device))
        root = C**0.5
        most = torch.cosh(torch.tensor(root * 4 * CLIP, dtype=torch.float64)) - 1
        exact = 1 - 2 * (torch.cosh(root * exact_distances(e.double())) - 1) / most
        torch.testing.assert_close(matrix.cpu().double(), exact, rtol=0, atol=1e-5)

    def test_autocast_does_not_reach_inside(self, device):
        e = points("inside").to(device)
        with torch.autocast(device.type, torch.bfloat16):
            inside = PoincareDistance(C, CLIP)(e)
        torch.testing.assert_close(inside, PoincareDistance(C, CLIP)(e), rtol=0, atol=0)

    def test_half_precision_computes_in_float32(self, device):
        e = points("inside").to(device).half()
        found = PoincareDistance(C, CLIP)(e)
        assert found.dtype == torch.float16
        expected = PoincareDistance(C, CLIP)(e.float()).half()
        torch.testing.assert_close(found, expected, rtol=0, atol=0)


class Batches:
    """Batches of 16 labels × 4 samples of classes that overlap little; a third are wrong."""

    def __init__(self) -> None:
        generator = torch.Generator().manual_seed(1)
        truth = torch.arange(CLASSES).repeat_interleave(20)
        is_wrong = torch.rand(len(truth), generator=generator) < 1 / 3
        wrong = torch.randint(CLASSES, truth.shape, generator=generator)
        self.labels = torch.where(is_wrong, wrong, truth)
        centres = torch.randn(CLASSES, D, generator=generator)
        self.embeddings = centres[truth] + 0.3 * torch.randn(len(truth), D, generator=generator)
        self.rows = [torch.randperm(len(truth), generator=generator)[:64] for _ in range(STEPS)]

    def wrapper(self, has_ids: bool) -> AdaptiveNoiseAwareLoss:
        return AdaptiveNoiseAwareLoss(
            losses.MultiSimilarityLoss(), CLASSES, D, warmup=WARMUP,
            num_samples=len(self.labels) if has_ids else None,
        )  # fmt: skip

    def train(self, wrapper, device, steps=range(STEPS)):
        """Train, and return of each step the value, the gradient, and the labels that took part."""
        given = []
        hook = wrapper.loss.register_forward_pre_hook(lambda _, args: given.append(args[1].cpu()))
        values, gradients = [], []
        for step in steps:
            rows = self.rows[step]
            embeddings = self.embeddings[rows].to(device).requires_grad_()
            ids = {} if wrapper.num_samples is None else {"sample_ids": rows.to(device)}
            value = wrapper(embeddings, self.labels[rows].to(device), **ids)
            assert value.device.type == device.type
            value.backward()
            values.append(float(value.detach()))
            gradients.append(embeddings.grad.cpu())
        hook.remove()
        return values, gradients, given

    def trust(self, wrapper, device) -> torch.Tensor:
        return wrapper.trust(self.embeddings.to(device), self.labels.to(device)).cpu()


# Sums in float32 in another order, over 30 steps that learn from each other: trust within 1e-3. A
# sample on the edge of a decision may fall on the other side, in one of the steps.
TRUST, VALUE, FEWEST_EQUAL = 1e-3, 1e-3, STEPS - 1


def equal_steps(ours, theirs) -> int:
    return sum(torch.equal(a, b) for a, b in zip(ours, theirs, strict=True))


@pytest.mark.parametrize("has_ids", [False, True], ids=["no ids", "ids"])
class TestWrapper:
    def test_decides_as_on_the_cpu(self, device, has_ids):
        batches, cpu = Batches(), torch.device("cpu")
        ours, theirs = batches.wrapper(has_ids), batches.wrapper(has_ids)
        values, gradients, given = batches.train(ours, device)
        wanted_values, wanted_gradients, wanted = batches.train(theirs, cpu)
        # labels are left out or replaced at all, else nothing is compared
        assert any(len(labels) != 64 for labels in wanted)
        same = [torch.equal(a, b) for a, b in zip(given, wanted, strict=True)]
        assert sum(same) >= FEWEST_EQUAL
        torch.testing.assert_close(
            batches.trust(ours, device), batches.trust(theirs, cpu), rtol=0, atol=TRUST
        )
        for step in range(STEPS):
            if same[step]:
                assert values[step] == pytest.approx(wanted_values[step], rel=VALUE)
                torch.testing.assert_close(
                    gradients[step], wanted_gradients[step], rtol=0,
                    atol=VALUE * float(wanted_gradients[step].abs().max()),
                )  # fmt: skip
        assert ours.noise_rate == pytest.approx(theirs.noise_rate, abs=TRUST)

    def test_resumes(self, device, has_ids):
        batches, middle = Batches(), STEPS // 2
        through, first, second = (batches.wrapper(has_ids) for _ in range(3))
        values, _, given = batches.train(through, device)
        batches.train(first, device, range(middle))
        second.load_state_dict({name: t.cpu() for name, t in first.state_dict().items()})
        later, _, again = batches.train(second, device, range(middle, STEPS))
        # atomic sums of a GPU differ between two runs of the same program
        assert equal_steps(again, given[middle:]) >= STEPS - middle - 1
        assert later[0] == pytest.approx(values[middle], rel=VALUE)
        torch.testing.assert_close(
            batches.trust(second, device), batches.trust(through, device), rtol=0, atol=TRUST
        )

    def test_a_state_of_the_device_judges_alike_on_the_cpu(self, device, has_ids):
        batches, cpu = Batches(), torch.device("cpu")
        ours, theirs = batches.wrapper(has_ids), batches.wrapper(has_ids)
        batches.train(ours, device)
        theirs.load_state_dict(ours.state_dict())
        trust = batches.trust(theirs, cpu)
        assert float(trust.max() - trust.min()) > 0.5
        torch.testing.assert_close(batches.trust(ours, device), trust, rtol=0, atol=1e-4)

    def test_refuses_a_bad_batch_and_changes_nothing(self, device, has_ids):
        batches = Batches()
        wrapper = batches.wrapper(has_ids)
        batches.train(wrapper, device)
        before = {name: t.clone() for name, t in wrapper.state_dict().items()}
        bad = torch.full((8, D), torch.nan, device=device, requires_grad=True)
        ids = {"sample_ids": torch.arange(8, device=device)} if has_ids else {}
        with pytest.raises(ValueError, match="embeddings must be finite"):
            wrapper(bad, torch.arange(8, device=device), **ids)
        after = wrapper.state_dict()
        # uninitialised rows may be nan
        assert all(torch.equal(t.nan_to_num(), after[k].nan_to_num()) for k, t in before.items())


class TestNeighbours:
    def test_queries_on_the_device_find_the_rows_of_a_float64_search(self, device):
        e = points("inside")
        distances, rows = PoincareKNN(PoincareDistance(C, CLIP))(
            e.to(device), 5, e.to(device), ref_includes_query=True
        )
        assert distances.device.type == rows.device.type == device.type
        exact = exact_distances(e.double()).fill_diagonal_(torch.inf).sort(dim=1)
        assert torch.equal(rows.cpu(), exact.indices[:, :5])
        torch.testing.assert_close(distances.cpu().double(), exact.values[:, :5], rtol=1e-6, atol=0)

    def test_a_search_by_torch_finds_them_too(self, device):
        e = points("inside")
        _, rows = CustomKNN(PoincareDistance(C, CLIP))(e.to(device), 5, e.to(device), True)
        exact = exact_distances(e.double()).fill_diagonal_(torch.inf).sort(dim=1)
        # float32 may swap two that are equally far to six digits
        assert float((rows.cpu() == exact.indices[:, :5]).double().mean()) >= 0.99

    def test_accuracies_are_those_of_the_cpu(self, device):
        batches, accuracies = Batches(), []
        for where in (device, torch.device("cpu")):
            calculator = AccuracyCalculator(
                include=("precision_at_1", "mean_average_precision_at_r"),
                knn_func=PoincareKNN(), device=where,
            )  # fmt: skip
            accuracies.append(
                calculator.get_accuracy(batches.embeddings.to(where), batches.labels.to(where))
            )
        assert 0 < accuracies[0]["mean_average_precision_at_r"] < 1
        assert accuracies[0] == pytest.approx(accuracies[1], abs=1e-6)
