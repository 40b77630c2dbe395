"""The audit of a data set's labels, from its embeddings."""

import numpy as np
import pytest
import torch
from sklearn.metrics import average_precision_score

from pml_ahsml import audit_labels, inject_label_noise
from pml_ahsml.audit.judging import weighing, witnesses
from pml_ahsml.audit.judging.witnesses import FeatureWitnesses, GivenProbabilities
from tests.audit.judging.made import gaussian_classes

# Trust is made of float32 sums, whose rounding depends on the order of samples; steps of
# expectation and maximisation carry it on.
ROUNDING = {"rtol": 0, "atol": 1e-3}


def noisy(kind="symmetric", rate=0.2, num_samples=400, num_classes=5, size=16, spread=0.6):
    points, truth = gaussian_classes(num_samples, num_classes, size, spread)
    generator = torch.Generator().manual_seed(1)
    options = {"embeddings": points} if kind == "pair" else {}
    labels, is_noisy = inject_label_noise(truth, rate, kind, generator=generator, **options)
    return points, labels, truth, is_noisy


def average_precision(is_noisy, trust):
    return average_precision_score(is_noisy.numpy(), 1 - trust.numpy())


@pytest.mark.parametrize("kind", ["symmetric", "pair"])
@pytest.mark.parametrize("num_classes", [2, 6])
def test_wrong_labels_are_found_better_than_by_a_vote(kind, num_classes):
    # classes that overlap: a vote makes mistakes
    points, labels, truth, is_noisy = noisy(kind, 0.2, 600, num_classes, spread=1.0)
    audit = audit_labels(points, labels)
    found = average_precision(is_noisy, audit.trust)
    nearest = (points @ points.T).fill_diagonal_(-2).topk(10).indices
    vote = average_precision(is_noisy, (labels[nearest] == labels[:, None]).double().mean(1))
    assert found >= 0.95
    assert found > vote
    low, high = audit.noise_rate_interval
    assert low <= 0.2 <= high
    assert audit.noise_rate == pytest.approx(0.2, abs=0.08)
    doubted = audit.is_doubted
    assert (audit.suggested[doubted & is_noisy] == truth[doubted & is_noisy]).double().mean() > 0.9


@pytest.mark.parametrize("num_classes", [2, 10])
def test_nothing_is_wrong_with_clean_data(num_classes):
    points, truth = gaussian_classes(500, num_classes, 16, spread=0.3)
    audit = audit_labels(points, truth)
    assert audit.is_judged.all()
    assert audit.is_doubted.double().mean() <= 0.01
    assert audit.noise_rate <= 0.01
    assert audit.noise_rate_interval[0] == 0


def test_labels_drawn_at_random_are_not_trusted():
    generator = torch.Generator().manual_seed(0)
    points = torch.randn(200, 300, generator=generator)
    labels = torch.randint(4, (200,), generator=generator)
    # three quarters of them are no better than another; none of them is known to be right
    audit = audit_labels(points, labels)
    assert audit.noise_rate_interval[1] > 0.75
    assert audit.trust.mean() < 0.75


def test_the_order_of_samples_makes_no_difference():
    points, labels, _, _ = noisy()
    order = torch.randperm(len(labels), generator=torch.Generator().manual_seed(2))
    one, other = audit_labels(points, labels), audit_labels(points[order], labels[order])
    torch.testing.assert_close(other.trust, one.trust[order], **ROUNDING)
    torch.testing.assert_close(other.confidence, one.confidence[order], **ROUNDING)
    assert torch.equal(other.is_doubted, one.is_doubted[order])
    assert other.noise_rate == pytest.approx(one.noise_rate, abs=1e-3)
    assert torch.equal(order[other.neighbours[:, 0]], one.neighbours[order, 0])


