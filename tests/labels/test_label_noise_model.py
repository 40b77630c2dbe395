import copy
import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from pml_ahsml import ClassStatistics, LabelNoiseModel, inject_label_noise
from pml_ahsml.classes.class_distances import ClassDistances
from pml_ahsml.classes.nearest_classes import Candidates
from pml_ahsml.hyperbolic import hyperboloid
from pml_ahsml.labels.witnesses.neighbour_memory import NeighbourMemory
from tests import reference
from tests.neighbourhoods import all_neighbours
from tests.states import with_parameters, with_state

K = 12


def world(spread: float = 0.4):
    """Classes on three levels of distance, and samples around them, as distance tables."""
    generator = torch.Generator().manual_seed(1)
    groups = 3 * torch.randn(4, 8, generator=generator)
    centres = groups.repeat_interleave(3, 0) + torch.randn(K, 8, generator=generator)
    divergence = torch.cdist(centres, centres)

    def samples(n: int):
        truth = torch.randint(K, (n,), generator=generator)
        points = centres[truth] + spread * torch.randn(n, 8, generator=generator)
        return truth, torch.cdist(points, centres)

    return divergence, samples, generator


def evidence_of(distances, divergence, labels):
    """What class statistics would hand over for these tables."""
    seen = divergence.diagonal().isfinite()
    neighbourhoods = all_neighbours(divergence)
    return ClassDistances(
        torch.zeros(len(labels), 1), distances, divergence[labels], neighbourhoods, seen
    )


def mislabel(truth, rate, kind, divergence, generator):
    if kind == "symmetric":
        return inject_label_noise(truth, rate, num_classes=K, generator=generator)[0]
    nearest = (divergence + 1e9 * torch.eye(K)).argmin(1)
    wrong = torch.rand(len(truth), generator=generator) < rate
    return torch.where(wrong, nearest[truth], truth)


@pytest.mark.parametrize("rate", [0.05, 0.2, 0.5, 0.7])
@pytest.mark.parametrize("kind", ["symmetric", "nearest"])
def test_finds_the_noise_rate_and_the_kind_of_confusion(rate, kind):
    if kind == "nearest" and rate > 0.5:
        rate = 0.4  # with more wrong than right nothing tells a class from its neighbour
    divergence, samples, generator = world()
    model = LabelNoiseModel(K)
    assert math.isnan(model.noise_rate)
    for _ in range(200):
        truth, distances = samples(128)
        labels = mislabel(truth, rate, kind, divergence, generator)
        model.update(evidence_of(distances, divergence, labels), labels)
    assert model.noise_rate == pytest.approx(rate, abs=0.02)
    if rate >= 0.2:
        assert (model.spread < 0.5) if kind == "nearest" else (model.spread > 5)
    truth, distances = samples(1000)
    labels = mislabel(truth, rate, kind, divergence, generator)
    posterior = model.posterior(evidence_of(distances, divergence, labels), labels)
    trust = posterior.gather(1, labels[:, None]).squeeze(1)
    assert ((trust > 0.5) == (labels == truth)).float().mean() > 0.97


def test_posterior_is_bayes_rule_with_the_learnt_numbers():
    divergence, samples, _ = world()
    counts = torch.randint(0, 200, (K,))
    model = LabelNoiseModel(K, class_counts=counts)
    truth, distances = samples(5)
    posterior = model.posterior(evidence_of(distances, divergence, truth), truth)
    table = reference.transition(divergence, 0.2, 1.0)
    for i in range(5):
        p = reference.likelihood(distances[i].tolist(), 0.1, (counts + 1).tolist())
        expected, _ = reference.posterior(p, table, int(truth[i]))
        assert posterior[i].tolist() == pytest.approx(expected, abs=1e-5)


