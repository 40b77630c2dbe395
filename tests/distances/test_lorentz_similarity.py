import functools

import geoopt
import pytest
import torch
from pytorch_metric_learning import losses, miners
from pytorch_metric_learning.distances import CosineSimilarity

from pml_ahsml import LorentzSimilarity, PoincareDistance
from pml_ahsml.distances import as_similarity
from pml_ahsml.hyperbolic import maps
from tests import reference


def test_is_the_clipped_and_scaled_minkowski_product():
    e = torch.randn(8, 4, dtype=torch.float64)
    clipped = maps.clip_norm(2 * e, 2.3)
    assert (clipped.norm(dim=1) < 2.2).any()
    assert (2 * e.norm(dim=1) > 2.4).any()
    expected = reference.lorentz_similarity_matrix(clipped, clipped, 0.1, 2.3)
    similarity = LorentzSimilarity(scale=2.0)
    torch.testing.assert_close(similarity(e), expected)
    torch.testing.assert_close(similarity(e, e[:3]), expected[:, :3])
    torch.testing.assert_close(
        similarity.pairwise_distance(e[:3], e[5:]), expected[:3, 5:].diagonal()
    )


def test_is_inverted_and_keeps_the_norm():
    similarity = LorentzSimilarity()
    assert similarity.is_inverted
    assert not similarity.normalize_embeddings
    values = torch.tensor([[-0.5, 0.25]])
    assert similarity.smallest_dist(values) == 0.25  # the most similar pair
    assert similarity.largest_dist(values) == -0.5
    assert similarity.margin(values[0, 1], values[0, 0]) == -0.75
    assert as_similarity(values, similarity) is values


def test_orders_pairs_as_the_geodesic_distance_does():
    e = torch.randn(30, 3, dtype=torch.float64)
    order = PoincareDistance()(e).flatten().argsort()
    similarity = LorentzSimilarity(scale=None)(e).flatten()[order]
    assert (similarity.diff() <= 1e-15).all()


@pytest.mark.parametrize("space", ["tangent", "ball"])
def test_far_out_it_is_a_cosine_similarity_in_value_and_gradient(space):
    e = torch.randn(12, 6).mul_(40).requires_grad_()
    weights = torch.randn(12, 12)
    found = []
    for distance in (LorentzSimilarity(scale=None, embedding_space=space), CosineSimilarity()):
        values = distance(e)
        found.append((values, *torch.autograd.grad((weights * values).sum(), e)))
    torch.testing.assert_close(found[0][0], found[1][0], rtol=0, atol=1e-6)
    torch.testing.assert_close(found[0][1], found[1][1], rtol=1e-4, atol=1e-6)


def test_gradients_are_finite_everywhere():
    rows = [[0.0, 0.0], [0.5, 0.0], [0.5, 0.0], [2.3, 0.0], [50.0, 1.0], [1e30, 0.0]]
    e = torch.tensor(rows, requires_grad=True)
    similarity = LorentzSimilarity(learn_curvature=True, scale=None)
    s = similarity(e)
    assert s.isfinite().all()
    assert s[1, 2] == 1
    gradients = torch.autograd.grad(s.sum(), (e, similarity.log_curvature))
    assert all(g.isfinite().all() for g in gradients)
    assert gradients[0][4].abs().max() > 0  # a clipped row still turns


def test_half_precision_and_autocast_do_not_reach_inside():
    e = torch.tensor([[300.0, 0.0], [0.0, 300.0], [1.0, 0.5]], dtype=torch.float16)
    similarity = LorentzSimilarity(scale=None)
    s = similarity(e)
    assert s.dtype == torch.float16
    torch.testing.assert_close(s, similarity(e.float()).half(), rtol=0, atol=0)
    e = torch.randn(6, 8)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        s = similarity(e)
    torch.testing.assert_close(s, similarity(e), rtol=0, atol=0)


def test_learnt_curvature_is_a_parameter_with_the_right_gradient():
    e = torch.randn(5, 3, dtype=torch.float64)
    similarity = LorentzSimilarity(0.3, learn_curvature=True, scale=1.5).double()
    (log_curvature,) = similarity.parameters()
    weights = torch.randn(5, 5, dtype=torch.float64)
    (gradient,) = torch.autograd.grad((weights * similarity(e)).sum(), log_curvature)
    step = 1e-6
    up, down = (
        (weights * LorentzSimilarity(0.3 * factor, scale=1.5)(e)).sum()
        for factor in (1 + step, 1 - step)
    )
    assert float(gradient) == pytest.approx(float(up - down) / (2 * step), rel=1e-5)
    assert not list(LorentzSimilarity().parameters())


