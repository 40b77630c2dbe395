import math

import pytest
import torch
from pytorch_metric_learning.distances import CosineSimilarity

from pml_ahsml import ClassStatistics, LabelNoiseModel, PoincareDistance
from pml_ahsml.classes.class_means import Groups
from pml_ahsml.hyperbolic import maps
from pml_ahsml.labels import confusion_prior as cp
from tests import reference
from tests.near_origin import SCALES, euclidean, near_origin

K, D = 4, 6


def batches(n: int = 20):
    for _ in range(n):
        yield torch.randn(12, D), torch.randint(0, K - 1, (12,)), torch.rand(12)


def naive_means(place, rounds, momentum) -> tuple[torch.Tensor, list[int], float]:
    """The update rule of the docstring as a loop: means, visits and the last gain."""
    means, visits = torch.zeros(K, D + 1, dtype=torch.float64), [0] * K
    distance = sampling = gain = 0.0
    for embeddings, labels, weights in rounds:
        found = {}
        for k in range(K):
            rows = [i for i in range(len(labels)) if labels[i] == k]
            if not rows:
                continue
            visits[k] += 1
            w = [float(weights[i]) for i in rows]
            points = []
            for i in rows:
                u = place(embeddings[i].double())
                radius = 2 * math.sqrt(0.1) * float(u.norm())
                time = torch.tensor([math.cosh(radius)])
                points.append(torch.cat([time, math.sinh(radius) * u / u.norm()]))
            mean = sum(a / sum(w) * x for a, x in zip(w, points, strict=True))
            found[k] = (mean, w, [float((x - mean).square().sum()) for x in points])
        # how far the means of the visits are from the running ones, and what sampling does to them
        excess = [
            (float((mean - means[k]).square().sum()), reference.variance_of_mean(w, squares))
            for k, (mean, w, squares) in found.items()
            if visits[k] > 2 and len(w) > 1 and sum(w) > 0.5
        ]
        if excess:
            one, other = (sum(column) / len(excess) for column in zip(*excess, strict=True))
            distance = 0.9 * distance + 0.1 * one
            sampling = 0.9 * sampling + 0.1 * other
        gain = max(1 - momentum, 1 - sampling / distance) if distance > 0 else 1 - momentum
        for k, (mean, w, _) in found.items():
            step = 1.0 if visits[k] == 1 else min(1, sum(w)) * max(gain, 1 / visits[k])
            means[k] += step * (mean - means[k])
    return means, visits, gain


@pytest.mark.parametrize("hyperbolic", [True, False])
def test_means_follow_the_update_rule(hyperbolic):
    distance = PoincareDistance() if hyperbolic else CosineSimilarity()

    def place(e):
        return e * min(1.0, 2.3 / float(e.norm())) if hyperbolic else 2.3 * e / e.norm()

    rounds = list(batches())
    statistics = ClassStatistics(K, D, distance, momentum=0.9)
    for embeddings, labels, weights in rounds:
        statistics.update(embeddings, labels, weights)
    means, visits, gain = naive_means(place, rounds, 0.9)
    torch.testing.assert_close(statistics.means.double(), means, rtol=1e-5, atol=1e-6)
    assert statistics.gain == pytest.approx(gain, rel=1e-4)
    assert statistics.visits.tolist() == visits
    assert statistics.seen.tolist() == [True, True, True, False]


@pytest.mark.parametrize(
    "distance", [PoincareDistance(), PoincareDistance(normalize_embeddings=True)]
)
def test_lone_samples_are_as_far_apart_as_the_distance_says(distance):
    statistics = ClassStatistics(2, 2, distance)
    embeddings = torch.tensor([[2.0, 0.0], [0.0, 1.5]])
    statistics.update(embeddings, torch.tensor([0, 1]))
    torch.testing.assert_close(statistics.divergence()[0, 1], distance(embeddings)[0, 1])
    torch.testing.assert_close(
        distance.from_tangent(statistics.centroids()), distance.maybe_normalize(embeddings)
    )


def test_centroid_of_one_batch_is_the_einstein_midpoint():
    statistics = ClassStatistics(2, D, PoincareDistance())
    embeddings = torch.randn(7, D)
    statistics.update(embeddings, torch.zeros(7, dtype=torch.long))
    u = maps.clip_norm(embeddings.double(), 2.3)
    expected = torch.tensor(reference.einstein_midpoint(u, 0.1))
    torch.testing.assert_close(statistics.centroids()[0], expected, rtol=1e-4, atol=1e-5)
    assert (statistics.centroids()[1] == 0).all()