def test_a_reused_normaliser_is_that_of_the_present_distances_and_spread():
    divergence, samples, _ = world()
    model, (labels, distances) = LabelNoiseModel(K), samples(5)
    model.believe(evidence_of(distances, divergence, labels), labels)
    for change in (lambda: divergence.mul_(2), lambda: with_parameters(model, spread=3.0)):
        change()
        evidence = evidence_of(distances, divergence, labels)
        found = model.believe(evidence, labels)
        fresh = with_state(LabelNoiseModel(K), model.state_dict())
        assert torch.equal(found.posterior, fresh.believe(evidence, labels).posterior)


def test_one_step_is_adam_on_the_marginal_likelihood():
    divergence, samples, _ = world()
    truth, distances = samples(64)
    start = torch.tensor([math.log(0.2 / 0.8), math.log(0.1), 0.0], dtype=torch.float64)

    def loss(x) -> float:
        table = reference.transition(divergence, 1 / (1 + math.exp(-x[0])), math.exp(x[2]))
        total = 0.0
        for d, y in zip(distances.tolist(), truth.tolist(), strict=True):
            p = reference.likelihood(d, math.exp(x[1]), [1.0] * K)
            total -= math.log(reference.posterior(p, table, y)[1])
        return total / len(truth)

    model = LabelNoiseModel(K)
    model.update(evidence_of(distances, divergence, truth), truth)
    for i, name in enumerate(("noise_rate", "temperature", "spread")):
        step = 1e-5 * torch.eye(3, dtype=torch.float64)[i]
        slope = (loss((start + step).tolist()) - loss((start - step).tolist())) / 2e-5
        # the first step of Adam is lr times the sign of the slope, and its mean a tenth of it
        of = model.parameter_names.index(name)
        assert float(model.adam_mean[of]) == pytest.approx(0.1 * slope, rel=1e-2, abs=1e-6)
        moved = float(model.log_parameters[of]) - float(start[i])
        assert moved == pytest.approx(-0.05 * math.copysign(1, slope), rel=1e-2)


def asked(n: int, **options):
    """ClassDistances of n samples, and a model whose neighbour memory is filled."""
    divergence, samples, generator = world()
    memory = NeighbourMemory(K, 3, size=256)
    model = LabelNoiseModel(K, neighbours=memory, **options)

    def some(count: int):
        truth, distances = samples(count)
        # far from saying the same as the distances
        vectors = torch.randn(count, 3, generator=generator, dtype=torch.float64)
        points = hyperboloid.hyperboloid_lift(vectors, 0.1)
        return truth, replace(evidence_of(distances, divergence, truth), points=points)

    labels, evidence = some(200)
    memory.remember(evidence.points, labels, None)
    labels, evidence = some(n)
    neighbours = memory.neighbours(evidence.points)
    assert neighbours is not None
    votes = memory.votes(neighbours, labels)
    assert (votes.max(1).values > 1).any()
    return model, divergence, labels, evidence, votes.double().tolist()


def with_votes(distances, temperature, weight, votes) -> list[float]:
    """p_i(k) ∝ exp(−d_k/τ + β·v_k)."""
    return reference.likelihood(distances, temperature, [math.exp(weight * v) for v in votes])


def test_votes_of_neighbours_are_part_of_the_likelihood():
    model, divergence, labels, evidence, votes = asked(6)
    assert model.vote_weight == pytest.approx(0.2)
    posterior = model.posterior(evidence, labels)
    table = reference.transition(divergence, 0.2, 1.0)
    for i, distances in enumerate(evidence.distances.tolist()):
        p = with_votes(distances, 0.1, 0.2, votes[i])
        expected, _ = reference.posterior(p, table, int(labels[i]))
        assert posterior[i].tolist() == pytest.approx(expected, abs=1e-5)


