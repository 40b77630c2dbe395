import math

import pytest
import torch

from pml_ahsml import ClassStatistics
from pml_ahsml.labels import linear_discriminant as ld
from pml_ahsml.labels.label_noise_model import LabelNoiseModel
from pml_ahsml.labels.second_opinion import SecondOpinion
from tests.states import with_state

K, D, B = 4, 6, 64


def batches(count: int, labelled, seed: int = 0):
    """Batches of clustered embeddings: (embeddings, labels, classes)."""
    generator = torch.Generator().manual_seed(seed)
    centres = torch.nn.functional.normalize(torch.randn(K, D, generator=generator), dim=1)
    for _ in range(count):
        classes = torch.randint(K, (B,), generator=generator)
        embeddings = centres[classes] + 0.15 * torch.randn(B, D, generator=generator)
        yield embeddings, labelled(classes, embeddings, generator), classes


def as_they_are(classes, embeddings, generator):
    return classes


def confused(classes, embeddings, generator):
    """Of class 0 half of the samples are labelled 1: those that lie on one side."""
    median = embeddings[classes == 0, 0].median()
    return torch.where((classes == 0) & (embeddings[:, 0] > median), 1, classes)


def one_third_random(classes, embeddings, generator):
    shift = torch.randint(1, K, classes.shape, generator=generator)
    is_wrong = torch.rand(classes.shape, generator=generator) < 1 / 3
    return torch.where(is_wrong, (classes + shift) % K, classes)


def taught(count: int, labelled, **options) -> tuple[LabelNoiseModel, ClassStatistics]:
    model = LabelNoiseModel(K, second_opinion=SecondOpinion(K, D), **options)
    statistics = ClassStatistics(K, D)
    for embeddings, labels, _ in batches(count, labelled):
        evidence = statistics.evidence(embeddings, labels)
        model.learn(model.believe(evidence, labels))
        statistics.update(embeddings, labels)
    return model, statistics


def believed(model, statistics, embeddings, labels, view_ids=None):
    return model.believe(statistics.evidence(embeddings, labels, view_ids), labels)