def test_labels_may_be_any_numbers(tmp_path):
    points, labels, _, _ = noisy()
    values = torch.tensor([3, 17, 10**9, 10**12, 2**62])
    one, other = audit_labels(points, labels), audit_labels(points, values[labels])
    assert torch.equal(other.trust, one.trust)
    assert other.is_doubted.any()
    assert other.class_names == tuple(map(str, values.tolist()))
    assert torch.equal(other.labels, values[labels])
    assert torch.equal(other.suggested, values[one.suggested])
    for policy in ("drop", "relabel", "keep"):
        expected, mask = one.cleaned(policy)
        found = other.cleaned(policy)
        assert torch.equal(found.labels, values[expected])
        assert torch.equal(found.mask, mask)
    first, suspect = one.suspects(1)[0], other.suspects(1)[0]
    assert suspect.given == str(int(values[int(first.given)]))
    assert suspect.suggested == str(int(values[int(first.suggested)]))
    assert suspect.agreeing == first.agreeing
    assert [row.size for row in other.classes()] == [row.size for row in one.classes()]
    other.to_html(tmp_path / "page.html")
    other.to_json(tmp_path / "audit.json")
    path = tmp_path / "verdicts.csv"
    path.write_text(f"index,verdict,label\n{suspect.index},wrong,{10**9}\n")
    if suspect.given == str(10**9):
        path.write_text(f"index,verdict,label\n{suspect.index},wrong,17\n")
    corrected = int(other.apply(path).suggested[suspect.index])
    assert corrected == (17 if suspect.given == str(10**9) else 10**9)
    issues = other.datalab_issues()
    assert issues["given_label"].tolist() == [str(y) for y in values[labels].tolist()]


def test_names_of_classes_make_no_difference():
    points, labels, _, _ = noisy()
    renamed = torch.tensor([3, 0, 4, 1, 2])
    one, other = audit_labels(points, labels), audit_labels(points, renamed[labels])
    torch.testing.assert_close(other.trust, one.trust, **ROUNDING)
    assert torch.equal(other.suggested[one.is_doubted], renamed[one.suggested[one.is_doubted]])


def test_only_directions_count():
    points, labels, _, _ = noisy()
    scales = torch.logspace(-6, 6, len(labels))[:, None]
    one, other = audit_labels(points, labels), audit_labels(points * scales, labels)
    torch.testing.assert_close(other.trust, one.trust, **ROUNDING)


@pytest.mark.parametrize("dtype", [torch.float16, torch.float32, torch.float64])
def test_tensors_arrays_and_lists_give_the_same(dtype):
    points, labels, _, _ = noisy(num_samples=60, num_classes=3)
    points = points.to(dtype)
    expected = audit_labels(points.double(), labels)
    for given, of in (
        (points, labels.to(torch.uint8)),
        (points.requires_grad_(), labels.tolist()),
        (points.detach().numpy(), labels.numpy().astype(np.int16)),
        (points.tolist(), labels),
    ):
        found = audit_labels(given, of)
        # float64 becomes directions before it becomes float32
        torch.testing.assert_close(found.trust, expected.trust, **ROUNDING)
        assert found.trust.dtype == torch.float32
        assert found.labels.dtype == torch.int64
        assert not found.trust.requires_grad


def test_the_same_seed_gives_the_same(monkeypatch):
    points, labels, _, _ = noisy(spread=0.9)
    monkeypatch.setattr(weighing, "_MOST_SAMPLES", 60)
    torch.manual_seed(0)
    first = audit_labels(points, labels, seed=3)
    state = torch.get_rng_state()
    torch.manual_seed(1)
    assert torch.equal(audit_labels(points, labels, seed=3).trust, first.trust)
    assert not torch.equal(audit_labels(points, labels, seed=4).trust, first.trust)
    torch.manual_seed(0)
    assert torch.equal(torch.get_rng_state(), state)


def test_a_few_classes_in_question_are_as_good_as_all(monkeypatch):
    points, labels, _, _ = noisy(num_samples=560, num_classes=70, size=32)
    few = audit_labels(points, labels)
    monkeypatch.setattr(witnesses, "_MOST_CLASSES", 70)
    of_all = audit_labels(points, labels)
    # the six worst of 70 classes share what is left: less than 6/70 of a sample in question
    torch.testing.assert_close(few.trust, of_all.trust, rtol=0, atol=6 / 70)
    assert torch.equal(few.is_doubted, of_all.is_doubted)
    assert torch.equal(few.suggested[few.is_doubted], of_all.suggested[few.is_doubted])
    assert few.is_doubted.any()


def test_a_class_with_one_sample_is_not_judged():
    points, labels, _, _ = noisy()
    labels[7] = 5
    audit = audit_labels(points, labels)
    assert audit.is_judged.tolist() == [i != 7 for i in range(len(labels))]
    assert float(audit.trust[7]) == pytest.approx(1 - audit.noise_rate, abs=1e-6)
    assert audit.suggested[7] == 5
    assert audit.confidence[7] == audit.trust[7]
    assert not audit.is_doubted[7]


def test_a_class_within_one_group_is_not_judged():
    points, labels = gaussian_classes(60, 4, 8)
    groups = torch.where(labels == 2, 0, torch.arange(60))
    audit = audit_labels(points, labels, groups=groups)
    assert torch.equal(audit.is_judged, labels != 2)