def test_one_step_on_the_weight_of_votes_is_adam_on_the_marginal_likelihood():
    model, divergence, labels, evidence, votes = asked(64)
    table = reference.transition(divergence, 0.2, 1.0)

    def loss(log_weight: float) -> float:
        total = 0.0
        for d, v, y in zip(evidence.distances.tolist(), votes, labels.tolist(), strict=True):
            p = with_votes(d, 0.1, math.exp(log_weight), v)
            total -= math.log(reference.posterior(p, table, y)[1])
        return total / len(labels)

    model.update(evidence, labels)
    start = math.log(0.2)
    slope = (loss(start + 1e-5) - loss(start - 1e-5)) / 2e-5
    of = model.parameter_names.index("vote_weight")
    assert float(model.adam_mean[of]) == pytest.approx(0.1 * slope, rel=1e-2)
    moved = math.log(model.vote_weight) - start
    assert moved == pytest.approx(-0.05 * math.copysign(1, slope), rel=1e-2)


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_neighbours_tell_a_class_in_two_places_from_wrong_labels(seed):
    """A fifth of each class lies where the next class is nearest, and is taken for that."""
    generator = torch.Generator().manual_seed(seed)
    places = torch.randn(6, 8, generator=generator)
    places = torch.stack([places, places.roll(-1, 0) + 0.8 * places.roll(2, 0)], 1)

    def draw():
        truth = torch.randint(6, (128,), generator=generator)
        elsewhere = (torch.rand(128, generator=generator) < 0.2).long()
        points = places[truth, elsewhere] + 0.2 * torch.randn(128, 8, generator=generator)
        labels = inject_label_noise(truth, 0.3, num_classes=6, generator=generator)[0]
        return truth, elsewhere == 1, points, labels

    shares, rates = [], []
    for neighbours in (None, NeighbourMemory(6, 8)):
        model, statistics = LabelNoiseModel(6, neighbours=neighbours), ClassStatistics(6, 8)
        found = []
        for step in range(150):
            truth, elsewhere, points, labels = draw()
            if step == 0:
                statistics.update(points, labels)
            belief = model.believe(statistics.evidence(points, labels), labels)
            if step >= 100:
                trusted, right = belief.trust > 0.5, labels == truth
                found.append([trusted[right & elsewhere], trusted[~right]])
            model.learn(belief)
            statistics.update(points, labels, (0.1 + 0.9 * (belief.trust > 0.5).float()))
        rates.append(model.noise_rate)
        shares.append([torch.cat(rows).float().mean().item() for rows in zip(*found, strict=True)])
    (right_without, _), (right_with, wrong_with) = shares
    assert right_without < 0.5
    assert right_with > 0.9
    assert wrong_with < 0.1
    assert rates[0] > 0.35
    assert rates[1] == pytest.approx(0.3, abs=0.02)


def learnt(mislabelled, divergence, samples, **options):
    """A model that has seen 250 batches of samples so mislabelled."""
    model = LabelNoiseModel(K, **options)
    for _ in range(250):
        truth, distances = samples(128)
        labels = mislabelled(truth)
        model.update(evidence_of(distances, divergence, labels), labels)
    return model


def one_way(truth):
    """A third of the samples of each even class is labelled as the next; odd ones are right."""
    wrong = (truth % 2 == 0) & (torch.rand(len(truth)) < 1 / 3)
    return torch.where(wrong, truth + 1, truth)


def test_finds_which_class_is_labelled_as_which():
    divergence, samples, _ = world(spread=0.8)
    model, distances_only = (
        learnt(one_way, divergence, samples, max_counted_classes=limit) for limit in (K, K - 1)
    )
    assert distances_only.confusion_counts is None
    with pytest.raises(ValueError, match="max_counted_classes must be at least num_classes"):
        _ = distances_only.confusions
    assert model.confusions.diagonal().sum() == 0
    right_way = sum(model.confusions[k, k + 1] for k in range(0, K, 2))
    other_way = sum(model.confusions[k + 1, k] for k in range(0, K, 2))
    # by distance alone both ways are alike
    assert right_way > 5 * other_way
    assert right_way > 0.5 * model.confusions.sum()
    truth, distances = samples(4000)
    labels = one_way(truth)
    evidence = evidence_of(distances, divergence, labels)
    right = {
        m: (m.posterior(evidence, labels).argmax(1) == truth).float().mean()
        for m in (model, distances_only)
    }
    # on the same samples; where they differ by 1 in 100 the standard error is .002
    assert right[model] > right[distances_only] + 0.005