def test_distances_and_divergence_are_geodesic():
    statistics = ClassStatistics(K, D, PoincareDistance())
    for embeddings, labels, _ in batches():
        statistics.update(embeddings, labels)
    centroids = statistics.centroids()[:3]
    embeddings = torch.randn(5, D)
    clipped = maps.clip_norm(embeddings, 2.3)
    expected = reference.distance_matrix(clipped, centroids, 0.1)
    distances = statistics.distances(embeddings)
    torch.testing.assert_close(distances[:, :3].double(), expected, rtol=1e-4, atol=1e-5)
    assert distances[:, 3].isinf().all()
    divergence = statistics.divergence()
    expected = reference.distance_matrix(centroids, centroids, 0.1)
    torch.testing.assert_close(divergence[:3, :3].double(), expected, rtol=1e-4, atol=1e-5)
    assert divergence[3].isnan().all()
    some = statistics.divergence(torch.tensor([2, 0]))
    torch.testing.assert_close(some, divergence[[2, 0]][:, [2, 0]])


def test_a_sample_is_at_no_distance_from_a_centroid_of_its_own():
    # but for the rounding of its mean; cosh(√c·d) in float32 would blur all below a thousandth
    for distance in (None, PoincareDistance(), PoincareDistance(1.0)):
        statistics = ClassStatistics(K, D, distance)
        embeddings, labels = torch.randn(K, D), torch.arange(K)
        statistics.update(embeddings, labels)
        own = statistics.evidence(embeddings, labels).distances.diagonal()
        root = statistics.distance.curvature**0.5
        rounding = torch.finfo(torch.float32).eps * math.cosh(2 * root * 2.3) / root
        assert own.max() < 8 * rounding


def test_means_follow_a_network_that_moves_and_average_over_one_that_stands():
    def visit(drift, number):
        centres = torch.randn(K, D, generator=torch.Generator().manual_seed(0))
        labels = torch.arange(K).repeat(4)
        place = centres[labels] + drift * number * centres[labels].roll(1, 1)
        return place + 0.3 * torch.randn(len(labels), D), labels

    gains = {}
    for drift in (0.0, 0.05, 0.5):
        statistics = ClassStatistics(K, D, momentum=0.9)
        for number in range(30):
            statistics.update(*visit(drift, number))
        gains[drift] = statistics.gain
    assert gains[0.0] < 0.2 < gains[0.05]
    assert gains[0.0] >= 1 - 0.9
    # it starts to move: means go along within a few visits
    statistics = ClassStatistics(K, D, momentum=0.9)
    for number in range(30):
        statistics.update(*visit(0.0, number))
    slow = statistics.gain
    for number in range(5):
        statistics.update(*visit(0.5, number))
    assert statistics.gain > 0.5 > slow


def test_an_embedding_of_zeros_lies_at_the_origin():
    statistics = ClassStatistics(2, D)
    zeros, labels = torch.zeros(2, D), torch.tensor([0, 0])
    statistics.update(zeros, labels)
    assert torch.equal(statistics.means[0], torch.eye(D + 1)[0])
    assert float(statistics.distances(torch.ones(1, D))[0, 0]) == pytest.approx(2 * 2.3)


def test_mean_similarity_is_the_mean_minkowski_product():
    statistics = ClassStatistics(3, D, PoincareDistance(), momentum=0.0)
    embeddings, labels = torch.randn(10, D), torch.tensor([0, 0, 0, 0, 0, 0, 1, 1, 1, 1])
    statistics.update(embeddings, labels)
    within, between = statistics.mean_similarity(torch.tensor([0, 1, 2]))
    s = -(torch.cosh(math.sqrt(0.1) * PoincareDistance()(embeddings)))
    assert float(within[0]) == pytest.approx(float(s[:6, :6].mean()), rel=1e-5)
    assert float(between[0, 1]) == pytest.approx(float(s[:6, 6:].mean()), rel=1e-5)
    assert within[2].isnan()
    assert between[2].isnan().all()


def test_order_of_rows_does_not_matter():
    first, second = ClassStatistics(K, D), ClassStatistics(K, D)
    for embeddings, labels, weights in batches():
        order = torch.randperm(len(labels))
        first.update(embeddings, labels, weights)
        second.update(embeddings[order], labels[order], weights[order])
    torch.testing.assert_close(first.means, second.means, rtol=1e-6, atol=0)


def test_a_curvature_learnt_by_the_loss_is_followed():
    distance = PoincareDistance(learn_curvature=True)
    statistics = ClassStatistics(2, D, distance)
    embeddings = torch.randn(4, D)
    statistics.update(embeddings, torch.tensor([0, 0, 1, 1]))
    before = statistics.distances(embeddings)
    with torch.no_grad():
        distance.log_curvature += 1
    assert not torch.allclose(statistics.distances(embeddings), before)


