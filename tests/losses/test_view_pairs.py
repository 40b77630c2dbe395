import math

import pytest
import torch
from pytorch_metric_learning import losses, miners
from pytorch_metric_learning.reducers import DoNothingReducer

from pml_ahsml import AdaptiveMargins, AdaptiveNoiseAwareLoss, Relabelling
from pml_ahsml.losses import view_pairs
from tests import reference
from tests.noisy_batches import value_and_gradient

K, D, N = 5, 8, 12
CENTRES = 2 * torch.randn(K, D, generator=torch.Generator().manual_seed(7))
NEVER = None  # everything is trusted: AHSML alone


def two_views(seed: int = 0):
    """(embeddings, labels) of 12 samples with two views each, by layout."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.tensor([0, 0, 0, 1, 1, 1, 2, 2, 2, 3, 3, 3])
    points = CENTRES[labels] + 0.5 * torch.randn(N, D, generator=generator)
    views = [points + 0.1 * torch.randn(N, D, generator=generator) for _ in range(2)]
    return torch.cat(views).double(), labels.repeat(2)


def warmed(loss, **options):
    """A wrapper that knows the classes, after 30 batches with right labels."""
    wrapper = AdaptiveNoiseAwareLoss(
        loss, K, D, **{"num_views": 2, "relabel": None, "margins": None, "warmup": 20, **options}
    )
    for seed in range(30):
        wrapper(*two_views(seed))
    return wrapper


def test_pairs_are_views_positives_and_negatives():
    ids = torch.tensor([0, 1, 2, 0, 1, 2])
    labels = torch.tensor([3, 3, 4, 3, 3, 4])
    takes_part = torch.tensor([True, True, False, True, True, False])
    pairs = view_pairs.ViewPairs.of(ids, labels, takes_part)
    for i in range(6):
        for j in range(6):
            both = bool(takes_part[i] and takes_part[j])
            assert pairs.views[i, j] == (i != j and ids[i] == ids[j])
            assert pairs.positives[i, j] == (both and ids[i] != ids[j] and labels[i] == labels[j])
            assert pairs.negatives[i, j] == (both and labels[i] != labels[j])


@pytest.mark.parametrize("view_margin", [False, True])
def test_multi_similarity_is_the_written_formula(view_margin):
    e, labels = two_views()
    s = torch.nn.functional.cosine_similarity(e[:, None], e, dim=2)
    within, between = reference.class_similarity(s, labels, K)
    positive, negative = reference.rescale(within, 0.2), reference.rescale(between, 0.2)
    rho = alpha = 2
    beta, gamma = 50, 0.5
    total = 0.0
    for i, a in enumerate(labels.tolist()):
        members = [j for j, b in enumerate(labels.tolist()) if b == a]
        m_a = min(float(s[j, k]) for j in members for k in members if j != k)
        if not view_margin:
            m_a = gamma + float(positive[a])
        views, others, strangers = 0.0, 0.0, 0.0
        for j, b in enumerate(labels.tolist()):
            if j == (i + N) % (2 * N):
                views += math.exp(-rho * (float(s[i, j]) - m_a))
            elif i != j and a == b:
                others += math.exp(-alpha * (float(s[i, j]) - gamma - float(positive[a])))
            elif a != b:
                strangers += math.exp(beta * (float(s[i, j]) - gamma + float(negative[a, b])))
        total += math.log1p(views) / rho + math.log1p(others) / alpha
        total += math.log1p(strangers) / beta
    wrapper = AdaptiveNoiseAwareLoss(
        losses.MultiSimilarityLoss(alpha, beta, gamma),
        K,
        D,
        num_views=2,
        margins=AdaptiveMargins(view_margin=view_margin),
    )
    assert float(wrapper(e, labels)) == pytest.approx(total / (2 * N), rel=1e-6)


def test_a_distrusted_row_keeps_its_view_pair_and_takes_no_other_part():
    loss = losses.ContrastiveLoss(neg_margin=2)
    wrapper = warmed(loss)
    e, labels = two_views(100)
    labels = labels.clone()
    wrong = torch.tensor([0, N])
    labels[wrong] = 2
    right = wrapper.trust(e, labels) > 0.5
    assert (~right).nonzero().squeeze(1).tolist() == wrong.tolist()
    e = e.requires_grad_()
    (gradient,) = torch.autograd.grad(wrapper(e, labels), e)
    rows = right.nonzero().squeeze(1)
    same = labels[rows][:, None] == labels[rows]
    a1, p = (same & ~torch.eye(len(rows), dtype=torch.bool)).nonzero(as_tuple=True)
    a2, n = (~same).nonzero(as_tuple=True)
    pairs = (
        torch.cat([rows[a1], wrong]),
        torch.cat([rows[p], wrong.flip(0)]),
        rows[a2],
        rows[n],
    )
    (expected,) = torch.autograd.grad(loss(e, labels, pairs), e)
    torch.testing.assert_close(gradient, expected)
    assert gradient[wrong].abs().sum() > 0


def test_views_are_judged_as_one():
    wrapper = warmed(losses.TripletMarginLoss(margin=1))
    e, labels = two_views(100)
    e = e.clone()
    e[0] = CENTRES[2]  # one view of sample 0 seems to be of class 2, the other of its own
    alone = wrapper.trust(e, labels)
    assert (alone[0] > 0.5) != (alone[N] > 0.5)
    e = e.requires_grad_()
    (gradient,) = torch.autograd.grad(wrapper(e, labels), e)
    takes_part = gradient.abs().sum(1) > 0
    assert takes_part[0] == takes_part[N]


def test_ids_take_the_place_of_the_layout():
    e, labels = two_views(100)
    order = torch.randperm(2 * N)
    by_layout, by_ids = warmed(losses.MultiSimilarityLoss()), warmed(losses.MultiSimilarityLoss())
    value = by_layout(e, labels)
    shuffled = by_ids(e[order], labels[order], view_ids=torch.arange(N).repeat(2)[order])
    torch.testing.assert_close(value, shuffled)
    torch.testing.assert_close(by_layout.class_statistics.means, by_ids.class_statistics.means)


def test_a_loss_that_takes_no_pairs_sees_the_rows_it_trusts():
    loss = losses.NCALoss()
    wrapper = warmed(loss)
    e, labels = two_views(100)
    labels = labels.clone()
    labels[[0, N]] = 2
    right = wrapper.trust(e, labels) > 0.5
    assert not right.all()
    assert torch.equal(wrapper(e, labels), loss(e[right], labels[right]))


def test_with_a_miner_the_miner_chooses():
    loss = losses.MultiSimilarityLoss()
    wrapper = AdaptiveNoiseAwareLoss(loss, K, D, num_views=2, margins=None)
    e, labels = two_views()
    mined = miners.MultiSimilarityMiner(epsilon=1)(e, labels)
    assert len(mined[0]) > 0
    assert torch.equal(wrapper(e, labels, mined), loss(e, labels, mined))


def test_past_samples_are_no_views():
    relabel = Relabelling(confidence=1)
    wrapper = warmed(losses.ContrastiveLoss(), relabel=relabel)
    e, labels = two_views(100)
    labels = labels.clone()
    labels[[0, N]] = 2
    e = e.requires_grad_()
    (gradient,) = torch.autograd.grad(wrapper(e, labels), e)
    assert gradient.isfinite().all()
    assert wrapper.replay_memory.labels.max() >= 0


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda w, e, y: w(e[1:], y[1:]), ValueError, "must have a multiple of 2 rows"),
        (
            lambda w, e, y: w(e, torch.cat([y[:N], y[:N] + 1])),
            ValueError,
            "must be the same for all views",
        ),
        (lambda w, e, y: w(e, y, view_ids=y.float()), TypeError, "must be of an integer dtype"),
        (lambda w, e, y: w(e, y, view_ids=y[1:]), ValueError, r"must be of shape \(24,\)"),
        (lambda w, e, y: w(e, y, view_ids=[1]), TypeError, "must be a tensor, got list"),
    ],
)
def test_bad_views_are_refused_and_change_nothing(call, error, message):
    wrapper = AdaptiveNoiseAwareLoss(losses.MultiSimilarityLoss(), K, D, num_views=2)
    e, labels = two_views()
    with pytest.raises(error, match=message):
        call(wrapper, e, labels)
    assert wrapper.noise_model.batches == 0
    assert not wrapper.class_statistics.seen.any()


@pytest.mark.parametrize(
    ("loss", "options", "message"),
    [
        (losses.MultiSimilarityLoss(), {"num_views": 0}, "num_views must be at least 1, got 0"),
        (
            losses.MultiSimilarityLoss(reducer=DoNothingReducer()),
            {"num_views": 2},
            "num_views must be 1 for a MultiSimilarityLoss with a DoNothingReducer",
        ),
        (
            losses.MultiSimilarityLoss(),
            {"margins": AdaptiveMargins(view_margin=True)},
            "view_margin must be False with num_views=1",
        ),
        (
            losses.TripletMarginLoss(),
            {"num_views": 2, "margins": AdaptiveMargins(view_margin=True)},
            "view_margin must be False for a loss that is not called with pairs",
        ),
    ],
)
def test_bad_options_are_refused(loss, options, message):
    with pytest.raises(ValueError, match=message):
        AdaptiveNoiseAwareLoss(loss, K, D, **options)


def test_views_are_pairs_where_no_label_is_believed():
    loss = losses.MultiSimilarityLoss()
    wrapper = warmed(loss, margins=AdaptiveMargins(view_margin=True))
    e, labels = two_views(100)
    wrong = (labels + 1) % 4  # of the classes that have been seen
    assert (wrapper.trust(e, wrong) < 0.5).all()
    value, gradient = value_and_gradient(wrapper, e, wrong)
    assert value > 0
    assert (gradient.abs().sum(1) > 0).all()