def test_groups_see_through_copies():
    points, labels, _, _ = noisy(num_samples=200)
    points, labels = points.repeat_interleave(5, 0), labels.repeat_interleave(5)
    is_noisy = noisy(num_samples=200)[3].repeat_interleave(5)
    groups = torch.arange(200).repeat_interleave(5)
    alone = audit_labels(points, labels, k=4)
    audit = audit_labels(points, labels, k=4, groups=groups.numpy())
    assert average_precision(is_noisy, audit.trust) > average_precision(is_noisy, alone.trust)
    assert average_precision(is_noisy, audit.trust) >= 0.95
    assert not (groups[audit.neighbours] == groups[:, None]).any()


def test_a_known_noise_rate_is_expected_at_least():
    points, labels, _, _ = noisy()
    told_nothing = audit_labels(points, labels)
    low = audit_labels(points, labels, noise_rate=0.0)
    assert torch.equal(low.trust, told_nothing.trust)
    high = audit_labels(points, labels, noise_rate=0.6)
    assert high.noise_rate == pytest.approx(0.6, abs=1e-4)
    assert (high.trust <= told_nothing.trust + 1e-6).all()
    assert high.noise_rate_interval[0] <= 0.6 <= high.noise_rate_interval[1]


def test_a_known_noise_rate_is_reached_where_all_seems_clear():
    points, truth = gaussian_classes(300, 5, 16, spread=0.01)
    assert audit_labels(points, truth, noise_rate=0.3).noise_rate == pytest.approx(0.3, abs=1e-3)


def test_a_classifier_that_knows_more_is_believed():
    points, labels, truth, is_noisy = noisy(spread=2.0)
    probabilities = torch.full((len(truth), 5), 0.02).scatter_(1, truth[:, None], 0.92)
    alone = average_precision(is_noisy, audit_labels(points, labels).trust)
    for given in (probabilities, probabilities.double().numpy()):
        audit = audit_labels(points, labels, pred_probs=given)
        assert average_precision(is_noisy, audit.trust) > max(alone, 0.99)


def test_a_classifier_can_bring_in_classes_that_are_far_away():
    # of 80 classes, 64 come into question; the true one is the farthest of all
    points, labels, _, _ = noisy(num_samples=800, num_classes=80, size=32, spread=0.2)
    doubtful = 5
    far = int((points @ points[doubtful]).argmin())
    truth = int(labels[far])
    assert truth != labels[doubtful]
    probabilities = torch.full((800, 80), 0.2 / 79).scatter_(1, labels[:, None], 0.8)
    probabilities[doubtful] = 1e-9
    probabilities[doubtful, truth] = 1
    given = GivenProbabilities(probabilities)
    wit = FeatureWitnesses(points, labels, 80, 5, None, lambda *_: None)
    assert truth not in wit.classes[doubtful]
    wit = FeatureWitnesses(points, labels, 80, 5, None, lambda *_: None, given.likeliest())
    assert truth in wit.classes[doubtful]
    assert labels[doubtful] in wit.classes[doubtful]
    assert (wit.classes.diff(dim=1) > 0).all()


def test_a_classifier_that_knows_nothing_does_no_harm():
    points, labels, _, _ = noisy()
    probabilities = torch.full((len(labels), 5), 0.2)
    one, other = (
        audit_labels(points, labels),
        audit_labels(points, labels, pred_probs=probabilities),
    )
    torch.testing.assert_close(other.trust, one.trust, **ROUNDING)


@pytest.mark.parametrize("names", [None, ["a", "b", "c"]])
def test_two_samples_of_two_classes_are_not_judged(names):
    audit = audit_labels(torch.eye(2), [0, 1], class_names=names)
    assert not audit.is_judged.any()
    assert audit.trust.tolist() == [1, 1]
    assert audit.suggested.tolist() == [0, 1]
    assert audit.noise_rate == 0


def test_of_classes_with_one_sample_each_nothing_is_judged():
    points, _ = gaussian_classes(40, 5, 8)
    assert not audit_labels(points, torch.arange(40)).is_judged.any()


def test_if_all_labels_are_of_one_of_the_classes_none_is_doubted():
    points, _ = gaussian_classes(60, 4, 8)
    audit = audit_labels(points, torch.ones(60).long(), class_names=["a", "b", "c"])
    assert not audit.is_doubted.any()
    assert (audit.suggested == 1).all()
    assert audit.trust.min() > 0.99