def test_curvature_of_a_manifold_is_read_live():
    e = torch.randn(5, 3)
    ball = geoopt.PoincareBall(0.3, learnable=True)
    similarity = LorentzSimilarity(manifold=ball, scale=None)
    torch.testing.assert_close(similarity(e), LorentzSimilarity(0.3, scale=None)(e))
    (gradient,) = torch.autograd.grad(similarity(e).sum(), ball.isp_c)
    assert gradient.abs() > 0
    with torch.no_grad():
        ball.isp_c += 1
    torch.testing.assert_close(similarity(e), LorentzSimilarity(ball.c.item(), scale=None)(e))


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"curvature": 0}, ValueError, "curvature must be positive and finite, got 0"),
        ({"clip_radius": float("inf")}, ValueError, "clip_radius must be positive and finite"),
        ({"embedding_space": "disk"}, ValueError, "must be 'tangent' or 'ball', got 'disk'"),
        ({"is_inverted": False}, ValueError, "is_inverted must be True for a similarity"),
        ({"manifold": torch.nn.Identity()}, TypeError, "geoopt.PoincareBall, got Identity"),
        ({"scale": "large"}, ValueError, "scale must be a number, 'auto' or None, got 'large'"),
    ],
)
def test_bad_options_are_refused(options, error, message):
    with pytest.raises(error, match=message):
        LorentzSimilarity(**options)


# with PML's margins, temperatures and bases
TAKING = [
    functools.partial(losses.ContrastiveLoss, pos_margin=1, neg_margin=0),
    losses.GeneralizedLiftedStructureLoss,
    functools.partial(losses.HistogramLoss, n_bins=50),
    losses.LiftedStructureLoss,
    losses.MarginLoss,
    losses.MultiSimilarityLoss,
    losses.NCALoss,
    losses.NPairsLoss,
    losses.NTXentLoss,
    functools.partial(losses.NormalizedSoftmaxLoss, 4, 8),
    functools.partial(losses.ProxyAnchorLoss, 4, 8),
    functools.partial(losses.ProxyNCALoss, 4, 8),
    losses.SupConLoss,
    losses.TripletMarginLoss,
]
# these insist on a CosineSimilarity when they are made
INSISTING = [
    functools.partial(losses.ArcFaceLoss, 4, 8),
    losses.CircleLoss,
    functools.partial(losses.CosFaceLoss, 4, 8),
    losses.PNPLoss,
    functools.partial(losses.SubCenterArcFaceLoss, num_classes=4, embedding_size=8),
    losses.TupletMarginLoss,
]


def name(make) -> str:
    return getattr(make, "func", make).__name__


# PML's HistogramLoss indexes by lists
@pytest.mark.filterwarnings("ignore:Using a non-tuple sequence:UserWarning")
@pytest.mark.parametrize("make", TAKING + INSISTING, ids=name)
def test_losses_separate_classes_with_it_at_their_defaults(make):
    loss = make()
    loss.distance = LorentzSimilarity()
    labels = torch.arange(4).repeat_interleave(4)
    e = (0.1 * torch.randn(16, 8)).requires_grad_()
    optimizer = torch.optim.Adam([e, *loss.parameters()], lr=0.05)

    def gap() -> float:
        with torch.no_grad():
            s = loss.distance(e)
        same = labels[:, None] == labels
        return float(s[same & ~torch.eye(16, dtype=torch.bool)].mean() - s[~same].mean())

    loss.distance.find_scale(e)
    before = gap()
    for _ in range(40):
        optimizer.zero_grad()
        loss(e, labels).backward()
        optimizer.step()
    assert gap() > before + 0.1


def test_soft_triple_loss_does_with_it_what_it_does_with_a_cosine():
    # its centres separate no free embeddings in so few steps, whatever the similarity
    loss, e = losses.SoftTripleLoss(4, 8), torch.randn(16, 8, requires_grad=True)
    found = []
    for distance in (CosineSimilarity(), LorentzSimilarity(scale=1e4)):
        loss.distance = distance
        value = loss(e, torch.arange(16) % 4)
        found.append((value, *torch.autograd.grad(value, (e, loss.fc))))
    for ours, cosine in zip(*found, strict=True):
        torch.testing.assert_close(ours, cosine, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("make", INSISTING, ids=name)
def test_losses_that_insist_on_a_cosine_refuse_it_when_they_are_made(make):
    with pytest.raises(AssertionError, match="CosineSimilarity"):
        make(distance=LorentzSimilarity())


MINERS = [
    miners.BatchEasyHardMiner(),
    miners.BatchHardMiner(),
    miners.HDCMiner(),
    miners.MultiSimilarityMiner(),
    miners.TripletMarginMiner(),
]


@pytest.mark.parametrize("miner", MINERS, ids=lambda miner: type(miner).__name__)
def test_miners_find_the_pairs_of_a_cosine_with_it(miner):
    e, labels = torch.randn(16, 8), torch.arange(4).repeat_interleave(4)
    miner.distance = CosineSimilarity()
    expected = miner(e, labels)
    miner.distance = LorentzSimilarity(scale=1000.0)
    for rows, others in zip(miner(e, labels), expected, strict=True):
        assert len(rows) > 0
        assert torch.equal(rows, others)
