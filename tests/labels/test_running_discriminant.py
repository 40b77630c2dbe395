import pytest
import torch

from pml_ahsml.labels import linear_discriminant as ld
from pml_ahsml.labels.running_discriminant import RunningDiscriminant
from tests.states import with_state

S, K, D, B = 40, 3, 4, 16
CENTRES = 2 * torch.eye(K, D)


def batches(count: int, seed: int = 0):
    """(points, labels, trusted, ids) of samples that move, and whose labels change now and then."""
    generator = torch.Generator().manual_seed(seed)
    for number in range(count):
        ids = torch.randperm(S, generator=generator)[:B]
        labels = (ids + (number > count // 2) * (ids % 5 == 0).long()) % K
        points = CENTRES[ids % K] + 0.5 * torch.randn(B, D, generator=generator)
        yield points, labels, torch.rand(B, generator=generator) > 0.3, ids


def with_ids(count: int = 100, until: int | None = None) -> RunningDiscriminant:
    discriminant = RunningDiscriminant(K, D, num_samples=S)
    for points, labels, trusted, ids in list(batches(count))[:until]:
        discriminant.learn(points, labels, trusted, ids)
    return discriminant


def test_sums_are_those_of_the_table_whatever_has_been_put_in_and_taken_out():
    discriminant = with_ids(1000)
    table = discriminant.samples
    assert set(table.weights.tolist()) == {0.125, 1.0}
    for k in range(K):
        rows = table.labels == k
        total = (table.weights[rows, None] * table.embeddings[rows].float()).double().sum(0)
        torch.testing.assert_close(discriminant.sums[k].double(), total, rtol=1e-4, atol=1e-4)
        # to the last bit, so that an empty class is empty
        assert float(discriminant.masses[k]) == float(table.weights[rows].sum())


def test_a_sample_does_not_vote_for_its_own_label():
    discriminant = with_ids()
    points, labels, _, ids = next(batches(1, seed=1))
    table, ids = discriminant.samples, ids[:4]
    points, labels = points[:4], table.labels[ids]
    before = discriminant.log_densities(points, labels, ids)
    # whatever was known of the first is moved away, in the table and in the sums
    rows, away = table.rows(ids[:1]), torch.full((D,), 7.0)
    sums, embeddings = discriminant.sums.clone(), table.embeddings.clone()
    sums[rows.labels[0]] += rows.weights[0] * (away - rows.embeddings[0])
    embeddings[ids[0]] = away
    with_state(discriminant, {"sums": sums, "samples.embeddings": embeddings})
    after = discriminant.log_densities(points, labels, ids)
    torch.testing.assert_close(after[0], before[0])
    # for another one of its class it does
    assert not torch.allclose(after[1:, labels[0]], before[1:, labels[0]])


def test_own_densities_are_those_of_a_discriminant_that_has_never_seen_the_sample():
    discriminant = with_ids()
    table = discriminant.samples
    for i in (0, 7, 11):
        labels = table.labels[i : i + 1]
        rest = (torch.arange(S) != i) & (table.labels >= 0)
        weights = table.weights * rest
        sums = torch.zeros(K, D).index_add_(
            0, table.labels, weights[:, None] * table.embeddings.float()
        )
        masses = torch.zeros(K).index_add_(0, table.labels, weights)
        point = CENTRES[:1] + 0.3
        expected = ld.log_densities(point, sums, masses, discriminant.whiten)
        found = discriminant.log_densities(point, labels, torch.tensor([i]))
        torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)


def test_covariance_is_that_of_the_table():
    # the fiftieth batch with a known class is one of those that learn it
    discriminant, before = with_ids(51), with_ids(51, until=50).samples
    # a loop over what was known before the last batch
    expected, residuals = torch.zeros(D, D).double(), []
    for i in range(S):
        y = before.labels[i]
        others = (before.labels == y) & (torch.arange(S) != i)
        mass = before.weights[others].double().sum()
        total = (before.weights[others, None] * before.embeddings[others].float()).sum(0)
        residuals.append((int(y), mass, before.embeddings[i].double() - total.double() / mass))
    counts = [sum(y == k for y, _, _ in residuals) for k in range(K)]
    for y, mass, r in residuals:
        expected += torch.outer(r, r) * mass / (mass + 1) / counts[y] / K
    torch.testing.assert_close(discriminant.scatter.double(), expected, rtol=1e-3, atol=1e-4)
    torch.testing.assert_close(discriminant.whiten, ld.whitening(discriminant.scatter))


def test_without_ids_old_sums_are_forgotten():
    discriminant = RunningDiscriminant(K, D)
    everything = torch.ones(1).bool()
    discriminant.learn(torch.ones(1, D), torch.tensor([1]), everything)
    for _ in range(3):
        discriminant.learn(torch.zeros(1, D), torch.tensor([1]), everything)
        discriminant.learn(torch.zeros(1, D), torch.tensor([2]), everything)
    assert float(discriminant.sums[1, 0]) == pytest.approx(0.97**3)
    assert float(discriminant.masses[1]) == pytest.approx(1 + 0.97 + 0.97**2 + 0.97**3)
    assert discriminant.masses[0] == 0


def test_is_ready_after_fifteen_batches_with_a_known_class():
    discriminant = RunningDiscriminant(K, D)
    for number in range(16):
        assert not discriminant.is_ready
        discriminant.learn(torch.randn(4, D), torch.arange(4) % K, torch.ones(4).bool())
        assert int(discriminant.batches) == number  # the first batch has no class to compare with
    assert discriminant.is_ready


@pytest.mark.parametrize(
    ("name", "value"), [("num_classes", 1), ("embedding_size", 0), ("num_samples", 0)]
)
def test_options_outside_of_their_range_are_errors(name, value):
    options = {"num_classes": K, "embedding_size": D, "num_samples": S}
    with pytest.raises(ValueError, match=f"{name} must be at least"):
        RunningDiscriminant(**{**options, name: value})