def counted(neighbours: bool):
    """A model that has counted, goes on counting and judges otherwise for it, and a batch."""
    model, divergence, labels, evidence, _ = asked(64, warmup=0)
    if not neighbours:
        model = LabelNoiseModel(K, warmup=0)
    # with which much is in doubt
    with_parameters(model, noise_rate=0.5, temperature=1.0, spread=1.0)
    # each class is labelled as a next one, however far that lies
    counts = 8 * torch.eye(K).roll(1, 1) + torch.rand(K, K).fill_diagonal_(0)
    entries = {
        "noise_rate_history.recent": 0.5,
        "confusion_counts.counts": counts,
        "confusion_counts.strength": 5.0,
        "confusion_counts.batches": 1,  # its strength is estimated at every tenth, not now
    }
    with_state(model, entries)
    assert model.has_settled
    labels = torch.where(torch.arange(64) % 3 == 0, (labels + 1) % K, labels)
    return model, divergence, labels, replace(evidence, label_distances=divergence[labels])


@pytest.mark.parametrize("neighbours", [False, True])
def test_what_has_been_counted_changes_what_is_judged_and_not_what_is_learnt(neighbours):
    model, _, labels, evidence = counted(neighbours)
    without = with_state(copy.deepcopy(model), {"confusion_counts.strength": math.inf})
    posteriors = [m.posterior(evidence, labels) for m in (model, without)]
    assert (posteriors[0] - posteriors[1]).abs().max() > 0.1
    start = model.log_parameters.clone()
    model.update(evidence, labels)
    without.update(evidence, labels)
    # ε, τ, σ and β, and the counts themselves: none confirms itself
    assert (model.log_parameters != start).all()
    assert torch.equal(model.adam_mean, without.adam_mean)
    assert torch.equal(model.log_parameters, without.log_parameters)
    assert torch.equal(model.confusions, without.confusions)


def test_a_sample_is_judged_by_distances_and_counts_without_its_own_part_of_these():
    model, divergence, labels, evidence = counted(neighbours=False)
    posterior = model.posterior(evidence, labels)
    table = reference.transition(divergence, 0.5, 1.0)
    counts = model.confusions.tolist()

    def judged(p, label, own) -> list[float]:
        column = reference.counted_transition(table, counts, own, label, 5.0)
        joint = [a * b for a, b in zip(p, column, strict=True)]
        return [x / sum(joint) for x in joint]

    lifted = []
    for i, label in enumerate(labels.tolist()):
        p = reference.likelihood(evidence.distances[i].tolist(), 1.0, [1.0] * K)
        own, _ = reference.posterior(p, table, label)
        expected = judged(p, label, own)
        assert posterior[i].tolist() == pytest.approx(expected, abs=1e-5)
        lifted.append(expected[label] - judged(p, label, [0.0] * K)[label])
    assert max(lifted) > 0.01


def test_with_uniform_noise_counts_change_nothing():
    divergence, samples, generator = world()
    model = learnt(
        lambda truth: mislabel(truth, 0.5, "symmetric", divergence, generator), divergence, samples
    )
    assert float(model.confusions.sum()) > 0
    assert model.confusion_counts.strength > 100
    truth, distances = samples(50)
    evidence = evidence_of(distances, divergence, truth)
    posterior = model.posterior(evidence, truth)
    with_state(model, {"confusion_counts.strength": math.inf})
    assert (posterior - model.posterior(evidence, truth)).abs().max() < 0.1