@pytest.mark.parametrize("value", [0.0, 1.0])
def test_of_equal_embeddings_nothing_is_known(value):
    labels = torch.arange(50) % 3
    audit = audit_labels(torch.full((50, 4), value), labels)
    assert audit.trust.isfinite().all()
    assert audit.noise_rate_interval[1] - audit.noise_rate_interval[0] > 0.9
    assert not audit.is_of_no_class.any()
    # equal samples of unequal classes: in doubt, and all by the same measure
    for k in range(3):
        of_class = audit.trust[labels == k]
        torch.testing.assert_close(of_class, of_class[0].expand_as(of_class), **ROUNDING)
    assert len(audit.duplicate_pairs) > 0


def test_rows_of_zeros_leave_the_others_as_they_are():
    points, labels, _, _ = noisy()
    with_zeros, of = torch.cat([points, torch.zeros(3, 16)]), torch.cat([labels, labels[:3]])
    one, other = audit_labels(points, labels), audit_labels(with_zeros, of)
    assert other.trust.isfinite().all()
    assert (other.is_doubted[:-3] == one.is_doubted).double().mean() >= 0.99


def test_more_neighbours_than_samples_are_asked_of_all():
    points, labels, _, _ = noisy(num_samples=30)
    audit = audit_labels(points, labels, k=50)
    assert audit.neighbours.shape == (30, 50)
    assert ((audit.neighbours >= 0).sum(1) == 29).all()


def test_progress_reaches_the_end_of_each_stage():
    steps = []
    points, labels, _, _ = noisy(num_samples=50)
    audit_labels(points, labels, progress=lambda *step: steps.append(step))
    for stage in ("neighbours", "labels"):
        done = [(step, total) for name, step, total in steps if name == stage]
        assert [step for step, _ in done] == list(range(1, done[-1][1] + 1))


def test_what_is_given_is_not_changed():
    points, labels, _, _ = noisy(num_samples=60)
    before = points.clone(), labels.clone()
    probabilities = torch.full((60, 5), 0.2)
    audit_labels(points, labels, pred_probs=probabilities, groups=torch.arange(60), noise_rate=0.4)
    assert torch.equal(points, before[0])
    assert torch.equal(labels, before[1])
    assert (probabilities == 0.2).all()


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"class_names": ["a"]}, ValueError, "class_names must hold at least 2 names, got 1"),
        ({"class_names": "ab"}, TypeError, "class_names must be a sequence of names, got a str"),
        ({"sample_names": ["a"]}, ValueError, "sample_names must hold 6 names, got 1"),
        ({"groups": [0, 1]}, ValueError, r"groups must be of shape \(6,\), got \(2,\)"),
        ({"groups": [0] * 6}, ValueError, "groups must be at least 2, got 1"),
        ({"groups": [0.5] * 6}, TypeError, "groups must be of an integer dtype, got torch.float"),
        ({"noise_rate": 1}, ValueError, "noise_rate must be below 1, got 1"),
        ({"noise_rate": -0.1}, ValueError, r"noise_rate must be in \[0, 1\], got -0.1"),
        ({"noise_rate": float("nan")}, ValueError, r"noise_rate must be in \[0, 1\], got nan"),
        ({"noise_rate": "a"}, TypeError, "noise_rate must be a number, got str"),
        ({"k": 0}, ValueError, "k must be at least 1, got 0"),
        ({"k": 2.5}, TypeError, "k must be an integer, got float"),
        ({"seed": -1}, ValueError, "seed must be at least 0, got -1"),
        ({"seed": None}, TypeError, "seed must be an integer, got NoneType"),
        (
            {"pred_probs": torch.ones(6, 3)},
            ValueError,
            r"pred_probs must be of shape \(6, 2\), got \(6, 3\)",
        ),
        ({"pred_probs": torch.full((6, 2), 1.5)}, ValueError, r"must lie in \[0, 1\], got 1.5"),
        ({"pred_probs": torch.full((6, 2), -1.0)}, ValueError, r"must lie in \[0, 1\], got -1.0"),
        ({"pred_probs": torch.full((6, 2), torch.nan)}, ValueError, r"in \[0, 1\], got nan"),
        ({"pred_probs": "a"}, TypeError, "pred_probs must be a tensor, or numbers to make one of"),
        ({"pred_probs": torch.ones(6, 2) * 1j}, TypeError, "pred_probs must be of real numbers"),
    ],
)
def test_options_are_checked(options, error, message):
    points, labels = gaussian_classes(6, 2, 3)
    with pytest.raises(error, match=message):
        audit_labels(points, labels, **options)
