"""The second opinion where samples are known again."""

import math
from dataclasses import replace

import pytest
import torch

from pml_ahsml import ClassStatistics
from pml_ahsml.labels import linear_discriminant as ld
from pml_ahsml.labels.label_noise_model import LabelNoiseModel
from pml_ahsml.labels.second_opinion import SecondOpinion
from tests.states import with_state

S, K, D, B = 48, 3, 4, 16


def samples(seed: int = 0):
    """A training set: (S, D) embeddings, (S,) labels, a quarter of them wrong, (S,) classes."""
    generator = torch.Generator().manual_seed(seed)
    centres = torch.nn.functional.normalize(torch.randn(K, D, generator=generator), dim=1)
    classes = torch.arange(S) % K
    embeddings = centres[classes] + 0.2 * torch.randn(S, D, generator=generator)
    is_wrong = torch.arange(S) % 4 == 0
    return embeddings, torch.where(is_wrong, (classes + 1) % K, classes), classes


def id_batches(count: int, seed: int = 0):
    generator = torch.Generator().manual_seed(seed)
    for _ in range(count):
        yield torch.randint(S, (B,), generator=generator)


def believed(model, statistics, embeddings, labels, ids, view_ids=None):
    evidence = statistics.evidence(embeddings, labels, view_ids)
    return model.believe(replace(evidence, sample_ids=ids), labels)


def new_model():
    return LabelNoiseModel(K, second_opinion=SecondOpinion(K, D, num_samples=S)), ClassStatistics(
        K, D
    )


def step(model, statistics, ids, number, labels=None):
    """Learn from a batch; the network moves its samples a little at each step."""
    everything, given, _ = samples()
    embeddings = (everything + 0.01 * number * everything.roll(1, 1))[ids]
    labels = given[ids] if labels is None else labels
    belief = believed(model, statistics, embeddings, labels, ids)
    model.learn(belief)
    statistics.update(embeddings, labels)
    return embeddings, labels, belief


def coordinates(statistics, embeddings):
    """Tangent vectors at the origin of the hyperboloid of curvature 1, in float64."""
    points = statistics.evidence(embeddings, torch.zeros(len(embeddings)).long()).points
    space = points[:, 1:]
    return space / space.norm(dim=1, keepdim=True) * points[:, :1].acosh()