def test_counts_nothing_before_the_noise_rate_has_settled():
    divergence, samples, _ = world()
    model = LabelNoiseModel(K, warmup=0)
    for _ in range(100):
        truth, distances = samples(64)
        labels = one_way(truth)
        settled = model.has_settled
        model.update(evidence_of(distances, divergence, labels), labels)
        assert (model.confusions.sum() > 0) >= settled
        if not settled and not model.has_settled:
            assert model.confusion_counts.strength == math.inf
    assert model.has_settled


def test_the_noise_rate_is_at_least_the_share_of_distrusted_labels():
    divergence, samples, generator = world()
    model = LabelNoiseModel(K, warmup=0)
    for _ in range(40):
        truth, distances = samples(128)
        labels = mislabel(truth, 0.4, "symmetric", divergence, generator)
        with_parameters(model, noise_rate=0.05)
        model.update(evidence_of(distances, divergence, labels), labels)
    assert float(model.log_parameters[0].sigmoid()) < 0.06
    assert model.noise_rate == pytest.approx(0.4, abs=0.03)


@pytest.mark.parametrize("rate", [0.15, 0.4])
def test_finds_the_noise_rate_where_samples_are_of_no_class(rate):
    # equally far from all classes, but for chance: the label says nothing, whatever it is
    divergence, samples, generator = world()
    model = LabelNoiseModel(K)
    for _ in range(250):
        truth, distances = samples(128)
        nowhere = torch.rand(128, generator=generator) < rate
        distances[nowhere] = 3 + 0.2 * torch.randn(int(nowhere.sum()), K, generator=generator)
        labels = torch.where(nowhere, torch.randint(K, (128,), generator=generator), truth)
        model.update(evidence_of(distances, divergence, labels), labels)
    # (K − 1)/K of it, as a random label is that of the nearest class at times
    assert model.noise_rate == pytest.approx(rate, rel=0.2)


def test_two_classes_that_overlap_are_not_taken_for_wrong_labels():
    # a tenth of the samples are nearer to the other class, which is far in the sense of the bound
    generator = torch.Generator().manual_seed(0)
    model = LabelNoiseModel(2)
    divergence = torch.tensor([[0.0, 1.0], [1.0, 0.0]])
    for _ in range(300):
        labels = torch.randint(2, (128,), generator=generator)
        position = labels + 0.39 * torch.randn(128, generator=generator)
        distances = torch.stack([position.abs(), (position - 1).abs()], 1)
        model.update(evidence_of(distances, divergence, labels), labels)
    assert float(
        model.noise_floor.far_labels[1] / model.noise_floor.far_labels[0]
    ) == pytest.approx(0.1, abs=0.02)
    assert model.noise_rate < 0.05


def test_the_noise_floor_is_off_until_classes_are_told_apart():
    # a network at its start: all samples at one place, whatever they are
    divergence, _, generator = world()
    model = LabelNoiseModel(K, warmup=0)
    for _ in range(120):
        distances = 3 + 1e-3 * torch.randn(128, K, generator=generator)
        labels = torch.randint(K, (128,), generator=generator)
        model.update(evidence_of(distances, divergence, labels), labels)
        assert model.log_parameters[0].sigmoid() < 0.3


def test_the_noise_floor_acts_35_batches_after_the_rate_has_settled():
    divergence, samples, generator = world()
    model = LabelNoiseModel(K, warmup=10)
    for batch in range(1, 111):
        _, distances = samples(128)
        labels = torch.randint(K, (128,), generator=generator)
        with_parameters(model, noise_rate=0.05)  # a likelihood that knows nothing
        model.update(evidence_of(distances, divergence, labels), labels)
        held = float(model.log_parameters[0].sigmoid())
        # settled after 50 batches; .98 to the power of 35 is less than ½; all labels are random
        assert held > 0.85 if batch >= 50 + 35 else held < 0.1
        assert held <= 0.9 + 1e-6