def test_a_class_without_weight_is_left_alone():
    statistics = ClassStatistics(2, D)
    statistics.update(torch.randn(3, D), torch.tensor([0, 0, 1]), torch.tensor([0.0, 0.0, 0.5]))
    assert statistics.seen.tolist() == [False, True]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((torch.randn(2, D + 1), torch.tensor([0, 1])), r"shape \(N, 6\), got \(2, 7\)"),
        ((torch.randn(2, D), torch.tensor([0, K])), r"labels must lie in \[0, 4\)"),
        ((torch.full((2, D), torch.nan), torch.tensor([0, 1])), "must be finite"),
        ((torch.randn(2, D), torch.tensor([0, 1]), torch.ones(3)), "weights must be of shape"),
        ((torch.randn(2, D), torch.tensor([0, 1]), torch.tensor([2.0, 0])), "weights must lie in"),
        (
            (torch.randn(2, D), torch.tensor([0, 1]), torch.tensor([torch.nan, 0])),
            "weights must lie in",
        ),
        (
            (torch.full((2, D), 1e300, dtype=torch.float64), torch.tensor([0, 1])),
            "embeddings must have rows whose norm float32 can hold, got 2 of 2",
        ),
        ((torch.randn(2, D), torch.tensor([0, 1]), torch.tensor([1, -0.1])), "weights must lie in"),
    ],
)
def test_a_refused_update_changes_nothing(arguments, message):
    statistics = ClassStatistics(K, D)
    with pytest.raises(ValueError, match=message):
        statistics.update(*arguments)
    assert not statistics.seen.any()
    assert (statistics.means == 0).all()
    assert (statistics.centre == 0).all()


@pytest.mark.parametrize(("exact", "compared"), [(0, 100), (0, 2)])
def test_many_classes_are_kept_in_float32_on_the_device_of_the_batch(exact, compared):
    def learnt():
        statistics = ClassStatistics(
            K, D, max_exact_classes=exact, max_compared_classes=compared, centred=True
        )
        for _ in range(3):
            statistics.update(embeddings, labels)
        return statistics

    embeddings, labels = torch.randn(12, D), torch.arange(12) % K
    expected = learnt()
    torch.set_default_dtype(torch.float64)
    try:
        found = learnt()
        with torch.device("meta"):
            found.update(embeddings, labels)
            distances = found.evidence(embeddings, labels.to(torch.uint8)).distances
            divergence, centroids = found.divergence(), found.centroids()
    finally:
        torch.set_default_dtype(torch.float32)
    expected.update(embeddings, labels)
    assert torch.equal(distances, expected.evidence(embeddings, labels).distances)
    for result, wanted in ((divergence, expected.divergence()), (centroids, expected.centroids())):
        assert result.dtype == wanted.dtype
        assert torch.equal(result, wanted)
    assert found.means.dtype == found.neighbour_weights.dtype == torch.float32
    assert torch.equal(found.means, expected.means)
    assert torch.equal(found.neighbour_distances, expected.neighbour_distances)


def test_classes_that_do_not_exist_are_refused():
    statistics = ClassStatistics(K, D)
    statistics.update(torch.randn(K, D), torch.arange(K))
    for ask in (statistics.divergence, statistics.centroids, statistics.mean_similarity):
        ask(torch.tensor([0, 2], dtype=torch.uint8))
        with pytest.raises(ValueError, match=r"classes must lie in \[0, 4\), got values from -1"):
            ask(torch.tensor([-1, 2]))
        with pytest.raises(TypeError, match="classes must be of an integer dtype, got torch.bool"):
            ask(statistics.seen)


@pytest.mark.parametrize(
    "options", [{"num_classes": 1}, {"embedding_size": 0}, {"momentum": 1.5}, {"momentum": -0.1}]
)
def test_bad_options_are_refused(options):
    name = next(iter(options))
    with pytest.raises(ValueError, match=f"{name} must be"):
        ClassStatistics(**{"num_classes": K, "embedding_size": D, **options})


def test_centroids_lie_as_far_apart_as_the_divergence_says():
    for space in ("tangent", "ball"):
        distance = PoincareDistance(embedding_space=space)
        statistics = ClassStatistics(2, 3, distance)
        points = 0.3 * torch.randn(6, 3)
        statistics.update(points, torch.tensor([0, 0, 0, 1, 1, 1]))
        own, other = (
            distance.from_tangent(statistics.centroids(torch.tensor([k]))) for k in (1, 0)
        )
        to_own, to_other = distance(own, torch.cat([own, other]))[0]
        assert float(to_own) == pytest.approx(0, abs=1e-3)
        assert float(to_other) == pytest.approx(float(statistics.divergence()[0, 1]), rel=1e-3)