class Naive:
    """The same by loops over what is remembered of each sample."""

    def __init__(self):
        self.seen = {}  # by id: (where, label, weight)
        self.averages, self.doubts = {}, [0.0, 0.0]
        self.rates = torch.zeros(3).double()
        self.returning = torch.zeros(2).double()
        self.batches = 0
        self.whiten = None
        self.joint = torch.zeros(K, K).double()

    def mean(self, k, without):
        others = [(x, w) for i, (x, y, w) in self.seen.items() if y == k and i != without]
        mass = sum(w for _, w in others)
        return mass, sum((w * x for x, w in others), torch.zeros(D).double())

    def log_density(self, x, k, without):
        mass, total = self.mean(k, without)
        if mass == 0:
            return -math.inf
        wider = 1 + 1 / max(mass, 0.5)
        gap = float((self.whiten.double().T @ (x - total / mass)).square().sum())
        return -gap / (2 * wider) - D / 2 * math.log(wider)

    def present(self, x, i):
        return torch.tensor([self.log_density(x, k, i) for k in range(K)]).softmax(0).double()

    def likelihood(self, x, i):
        present = self.present(x, i)
        return self.averages[i].lerp(present, self.share()) if i in self.averages else present

    def share(self):
        again, alike = self.doubts
        return 1.0 if again > 0.2 and alike < again / 2 else 0.02

    def posterior(self, x, i, y, power=0.5):
        if self.batches < 15:
            return None
        transitions = ld.log_transitions(self.joint, torch.tensor([y]), torch.ones(K).bool(), 2.0)
        odds = self.likelihood(x, i) * (power * transitions[0]).exp()
        return odds / odds.sum()

    def scatter(self):
        residuals = []
        for i, (x, y, _) in self.seen.items():
            mass, total = self.mean(y, i)
            if mass > 0:
                residuals.append((y, mass, x - total / mass))
        counts = [sum(y == k for y, _, _ in residuals) for k in range(K)]
        found = torch.zeros(D, D).double()
        for y, mass, r in residuals:
            found += torch.outer(r, r) * mass / (mass + 1) / counts[y] / sum(c > 0 for c in counts)
        return found

    def learn(self, points, labels, ids, trust, unheard=None):
        last = {int(i): row for row, i in enumerate(ids)}
        known = {i: self.mean(int(labels[row]), i)[0] > 0 for i, row in last.items()}
        new = {}
        for i, row in last.items():
            if self.batches >= 15:
                new[i] = self.likelihood(points[row], i)
        if self.batches >= 15 and any(known.values()):
            latest, doubts = torch.zeros(K, K).double(), torch.zeros(3).double()
            for i, row in last.items():
                if known[i]:
                    y = int(labels[row])
                    posterior = self.posterior(points[row], i, y)
                    latest[:, y] += posterior
                    lenient = self.posterior(points[row], i, y, power=1)
                    doubts += torch.stack([torch.ones(()), 1 - posterior[y], 1 - lenient[y]])
            self.joint = 0.98 * self.joint + latest
            self.rates = 0.95 * self.rates + 0.05 * doubts / doubts[0]
            again, alike, shares = 0, 0, torch.zeros(2).double()
            for i, row in last.items():
                if i in self.averages and known[i]:
                    present = self.present(points[row], i)
                    surely = present.max() > math.exp(2) * present[labels[row]]
                    shares += torch.tensor([1.0, float(surely and unheard[row] > 0.5)])
                then = int(self.averages[i].argmax()) if i in self.averages else labels[row]
                now = int(self.present(points[row], i).argmax())
                again += int(labels[row]) not in (then, now)
                alike += int(labels[row]) != then and then == now
            self.doubts[0] = 0.97 * self.doubts[0] + again / len(last)
            self.doubts[1] = 0.97 * self.doubts[1] + alike / len(last)
            self.returning = 0.997 * self.returning + 0.003 * shares / sum(known.values())
        if any(known.values()):
            self.batches += 1
            if self.batches >= 15 and self.batches % 5 == 0:
                self.whiten = ld.whitening(self.scatter())
        self.averages.update(new)
        for i, row in last.items():
            weight = 1.0 if trust[row] > 0.5 else 0.125
            self.seen[i] = points[row].half().double(), int(labels[row]), weight


def test_equals_a_loop_over_the_remembered_samples():
    model, statistics = new_model()
    naive, num_compared, worst = Naive(), 0, 0.0
    for number, ids in enumerate(id_batches(40)):
        everything, _, _ = samples()
        moved = (everything + 0.01 * number * everything.roll(1, 1))[ids]
        points = coordinates(statistics, moved)
        _, labels, belief = step(model, statistics, ids, number)
        for row, i in enumerate(ids.tolist()):
            expected = naive.posterior(points[row], i, int(labels[row]))
            assert (expected is None) == (belief.opinion is None)
            if expected is not None:
                gap = (belief.opinion.posterior[row].double() - expected).abs().max()
                worst, num_compared = max(worst, float(gap)), num_compared + 1
        naive.learn(
            points, labels, ids, belief.trust, belief.opinion and belief.opinion.unheard_trust
        )
        assert int(model.second_opinion.discriminant.batches) == naive.batches
        rates = model.second_opinion.rate_sums.double()
        torch.testing.assert_close(rates, naive.rates, rtol=0, atol=1e-3)
        returning = model.second_opinion.returning.double()
        torch.testing.assert_close(returning, naive.returning, rtol=0, atol=1e-6)
    assert naive.returning[0] > naive.returning[1] > 0
    assert num_compared > 300
    assert worst < 0.01  # averages are kept in half precision