def test_parameters_stay_in_their_ranges():
    divergence, samples, _ = world(spread=0.01)
    model = LabelNoiseModel(K)
    for _ in range(300):
        truth, distances = samples(32)
        model.update(
            evidence_of(distances, divergence, truth), truth
        )  # nothing wrong: everything runs to its end
    assert model.log_parameters[0].sigmoid().item() == pytest.approx(0.007, rel=1e-3)
    assert 0.01 <= model.temperature <= 2
    assert 0.05 <= model.spread <= 50


@pytest.mark.parametrize(
    ("way", "ends"), [(1, (0.9, 2.0, 50.0, 3.0)), (-1, (0.007, 0.01, 0.05, 0.003))]
)
def test_parameters_stop_at_the_ends_of_their_ranges(way, ends):
    model, _, labels, evidence, _ = asked(64)
    names = ("noise_rate", "temperature", "spread", "vote_weight")
    with_parameters(model, **dict(zip(names, ends, strict=True)))
    # Adam goes on outwards, whatever the slope is now
    with_state(model, adam_mean=-1000.0 * way, adam_square=1000.0**2)
    model.update(evidence, labels)
    found = (
        float(model.log_parameters[0].sigmoid()),
        model.temperature,
        model.spread,
        model.vote_weight,
    )
    assert found == pytest.approx(ends, rel=1e-5)


def test_the_class_prior_follows_label_counts_seen_or_given():
    divergence, samples, _ = world(spread=1.5)
    counts = torch.arange(K) * 100
    models = {"seen": LabelNoiseModel(K), "told": LabelNoiseModel(K, class_counts=counts)}
    truth, distances = samples(200)
    rows = truth < 4
    labels, distances = truth[rows], distances[rows]
    evidence = evidence_of(distances, divergence, labels)
    sizes = {"seen": labels.bincount(minlength=K) + 1, "told": counts + 1}
    for name, model in models.items():
        model.update(evidence, labels)
        likelihood = model.believe(evidence, labels).likelihood
        for d, p in zip(distances.tolist(), likelihood.tolist(), strict=True):
            expected = reference.likelihood(d, model.temperature, sizes[name].tolist())
            assert p == pytest.approx(expected, abs=1e-5)


def as_candidates(evidence, labels, generator):
    """The same evidence with all classes as candidates, each sample's in an order of its own."""
    order = torch.stack([torch.randperm(K, generator=generator) for _ in labels])
    order = order[order != labels[:, None]].view(len(labels), K - 1)
    classes = torch.cat([labels[:, None], order], 1)
    return replace(
        evidence,
        distances=evidence.distances.gather(1, classes),
        label_distances=evidence.label_distances.gather(1, classes),
        candidates=Candidates(classes, torch.ones_like(classes)),
    )


