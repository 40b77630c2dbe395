import pytest
import torch

from pml_ahsml.labels.earlier_opinions import EarlierOpinions

S, K = 5, 3


def opinions(count: int, seed: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(count, K, generator=generator, dtype=torch.float64).softmax(1)


def test_averages_are_those_of_a_loop_over_the_visits():
    earlier, averages, qualities = EarlierOpinions(S, K), {}, {}
    generator = torch.Generator().manual_seed(0)
    for visit in range(40):
        ids = torch.randperm(S, generator=generator)[:3]
        latest, quality = opinions(3, visit), 0.1 + 0.8 * (visit > 20)
        found = earlier.averaged(ids, latest, quality)
        for row, i in enumerate(ids.tolist()):
            share = min(1, 0.02 * quality / qualities[i]) if i in averages else 1
            before = averages.get(i, torch.zeros(K).double())
            averages[i] = (1 - share) * before + share * latest[row]
            qualities[i] = (1 - share) * qualities.get(i, 0) + share * quality
            torch.testing.assert_close(found[row], averages[i], rtol=0, atol=2e-3)
        earlier.learn(ids, found, quality)
    assert earlier.qualities.tolist() == pytest.approx([qualities[i] for i in range(S)], rel=1e-4)
    # (0.9 is not so much better than 0.1 that one opinion outweighs all before)
    assert 0.1 < earlier.qualities.min() < 0.9


def test_a_much_better_opinion_replaces_the_earlier_ones():
    earlier, sample = EarlierOpinions(S, K), torch.tensor([2])
    earlier.learn(sample, torch.tensor([[1.0, 0.0, 0.0]]), 0.001)
    better = torch.tensor([[0.0, 1.0, 0.0]])
    assert torch.equal(earlier.averaged(sample, better, 0.5), better)
    earlier.learn(sample, better, 0.5)
    assert float(earlier.qualities[2]) == 0.5
    worse = torch.tensor([[0.0, 0.0, 1.0]])
    assert float(earlier.averaged(sample, worse, 0.001)[0, 2]) < 1e-4


def test_asking_changes_nothing():
    earlier = EarlierOpinions(S, K)
    before = {name: table.clone() for name, table in earlier.state_dict().items()}
    earlier.averaged(torch.arange(S), opinions(S, 0), 0.5)
    for name, table in earlier.state_dict().items():
        assert torch.equal(table, before[name])


@pytest.mark.parametrize(
    ("name", "value"),
    [("posteriors", torch.full((S, K), 1.5)), ("qualities", torch.full((S,), -0.5))],
)
def test_a_state_that_cannot_be_is_refused(name, value):
    earlier = EarlierOpinions(S, K)
    with pytest.raises(ValueError, match=f"{name} must lie in"):
        earlier.load_state_dict({**earlier.state_dict(), name: value})


@pytest.mark.parametrize(("name", "least"), [("num_samples", 1), ("num_classes", 2)])
def test_options_outside_of_their_range_are_errors(name, least):
    options = {"num_samples": S, "num_classes": K}
    with pytest.raises(ValueError, match=f"{name} must be at least {least}"):
        EarlierOpinions(**{**options, name: least - 1})