@pytest.mark.parametrize("returning", [0.19, 0.21, 0.9])
@pytest.mark.parametrize("share", [0.0, 0.06, 0.07])
def test_its_weight_grows_with_the_labels_that_are_surely_overlooked(returning, share):
    opinion = SecondOpinion(K, D, num_samples=S)
    known = {"earlier.doubts": 1.0}
    # by what is doubted at all its weight is 0
    tables = {"doubts": torch.tensor([0.01, 0.0]), "rate_sums": torch.tensor([1.0, 0.01, 0.01])}
    counted = torch.tensor([returning, share * returning])
    with_state(opinion, known, returning=counted, **tables)
    expected = share**32 / (share**32 + 0.065**32) if returning > 0.2 else 0.0
    assert opinion.weight == pytest.approx(expected, rel=1e-4, abs=1e-9)


def test_what_it_overlooks_is_measured_before_it_is_heard():
    model, statistics = new_model()
    for number, ids in enumerate(id_batches(40)):
        step(model, statistics, ids, number)
    embeddings, labels, _ = samples()
    ids = torch.arange(S)
    alone = believed(model, statistics, embeddings, labels, ids)
    with_state(model.second_opinion, returning=torch.tensor([0.9, 0.9]))
    assert model.second_opinion.weight == pytest.approx(1)
    heard = believed(model, statistics, embeddings, labels, ids)
    trust = heard.posterior.gather(1, labels[:, None]).squeeze(1)
    torch.testing.assert_close(heard.trust, trust)
    torch.testing.assert_close(heard.posterior, heard.opinion.posterior)
    assert not torch.equal(heard.trust, alone.opinion.unheard_trust)
    torch.testing.assert_close(heard.opinion.unheard_trust, alone.opinion.unheard_trust)


def test_first_opinions_count_most():
    model, statistics = new_model()
    for number, ids in enumerate(id_batches(20)):
        step(model, statistics, ids, number)
    earlier = model.second_opinion.earlier
    sample = (earlier.logs.amax(1) > -1).nonzero()[0]
    before = earlier.logs[sample].float().exp()
    embeddings, labels, _ = samples()
    # it lies where another class is now
    elsewhere = embeddings[(labels != labels[sample]).nonzero()[0]]
    belief = believed(model, statistics, elsewhere, labels[sample], sample)
    model.learn(belief)
    moved = earlier.logs[sample].float().exp() - before
    assert 0.005 < moved.abs().max() < 0.03


def test_a_label_whose_class_has_no_other_sample_is_believed():
    model, statistics = new_model()
    embeddings, labels, _ = samples()
    labels = torch.where(labels == 2, 1, labels)
    labels[5] = 2
    for ids in id_batches(40):
        ids = torch.cat([ids, torch.tensor([5])])
        moved = embeddings[ids]
        belief = believed(model, statistics, moved, labels[ids], ids)
        model.learn(belief)
        statistics.update(moved, labels[ids])
    belief = believed(model, statistics, embeddings, labels, torch.arange(S))
    assert belief.opinion.posterior[5, 2] > 0.9


def test_other_samples_are_judged_without_an_id():
    model, statistics = new_model()
    for number, ids in enumerate(id_batches(40)):
        step(model, statistics, ids, number)
    embeddings, _, classes = samples()
    new = embeddings + 0.01
    belief = believed(model, statistics, new, classes, None)
    assert belief.opinion.posterior.argmax(1).eq(classes).float().mean() > 0.8


def test_views_of_a_sample_are_judged_alike_and_stored_once():
    model, statistics = new_model()
    everything, given, _ = samples()
    for ids in id_batches(30):
        ids = ids.unique()
        both = torch.cat([ids, ids])
        embeddings = torch.cat([everything[ids], everything[ids] + 0.05])
        view_ids = torch.arange(len(ids)).repeat(2)
        belief = believed(model, statistics, embeddings, given[both], both, view_ids)
        if belief.opinion is not None:
            first, second = belief.opinion.posterior.chunk(2)
            torch.testing.assert_close(first, second)
        model.learn(belief)
        statistics.update(embeddings, given[both])
    opinion = model.second_opinion.discriminant
    assert float(opinion.masses.sum()) == float(opinion.samples.weights.sum())


