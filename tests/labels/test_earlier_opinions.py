import pytest
import torch

from pml_ahsml.labels.earlier_opinions import EarlierOpinions

S, K = 60, 4


def opinions(count: int, generator: torch.Generator) -> torch.Tensor:
    return (3 * torch.rand(count, K, generator=generator, dtype=torch.float64)).softmax(1)


class Naive:
    """The same by loops over the visits."""

    def __init__(self):
        self.averages, self.again, self.alike = {}, 0.0, 0.0

    def averaged(self, i, latest):
        if i not in self.averages:
            return latest
        share = 1 if self.again > 0.2 and self.alike / self.again < 0.5 else 0.02
        return (1 - share) * self.averages[i] + share * latest

    def learn(self, ids, latest, labels):
        again = alike = 0
        new = {i: self.averaged(i, latest[row]) for row, i in enumerate(ids)}
        for row, i in enumerate(ids):
            if i in self.averages:
                then, now = int(self.averages[i].argmax()), int(latest[row].argmax())
                if labels[row] not in (then, now):
                    again, alike = again + 1, alike + (then == now)
        self.again = 0.97 * self.again + again / len(ids)
        self.alike = 0.97 * self.alike + alike / len(ids)
        self.averages.update(new)


def test_averages_and_steadiness_are_those_of_a_loop_over_the_visits():
    earlier, naive = EarlierOpinions(S, K), Naive()
    generator = torch.Generator().manual_seed(0)
    labels, shares = torch.arange(S) % K, set()
    steady = opinions(S, generator)
    for visit in range(60):
        ids = torch.randperm(S, generator=generator)[:12]
        latest = opinions(12, generator) if visit < 25 else steady[ids]
        found = earlier.averaged(ids, latest.log()).exp()
        for row, i in enumerate(ids.tolist()):
            torch.testing.assert_close(
                found[row], naive.averaged(i, latest[row]), rtol=0, atol=2e-3
            )
        earlier.learn(ids, latest.log(), labels[ids])
        naive.learn(ids.tolist(), latest, labels[ids].tolist())
        assert earlier.doubts.tolist() == pytest.approx([naive.again, naive.alike], rel=1e-4)
        shares.add(earlier.are_steady)
    assert shares == {True, False}


def doubted_twice(then: int, now: int) -> EarlierOpinions:
    """Of twenty samples labelled 0, each with two opinions."""
    earlier, ids, labels = EarlierOpinions(20, K), torch.arange(20), torch.zeros(20).long()
    for name in (then, now):
        earlier.learn(ids, torch.eye(K)[name].log().expand(20, K), labels)
    return earlier


@pytest.mark.parametrize(
    ("then", "now", "steadiness"), [(1, 1, 1.0), (1, 2, 0.0), (1, 0, None), (0, 1, None)]
)
def test_steadiness_is_of_doubts_that_are_repeated(then, now, steadiness):
    earlier = doubted_twice(then, now)
    assert earlier.steadiness == steadiness
    assert earlier.are_steady == (steadiness == 1)


def test_one_visit_says_nothing_of_steadiness():
    earlier = EarlierOpinions(20, K)
    earlier.learn(torch.arange(20), torch.eye(K)[1].log().expand(20, K), torch.zeros(20).long())
    assert earlier.steadiness is None


def test_opinions_that_are_not_steady_are_replaced():
    earlier, ids = doubted_twice(1, 2), torch.arange(20)
    latest = torch.eye(K)[3].log().expand(20, K)
    assert torch.equal(earlier.averaged(ids, latest), latest)
    steady = doubted_twice(1, 1).averaged(ids, latest).exp()
    torch.testing.assert_close(steady[0], torch.tensor([0, 0.98, 0, 0.02]), rtol=0, atol=1e-6)


def test_a_class_that_is_all_but_impossible_keeps_its_rank():
    earlier, ids = EarlierOpinions(2, K), torch.arange(2)
    # half precision holds neither probability
    logs = torch.tensor([[-30.0, 0, -60, -90], [-50.0, 0, -60, -90]]).log_softmax(1)
    for _ in range(3):
        earlier.learn(ids, logs, torch.zeros(2).long())
    torch.testing.assert_close(earlier.averaged(ids, logs), logs, rtol=2**-10, atol=1e-6)


def test_classes_that_are_not_kept_share_what_is_left():
    many = 40
    earlier, ids = EarlierOpinions(1, many), torch.tensor([0])
    logs = (-torch.arange(many) / 10).log_softmax(0)[None]
    earlier.learn(ids, logs, torch.tensor([0]))
    stored = earlier.before(ids)[0]
    torch.testing.assert_close(stored[:16], logs[0, :16], rtol=2**-10, atol=1e-6)
    mean = logs[0, 16:].exp().mean().log()
    torch.testing.assert_close(stored[16:], mean.expand(24), rtol=2**-10, atol=1e-6)


def test_asking_changes_nothing():
    earlier = doubted_twice(1, 2)
    before = {name: table.clone() for name, table in earlier.state_dict().items()}
    earlier.averaged(torch.arange(20), opinions(20, torch.Generator().manual_seed(0)).log())
    for name, table in earlier.state_dict().items():
        assert torch.equal(table, before[name])


@pytest.mark.parametrize(
    ("name", "value"),
    [("logs", torch.full((S, K + 1), 0.5)), ("doubts", torch.tensor([-0.5, 0.1]))],
)
def test_an_impossible_state_is_refused(name, value):
    earlier = EarlierOpinions(S, K)
    with pytest.raises(ValueError, match=f"{name} must"):
        earlier.load_state_dict({**earlier.state_dict(), name: value})


@pytest.mark.parametrize(("name", "least"), [("num_samples", 1), ("num_classes", 2)])
def test_options_outside_of_their_range_are_errors(name, least):
    options = {"num_samples": S, "num_classes": K}
    with pytest.raises(ValueError, match=f"{name} must be at least {least}"):
        EarlierOpinions(**{**options, name: least - 1})