@pytest.mark.parametrize("told", [True, False])
def test_with_all_classes_as_candidates_it_learns_the_same(told):
    divergence, samples, generator = world(spread=1.5)
    counts = torch.randint(1, 200, (K,), generator=generator) if told else None
    models = [LabelNoiseModel(K, class_counts=counts, max_counted_classes=0) for _ in range(2)]
    for _ in range(200):  # ε has settled, and far labels are believed
        truth, distances = samples(64)
        labels = mislabel(truth, 0.4, "symmetric", divergence, generator)
        evidence = evidence_of(distances, divergence, labels)
        models[0].update(evidence, labels)
        models[1].update(as_candidates(evidence, labels, generator), labels)
    assert torch.equal(models[0].label_counts, models[1].label_counts)
    torch.testing.assert_close(models[0].log_parameters, models[1].log_parameters)
    floors = [model.noise_floor.far_labels for model in models]
    torch.testing.assert_close(*floors, rtol=1e-3, atol=1e-4)
    assert floors[0][0] > 0.5


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_class_counts_help_where_small_classes_are_drawn_as_often_as_large_ones(seed):
    divergence, samples, generator = world(spread=1.5)
    generator.manual_seed(seed)
    truth, distances = samples(20_000)
    sizes = (400 * 0.05 ** (torch.randperm(K, generator=generator) / (K - 1))).long()
    rows = torch.cat([(truth == k).nonzero().squeeze(1)[:n] for k, n in enumerate(sizes)])
    truth, distances = truth[rows], distances[rows]
    labels = mislabel(truth, 0.4, "symmetric", divergence, generator)
    of_labels = [(labels == k).nonzero().squeeze(1) for k in range(K)]

    def balanced_batch():
        return torch.cat(
            [rows[torch.randint(len(rows), (11,), generator=generator)] for rows in of_labels]
        )

    models = [LabelNoiseModel(K), LabelNoiseModel(K, class_counts=labels.bincount(minlength=K))]
    for rows in (balanced_batch() for _ in range(200)):
        for model in models:
            model.update(evidence_of(distances[rows], divergence, labels[rows]), labels[rows])
    rows = torch.cat([balanced_batch() for _ in range(20)])
    evidence = evidence_of(distances[rows], divergence, labels[rows])
    of_truth = (
        model.posterior(evidence, labels[rows]).gather(1, truth[rows, None]) for model in models
    )
    # some are 0 in float32: without a least value anything would be less than an infinite loss
    untold, told = (-p.clamp_min(1e-6).log().mean() for p in of_truth)
    assert told < untold < 0.5  # of a classifier that guesses: 2.5


def test_labels_of_unseen_classes_teach_nothing_and_are_trusted():
    divergence, samples, _ = world()
    truth, distances = samples(30)
    seen = torch.arange(K) < 6
    divergence[~seen], divergence[:, ~seen] = torch.inf, torch.inf
    distances[:, ~seen] = torch.inf
    model = LabelNoiseModel(K)
    posterior = model.posterior(evidence_of(distances, divergence, truth), truth)
    torch.testing.assert_close(posterior.sum(1), torch.ones(30))
    new = ~seen[truth]
    assert new.any()
    assert (posterior[new].gather(1, truth[new, None]) == 1).all()
    assert (posterior[~new][:, ~seen] == 0).all()
    alone = copy.deepcopy(model)
    model.update(evidence_of(distances, divergence, truth), truth)
    alone.update(evidence_of(distances[~new], divergence, truth[~new]), truth[~new])
    torch.testing.assert_close(model.log_parameters, alone.log_parameters, rtol=0, atol=0)
    nothing = LabelNoiseModel(K)
    unseen = torch.full((K, K), torch.inf)
    nothing.update(evidence_of(distances[new], unseen, truth[new]), truth[new])
    assert torch.equal(nothing.log_parameters, LabelNoiseModel(K).log_parameters)