def test_the_order_of_the_rows_does_not_matter():
    (model, statistics), (other, _) = new_model(), new_model()
    generator = torch.Generator().manual_seed(1)
    everything, given, _ = samples()
    for _ in range(25):
        ids = torch.randperm(S, generator=generator)[:B]
        for one, order in ((model, torch.arange(B)), (other, torch.randperm(B))):
            rows = ids[order]
            one.learn(believed(one, statistics, everything[rows], given[rows], rows))
        statistics.update(everything[ids], given[ids])
    for name, table in model.second_opinion.state_dict().items():
        torch.testing.assert_close(table, other.second_opinion.state_dict()[name])


def test_resumes_where_it_stopped():
    model, statistics = new_model()
    for number, ids in enumerate(id_batches(30)):
        step(model, statistics, ids, number)
    copy, _ = new_model()
    copy.load_state_dict(model.state_dict())
    everything, given, _ = samples()
    for ids in id_batches(10, seed=4):
        for one in (model, copy):
            one.learn(believed(one, statistics, everything[ids], given[ids], ids))
    for name, table in model.state_dict().items():
        assert torch.equal(table, copy.state_dict()[name])


def test_samples_that_are_compared_with_candidates_are_judged_the_same():
    classes, size, num_samples = 150, 8, 600
    generator = torch.Generator().manual_seed(0)
    labels = torch.arange(num_samples) % classes
    embeddings = torch.randn(classes, size, generator=generator)[labels]
    labels[:60] = labels[:60].roll(1)
    embeddings += 0.2 * torch.randn(num_samples, size, generator=generator)
    limits = {"max_exact_classes": 0, "max_compared_classes": 0}
    ways = [
        (
            LabelNoiseModel(classes, second_opinion=SecondOpinion(classes, size, num_samples)),
            ClassStatistics(classes, size, **options),
        )
        for options in ({}, limits)
    ]
    for ids in torch.randperm(num_samples, generator=generator).repeat(8).split(100):
        beliefs = []
        for model, statistics in ways:
            beliefs.append(believed(model, statistics, embeddings[ids], labels[ids], ids))
            model.learn(beliefs[-1])
            statistics.update(embeddings[ids], labels[ids])
    exact, close = beliefs
    assert close.opinion.posterior.shape == (100, 129)
    expected = exact.opinion.posterior.gather(1, labels[ids][:, None])
    # of classes far away only some are candidates, so confusions are counted nearly alike
    torch.testing.assert_close(close.opinion.posterior[:, :1], expected, rtol=0, atol=0.01)
    assert 0.03 < ways[1][0].second_opinion.noise_rate < 0.2


def test_num_samples_below_one_is_an_error():
    with pytest.raises(ValueError, match="num_samples must be at least 1, got 0"):
        SecondOpinion(K, D, num_samples=0)


def test_an_untrained_network_says_nothing():
    """Where it names another class at each visit, the discriminant is wrong and not the labels."""
    generator = torch.Generator().manual_seed(0)
    classes, size, num_samples = 40, 16, 400
    opinion = SecondOpinion(classes, size, num_samples)
    model, statistics = (
        LabelNoiseModel(classes, second_opinion=opinion),
        ClassStatistics(classes, size),
    )
    labels = torch.arange(num_samples) % classes

    def epochs(count, embeddings):
        for _ in range(count):
            order = torch.randperm(num_samples, generator=generator)
            for ids in order.split(80):
                now = embeddings()[ids]
                model.learn(believed(model, statistics, now, labels[ids], ids))
                statistics.update(now, labels[ids])

    def noise():
        return torch.randn(num_samples, size, generator=generator)

    epochs(10, noise)
    assert opinion.earlier.steadiness < 0.2
    # it doubts fewer labels than could be wrong, as those who are confused with any are not doubted
    assert opinion.rate_sums[1] > 0.1
    assert opinion.noise_rate is None
    assert opinion.weight == 0
    # trained, it speaks: a tenth of the labels are wrong
    classes_now = torch.where(torch.arange(num_samples) < 40, (labels + 1) % classes, labels)
    centres = 3 * torch.eye(classes, size) + 3 * torch.eye(classes, size).roll(16, 0)
    centres = centres + torch.randn(classes, size, generator=generator)
    epochs(20, lambda: centres[classes_now] + 0.1 * noise())
    assert opinion.earlier.are_steady
    assert 0.05 < opinion.noise_rate < 0.2