@pytest.mark.parametrize("distance", [None, PoincareDistance()])
def test_distances_between_classes_are_kept_up_to_date(distance):
    statistics = ClassStatistics(K, D, distance)
    # the last class is seen last, and one never
    for some in ([0, 1], [0, 2], [1], [2, K - 1]):
        labels = torch.tensor(some).repeat(3)
        statistics.update(torch.randn(len(labels), D), labels)
        kept = statistics.evidence(torch.randn(1, D), labels[:1]).neighbourhoods.distances
        expected = statistics.divergence().nan_to_num(nan=torch.inf).fill_diagonal_(torch.inf)
        torch.testing.assert_close(kept, expected)
    assert statistics.visits.tolist().count(0) == K - 4


@pytest.mark.parametrize("spread", [0.2, 5.0])
def test_lists_of_neighbours_come_close_to_all_pairs(spread):
    groups = torch.randn(30, D).repeat_interleave(10, 0)
    centres = groups + 0.5 * torch.randn(300, D)
    exact = ClassStatistics(300, D)
    listed = ClassStatistics(300, D, max_exact_classes=299)
    for rows in torch.randperm(1200).split(100):
        labels = rows % 300
        embeddings = centres[labels] + 0.1 * torch.randn(len(labels), D)
        exact.update(embeddings, labels)
        listed.update(embeddings, labels)
    labels = torch.randint(300, (50,))
    embeddings = centres[labels]
    one, other = exact.evidence(embeddings, labels), listed.evidence(embeddings, labels)
    assert torch.equal(one.distances, other.distances)
    torch.testing.assert_close(one.label_distances, other.label_distances)
    log_z, _ = cp.log_normaliser(one.neighbourhoods, spread)
    estimate, _ = cp.log_normaliser(other.neighbourhoods, spread)
    # lists are as old as the last visit of a class, and a third of the classes came later; a list
    # without its nearest class would be wrong by more than 1
    assert (estimate - log_z).abs().mean() < 0.4


def test_lists_of_neighbours_resume():
    first, second = (ClassStatistics(40, 3, max_exact_classes=0) for _ in range(2))
    labels = torch.arange(40)
    first.update(torch.randn(40, 3), labels)
    second.load_state_dict(first.state_dict())
    embeddings = torch.randn(40, 3)
    one, other = (s.evidence(embeddings, labels).neighbourhoods for s in (first, second))
    assert torch.equal(one.distances, other.distances)
    assert torch.equal(one.weights, other.weights)
    assert (one.weights.sum(1) > 0).all()