def test_resumes_bit_for_bit():
    divergence, samples, _ = world()
    rounds = [samples(32)[::-1] for _ in range(80)]
    whole = LabelNoiseModel(K)
    for distances, labels in rounds:
        whole.update(evidence_of(distances, divergence, labels), labels)
    first, second = LabelNoiseModel(K), LabelNoiseModel(K)
    for distances, labels in rounds[:60]:
        first.update(evidence_of(distances, divergence, labels), labels)
    second.load_state_dict(first.state_dict())
    for distances, labels in rounds[60:]:
        second.update(evidence_of(distances, divergence, labels), labels)
    assert second.noise_rate == whole.noise_rate
    assert whole.confusions.any()
    for one, other in ((whole, second), (whole.confusion_counts, second.confusion_counts)):
        for name, value in one.state_dict().items():
            assert torch.equal(value, other.state_dict()[name]), name


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"num_classes": 1}, "num_classes must be at least 2, got 1"),
        ({"warmup": -1}, "warmup must be at least 0, got -1"),
        ({"lr": 0.0}, "lr must be positive"),
        ({"max_counted_classes": -1}, "max_counted_classes must be at least 0, got -1"),
        ({"class_counts": torch.ones(3)}, r"class_counts must be of shape \(12,\), got \(3,\)"),
        ({"class_counts": torch.ones(K + 1)}, r"shape \(12,\), got \(13,\)"),
        ({"class_counts": torch.zeros(K)}, "class_counts must be at least 0 and not all 0"),
        (
            {"class_counts": torch.ones(K, device="meta")},
            "class_counts must be a tensor with values",
        ),
    ],
)
def test_bad_options_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        LabelNoiseModel(**{"num_classes": K, **options})


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"class_counts": "abc"}, "class_counts must be a tensor, or numbers .*, got str"),
        ({"class_counts": torch.ones(K).to_sparse()}, "class_counts must be a dense tensor"),
        (
            {"class_counts": torch.ones(K) > 0},
            "class_counts must be of a real dtype, got torch.bool",
        ),
        ({"neighbours": 10}, "neighbours must be a NeighbourMemory, got int"),
    ],
)
def test_options_of_another_type_are_refused(options, message):
    with pytest.raises(TypeError, match=message):
        LabelNoiseModel(K, **options)


@pytest.mark.parametrize("kind", [list, np.array, torch.tensor])
def test_class_counts_may_be_of_any_kind(kind):
    counts = kind(list(range(K)))
    model = LabelNoiseModel(K, class_counts=counts)
    assert model.label_counts.dtype == torch.float32
    assert model.label_counts.tolist() == list(range(K))


def test_settles_once_its_noise_rate_stops_moving():
    divergence, samples, generator = world()
    model = LabelNoiseModel(K)
    rates, settled = [], []
    for step in range(260):
        rate = 0.2 if step < 120 else 0.7
        truth, distances = samples(128)
        labels = mislabel(truth, rate, "symmetric", divergence, generator)
        model.update(evidence_of(distances, divergence, labels), labels)
        rates.append(model.log_parameters[0].sigmoid().item())
        settled.append(model.has_settled)
    assert not any(settled[:49])
    for step in range(49, 260):
        last = rates[step - 49 : step + 1]
        assert settled[step] == (max(last) - min(last) < 0.1)
    assert settled[119]
    assert not settled[145]
    assert settled[-1]


def test_a_given_noise_rate_is_a_lower_bound_of_what_is_reported_and_left_out():
    told, untold = LabelNoiseModel(K, noise_rate=0.3), LabelNoiseModel(K)
    statistics = ClassStatistics(K, K)
    labels = torch.arange(K).repeat(8)
    embeddings = torch.eye(K)[labels] + 0.5 * torch.randn(8 * K, K)
    assert told.trust_needed == untold.trust_needed == 0
    # until the trust stands still, the averaged quantile lags behind
    for _ in range(400):
        evidence = statistics.evidence(embeddings, labels)
        for model in (told, untold):
            model.update(evidence, labels)
        statistics.update(embeddings, labels)
        assert math.isnan(told.noise_rate) == math.isnan(untold.noise_rate)
    assert untold.noise_rate < 0.2
    assert told.noise_rate == pytest.approx(0.3, abs=0.02)
    trust = told.believe(evidence, labels).trust
    assert (trust < told.trust_needed).mean(dtype=torch.float32) == pytest.approx(0.3, abs=0.02)
    assert untold.trust_needed == 0
    # ε itself is learnt: held high, it makes the model doubt right labels
    assert torch.equal(told.log_parameters, untold.log_parameters)


@pytest.mark.parametrize("value", [-0.1, 0.95, "0.3"])
def test_noise_rate_must_be_a_share(value):
    with pytest.raises((ValueError, TypeError), match="noise_rate must be"):
        LabelNoiseModel(K, noise_rate=value)