def test_learns_the_means_and_covariance_that_a_loop_over_batches_finds():
    model, statistics = taught(20, one_third_random)
    opinion = model.second_opinion
    sums, masses = torch.zeros(K, D).double(), torch.zeros(K).double()
    scatter, learnt = torch.zeros(D, D).double(), 0
    for embeddings, labels, _ in batches(20, one_third_random):
        # normalised, as the geometry of the statistics has it
        x = 2 * torch.nn.functional.normalize(embeddings, dim=1).double()
        x = x / x.norm(dim=1).mean() * opinion_radius(statistics, embeddings, labels)
        known = masses[labels] > 0
        if known.any():
            own = sums[labels[known]], masses[labels[known]]
            latest = ld.within_scatter(x[known], labels[known], *own, K)
            scatter, learnt = 0.98 * scatter + 0.02 * latest, learnt + 1
        for k in range(K):
            rows = labels == k
            if rows.any():
                sums[k], masses[k] = 0.97 * sums[k] + x[rows].sum(0), 0.97 * masses[k] + rows.sum()
    torch.testing.assert_close(opinion.discriminant.sums.double(), sums, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(opinion.discriminant.masses.double(), masses, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(opinion.discriminant.scatter.double(), scatter, rtol=1e-4, atol=1e-6)
    assert int(opinion.discriminant.batches) == learnt == 19


def opinion_radius(statistics, embeddings, labels):
    """Length of the tangent vectors of normalised embeddings."""
    points = statistics.evidence(embeddings, labels).points
    return points[0, 0].acosh() / 2


def test_says_nothing_before_it_knows_the_covariance():
    model, statistics = taught(15, as_they_are)
    embeddings, labels, _ = next(batches(1, as_they_are))
    assert believed(model, statistics, embeddings, labels).opinion is None  # 14 batches learnt
    assert model.second_opinion.noise_rate is None
    model, statistics = taught(16, as_they_are)
    belief = believed(model, statistics, embeddings, labels)
    posterior = belief.opinion.posterior
    torch.testing.assert_close(posterior.sum(1), torch.ones_like(posterior[:, 0]))


def test_posterior_is_bayes_rule_with_its_own_densities_and_confusions():
    model, statistics = taught(40, one_third_random)
    opinion = model.second_opinion
    embeddings, labels, _ = next(batches(1, one_third_random, seed=3))
    belief = believed(model, statistics, embeddings, labels)
    x = torch.nn.functional.normalize(embeddings, dim=1)
    x = x * float(opinion_radius(statistics, embeddings, labels))
    densities = ld.log_densities(
        x, opinion.discriminant.sums, opinion.discriminant.masses, opinion.discriminant.whiten
    )
    transitions = ld.log_transitions(opinion.joint, labels, torch.ones(K).bool(), 2.0)
    for i in range(B):
        odds = [
            (float(model.label_counts[k]) + 1)
            * math.exp(float(densities[i, k] - densities[i].max()))
            * math.exp(float(transitions[i, k]))
            for k in range(K)
        ]
        expected = [o / sum(odds) for o in odds]
        assert belief.opinion.posterior[i].tolist() == pytest.approx(expected, abs=2e-4)
    # without ids nothing sets the two apart
    assert torch.equal(belief.opinion.posterior, belief.opinion.lenient)


def test_noise_rate_is_a_lower_bound_that_holds_the_label_model():
    # wrong labels widen the classes, so that some of them look right
    model, _ = taught(120, one_third_random)
    assert 0.1 < model.second_opinion.noise_rate < 1 / 3 + 0.02
    assert model.parameter("noise_rate") > model.second_opinion.noise_rate - 1e-6
    model, _ = taught(120, as_they_are)
    assert model.second_opinion.noise_rate < 0.02


def test_its_weight_is_small_where_the_label_model_suspects_the_same_labels():
    model, _ = taught(120, one_third_random)
    assert model.second_opinion.weight < 0.1


@pytest.mark.parametrize("num_samples", [None, 50])
@pytest.mark.parametrize("doubted", [0.1, 0.2, 0.59, 0.61])
@pytest.mark.parametrize("g", [0.2, 0.45, 0.9])
def test_its_weight_grows_with_its_rate_and_with_what_is_overlooked(doubted, g, num_samples):
    opinion = SecondOpinion(K, D, num_samples)
    assert opinion.weight == 0
    with_tables(opinion, doubted, g)
    if doubted > 0.6:
        expected = 0  # what doubts more labels than can be wrong knows nothing
    elif num_samples is None:
        expected = g**2 / (g**2 + (1 - g) ** 2) * doubted**4 / (doubted**4 + 0.1**4)
    else:
        expected = g**32 / (g**32 + 0.4**32) * doubted**8 / (doubted**8 + 0.12**8)
    assert opinion.weight == pytest.approx(expected, rel=1e-4)


def with_tables(opinion, doubted, g):
    """With this noise rate and share of doubted labels that the label model trusts."""
    doubts, rates = torch.tensor([doubted, g * doubted]), torch.tensor([1.0, doubted, doubted])
    steady = {} if opinion.earlier is None else {"earlier.doubts": 1.0}
    with_state(opinion, steady, doubts=doubts, rate_sums=rates)


@pytest.mark.parametrize("num_samples", [None, 50])
def test_what_it_doubts_without_leniency_counts_as_far_as_it_is_heard(num_samples):
    opinion = SecondOpinion(K, D, num_samples)
    with_tables(opinion, 0.2, 0.45)
    with_state(opinion, rate_sums=torch.tensor([0.8, 0.8 * 0.3, 0.8 * 0.2]))
    assert 0.1 < opinion.weight < 0.99
    assert opinion.noise_rate == pytest.approx(0.2 + opinion.weight * (0.3 - 0.2), rel=1e-4)


def test_posterior_of_the_model_lies_between_the_two_by_the_weight():
    model, statistics = taught(60, one_third_random)
    embeddings, labels, _ = next(batches(1, one_third_random, seed=5))
    with_tables(model.second_opinion, 0.0, 0.0)
    alone = believed(model, statistics, embeddings, labels)
    assert torch.equal(alone.posterior, alone.posterior_by_distance)
    with_tables(model.second_opinion, 0.2, 0.5)
    mixed = believed(model, statistics, embeddings, labels)
    weight = 0.5 * 16 / 17
    expected = (1 - weight) * alone.posterior + weight * mixed.opinion.posterior
    torch.testing.assert_close(mixed.posterior, expected)
    torch.testing.assert_close(mixed.trust, expected.gather(1, labels[:, None]).squeeze(1))
    # what teaches the parameters stays as it was
    assert torch.equal(mixed.posterior_by_distance, alone.posterior_by_distance)


def test_views_of_a_sample_are_judged_alike():
    model, statistics = taught(40, one_third_random)
    embeddings, labels, _ = next(batches(1, as_they_are, seed=5))
    ids = torch.arange(B // 2).repeat(2)
    labels = labels[: B // 2].repeat(2)
    opinion = believed(model, statistics, embeddings, labels, ids).opinion.posterior
    torch.testing.assert_close(opinion[: B // 2], opinion[B // 2 :])


def test_the_order_of_the_rows_does_not_matter():
    (model, statistics), (other, _) = taught(40, confused), taught(40, confused)
    embeddings, labels, _ = next(batches(1, confused, seed=9))
    order = torch.randperm(B)
    model.learn(believed(model, statistics, embeddings, labels))
    other.learn(believed(other, statistics, embeddings[order], labels[order]))
    for name, table in model.second_opinion.state_dict().items():
        torch.testing.assert_close(table, other.second_opinion.state_dict()[name])


def test_learns_from_labels_of_new_classes_and_from_none():
    opinion = SecondOpinion(K, D)
    model, statistics = LabelNoiseModel(K, second_opinion=opinion), ClassStatistics(K, D)
    nothing = torch.zeros(0, D), torch.zeros(0).long()
    model.learn(believed(model, statistics, *nothing))
    assert opinion.discriminant.sums.abs().sum() == 0
    embeddings = torch.randn(3, D)
    model.learn(believed(model, statistics, embeddings, torch.tensor([0, 2, 2])))
    assert opinion.discriminant.masses.tolist() == [1, 0, 2, 0]
    assert int(opinion.discriminant.batches) == 0  # there was no mean before


def test_a_class_that_comes_late_leaves_what_is_known_of_doubts():
    late = K - 1
    model = LabelNoiseModel(K, second_opinion=SecondOpinion(K, D))
    statistics = ClassStatistics(K, D)
    for step, (embeddings, labels, _) in enumerate(batches(30, one_third_random)):
        before = labels != late if step < 20 else torch.ones_like(labels, dtype=torch.bool)
        embeddings, labels = embeddings[before], labels[before]
        belief = believed(model, statistics, embeddings, labels)
        if step == 20:
            known = labels != late
            doubt = 1 - belief.opinion.lenient.gather(1, labels[:, None])[known, 0].double()
            trust = belief.posterior_by_distance.gather(1, labels[:, None])[known, 0].double()
            latest = torch.stack([doubt, doubt * trust]).mean(1)
            expected = 0.97 * model.second_opinion.doubts + 0.03 * latest
        model.learn(belief)
        statistics.update(embeddings, labels)
        if step == 20:
            torch.testing.assert_close(model.second_opinion.doubts.double(), expected.double())
    assert model.second_opinion.weight > 0


def test_embeddings_in_one_place_are_no_error():
    model = LabelNoiseModel(K, second_opinion=SecondOpinion(K, D))
    statistics = ClassStatistics(K, D)
    embeddings, labels = torch.ones(B, D), torch.arange(B) % K
    for _ in range(30):
        model.learn(believed(model, statistics, embeddings, labels))
        statistics.update(embeddings, labels)
    belief = believed(model, statistics, embeddings, labels)
    assert belief.opinion is not None
    assert belief.posterior.isfinite().all()


def test_resumes_where_it_stopped():
    model, statistics = taught(40, confused)
    copy = LabelNoiseModel(K, second_opinion=SecondOpinion(K, D))
    copy.load_state_dict(model.state_dict())
    for embeddings, labels, _ in batches(10, confused, seed=4):
        for one in (model, copy):
            one.learn(believed(one, statistics, embeddings, labels))
    for name, table in model.state_dict().items():
        assert torch.equal(table, copy.state_dict()[name])


@pytest.mark.parametrize("options", [{"num_classes": 1}, {"embedding_size": 0}])
def test_options_outside_of_their_range_are_errors(options):
    with pytest.raises(ValueError, match="must be"):
        SecondOpinion(**{"num_classes": K, "embedding_size": D, **options})