@pytest.mark.parametrize("views", [1, 2])
@pytest.mark.parametrize("wrong", [0.0, 0.4])
def test_candidates_come_close_to_all_classes(wrong, views):
    size, generator = 600, torch.Generator().manual_seed(0)
    groups = torch.randn(60, 16, generator=generator).repeat_interleave(10, 0)
    centres = groups + 0.5 * torch.randn(size, 16, generator=generator)

    def batch(truth):
        noise = torch.randn(len(truth), 16, generator=generator)
        shift = torch.randint(1, size, truth.shape, generator=generator)
        is_wrong = torch.rand(len(truth), generator=generator) < wrong
        return centres[truth] + 0.2 * noise, torch.where(is_wrong, truth + shift, truth) % size

    # steady centroids, so that what differs is the approximation
    every, some = (
        ClassStatistics(size, 16, momentum=0.8, max_exact_classes=0, max_compared_classes=limit)
        for limit in (size, 0)
    )
    models = [LabelNoiseModel(size, warmup=0) for _ in range(2)]
    ids = torch.arange(120 // views).repeat(views) if views > 1 else None
    for step in range(60):
        truth = (torch.arange(120 // views) * 5 + step) % size
        embeddings, labels = batch(truth)
        embeddings = torch.cat([embeddings, embeddings + 0.1 * embeddings.roll(1, 1)])[:120]
        labels = labels.repeat(views)
        evidences = [s.evidence(embeddings, labels, ids) for s in (every, some)]
        beliefs = [m.believe(e, labels) for m, e in zip(models, evidences, strict=True)]
        for statistics, model, belief in zip((every, some), models, beliefs, strict=True):
            model.learn(belief)
            statistics.learn(belief.evidence.points, Groups.by(labels), torch.ones(120))
    exact, close = beliefs
    assert close.posterior.shape == (120, 129)
    torch.testing.assert_close(close.posterior.sum(1), torch.ones(120))
    assert (exact.trust - close.trust).abs().max() < 0.02
    posteriors = [b.evidence.for_all_classes(b.posterior) for b in beliefs]
    torch.testing.assert_close(posteriors[1].sum(1), torch.ones(120))
    assert (posteriors[0] - posteriors[1]).abs().max() < 0.02
    assert torch.equal(*(p.argmax(1) for p in posteriors))
    assert models[0].noise_rate == pytest.approx(models[1].noise_rate, abs=0.005)
    assert models[0].temperature == pytest.approx(models[1].temperature, rel=0.02)
    assert models[0].spread == pytest.approx(models[1].spread, rel=0.05)


def test_directions_are_taken_from_the_running_mean_of_all():
    statistics, centre = ClassStatistics(K, D, centred=True), None
    for embeddings, labels, _ in batches(5):
        embeddings += 3  # what all of them have in common
        directions = embeddings / embeddings.norm(dim=1, keepdim=True)
        mean = directions.mean(0)
        offsets = directions - (mean if centre is None else centre)
        expected = 2.3 * offsets / offsets.norm(dim=1, keepdim=True)
        torch.testing.assert_close(statistics.tangent(embeddings), expected)
        statistics.update(embeddings, labels)
        centre = mean if centre is None else 0.8 * centre + 0.2 * mean
    torch.testing.assert_close(statistics.centre, centre)


def test_the_order_of_the_rows_does_not_show():
    statistics = [ClassStatistics(K, D, centred=True) for _ in range(2)]
    for embeddings, labels, _ in batches(5):
        order = torch.randperm(len(labels))
        statistics[0].update(embeddings, labels)
        statistics[1].update(embeddings[order], labels[order])
        assert torch.equal(statistics[0].centre, statistics[1].centre)
        assert torch.equal(statistics[0].means, statistics[1].means)


def test_centroids_keep_up_with_a_network_that_moves_everything():
    errors = {}
    for centred in (False, True):
        statistics, wrong = ClassStatistics(64, 16, centred=centred), []
        torch.manual_seed(0)
        places, shift = 0.3 * torch.randn(64, 16), torch.zeros(16)
        for step in range(80):
            shift += 0.1 * torch.randn(16)
            labels = torch.randperm(64)[:16].repeat_interleave(2)
            embeddings = places[labels] + shift + 0.1 * torch.randn(32, 16)
            if step >= 20:
                nearest = statistics.distances(embeddings).argmin(1)
                wrong.append((nearest != labels).float().mean())
            statistics.update(embeddings, labels)
        errors[centred] = torch.stack(wrong).mean()
    assert errors[True] < 2 / 3 * errors[False]


def test_the_origin_of_a_poincare_distance_stays_where_it_is():
    with pytest.raises(ValueError, match="centred must be False with a PoincareDistance, got True"):
        ClassStatistics(K, D, PoincareDistance(), centred=True)


def test_embeddings_may_have_one_dimension():
    statistics = ClassStatistics(2, 1)
    embeddings, labels = torch.tensor([[0.5], [-0.5]]), torch.tensor([0, 1])
    statistics.update(embeddings, labels)
    assert torch.equal(statistics.distances(embeddings).argmin(1), labels)


@pytest.mark.parametrize(("c", "norm"), SCALES)
def test_statistics_near_the_origin_tell_classes_apart(c, norm):
    statistics = ClassStatistics(4, 8, PoincareDistance(c), momentum=0.0)
    u = near_origin(4, norm).float()
    statistics.update(u, torch.arange(4))
    expected = euclidean(u.double(), u.double()).float()
    # float32 keeps the points that the distances are between to seven digits
    torch.testing.assert_close(statistics.divergence(), expected, rtol=2e-5, atol=0)
    torch.testing.assert_close(
        statistics.distances(u), expected, rtol=2e-5, atol=float(expected.max()) * 1e-6
    )
    torch.testing.assert_close(statistics.centroids(), u, rtol=2e-5, atol=0)


def test_distances_follow_every_change_of_the_means():
    statistics, other = (ClassStatistics(5, 3, centred=True) for _ in range(2))
    for step in range(3):
        embeddings, labels = torch.randn(6, 3), torch.tensor([0, 1, 2, 0, 1, step])
        statistics.update(embeddings, labels)
        other.load_state_dict(statistics.state_dict())
        assert torch.equal(statistics.distances(embeddings), other.distances(embeddings))
