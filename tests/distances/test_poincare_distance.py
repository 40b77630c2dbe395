import geoopt
import pytest
import torch
from pytorch_metric_learning import losses, miners

from pml_ahsml import PoincareDistance
from pml_ahsml.hyperbolic import maps
from tests import reference


def test_is_the_clipped_mobius_distance():
    e = 2 * torch.randn(8, 4, dtype=torch.float64)
    norm = e.norm(dim=1, keepdim=True)
    assert (norm > 2.3).any()
    assert (norm < 2.3).any()
    clipped = torch.where(norm > 2.3, 2.3 * e / norm, e)
    expected = reference.distance_matrix(clipped, clipped, 0.1)
    distance = PoincareDistance()
    torch.testing.assert_close(distance(e), expected)
    torch.testing.assert_close(
        distance.pairwise_distance(e[:3], e[5:]), expected[:3, 5:].diagonal()
    )
    assert not distance.is_inverted
    assert not distance.normalize_embeddings


def test_distances_end_at_max_distance():
    e = torch.tensor([[100.0, 0.0], [-100.0, 0.0]])
    for distance in (PoincareDistance(), PoincareDistance(1.0, 1.5), PoincareDistance(power=2)):
        assert float(distance(e).max()) == pytest.approx(distance.max_distance, rel=1e-5)
    assert PoincareDistance().max_distance == pytest.approx(9.2)


def test_gradients_are_finite_everywhere():
    rows = [[0.0, 0.0], [0.5, 0.0], [0.5, 0.0], [2.3, 0.0], [50.0, 1.0], [1e30, 0.0]]
    e = torch.tensor(rows, requires_grad=True)
    distance = PoincareDistance(learn_curvature=True)
    d = distance(e)
    assert d.isfinite().all()
    assert d[1, 2] == 0
    gradients = torch.autograd.grad(d.sum(), (e, distance.log_curvature))
    assert all(g.isfinite().all() for g in gradients)
    assert gradients[0][4].abs().max() > 0  # a clipped row still turns


def test_clipping_survives_half_precision():
    e = torch.tensor([[300.0, 0.0], [0.0, 300.0]], dtype=torch.float16)
    d = PoincareDistance()(e)
    assert d.dtype == torch.float16
    expected = PoincareDistance()(e.float())
    torch.testing.assert_close(d, expected.half(), rtol=0, atol=0)


def test_autocast_does_not_reach_inside():
    e = torch.randn(6, 8)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        d = PoincareDistance()(e)
    torch.testing.assert_close(d, PoincareDistance()(e), rtol=0, atol=0)


def test_ball_points_give_the_distance_of_their_tangent_vectors():
    u = (
        torch.nn.functional.normalize(torch.randn(6, 3).double())
        * torch.linspace(0, 2.2, 6)[:, None]
    )
    points = maps.expmap0(u, 0.5)
    ball = PoincareDistance(0.5, embedding_space="ball")
    torch.testing.assert_close(ball(points), PoincareDistance(0.5)(u))
    expected = ball.pairwise_distance(points[:3], points[3:])
    torch.testing.assert_close(expected, PoincareDistance(0.5)(u)[:3, 3:].diagonal())
    beyond = torch.tensor([[10.0, 0.0, 0.0]]).double()
    assert ball(points, beyond).isfinite().all()


def test_learnt_curvature_is_a_parameter_with_the_right_gradient():
    e = torch.randn(5, 3, dtype=torch.float64)
    distance = PoincareDistance(0.3, learn_curvature=True).double()
    (log_curvature,) = distance.parameters()
    (gradient,) = torch.autograd.grad(distance(e).sum(), log_curvature)
    step = 1e-6
    up, down = PoincareDistance(0.3 * (1 + step)), PoincareDistance(0.3 * (1 - step))
    slope = (up(e).sum() - down(e).sum()) / (2 * step)
    assert float(gradient) == pytest.approx(float(slope), rel=1e-6)
    assert not list(PoincareDistance().parameters())


def test_curvature_of_a_manifold_is_read_live():
    e = torch.randn(5, 3)
    ball = geoopt.PoincareBall(0.3, learnable=True)
    distance = PoincareDistance(manifold=ball)
    torch.testing.assert_close(distance(e), PoincareDistance(0.3)(e))
    (gradient,) = torch.autograd.grad(distance(e).sum(), ball.isp_c)
    assert gradient.abs() > 0
    with torch.no_grad():
        ball.isp_c += 1
    torch.testing.assert_close(distance(e), PoincareDistance(ball.c.item())(e))


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"curvature": 0}, ValueError, "curvature must be positive and finite, got 0"),
        ({"curvature": "1"}, TypeError, "curvature must be a number, got str"),
        (
            {"clip_radius": float("inf")},
            ValueError,
            "clip_radius must be positive and finite, got inf",
        ),
        ({"embedding_space": "disk"}, ValueError, "must be 'tangent' or 'ball', got 'disk'"),
        ({"is_inverted": True}, ValueError, "is_inverted must be False"),
        ({"manifold": torch.nn.Identity()}, TypeError, "geoopt.PoincareBall, got Identity"),
        ({"manifold": geoopt.PoincareBall(), "curvature": 1}, ValueError, "must be left out"),
        ({"manifold": geoopt.PoincareBall(), "learn_curvature": True}, ValueError, "left out"),
        ({"curvture": 1}, TypeError, "curvture"),
    ],
)
def test_bad_options_are_refused(options, error, message):
    with pytest.raises(error, match=message):
        PoincareDistance(**options)


ACCEPTING = [
    losses.ContrastiveLoss(neg_margin=6),
    losses.GeneralizedLiftedStructureLoss(),
    losses.LiftedStructureLoss(neg_margin=6),
    losses.MarginLoss(beta=6),
    losses.MultiSimilarityLoss(base=6, beta=2),
    losses.NCALoss(),
    losses.NPairsLoss(),
    losses.NTXentLoss(temperature=1),
    losses.NormalizedSoftmaxLoss(4, 8, temperature=1),
    losses.ProxyAnchorLoss(4, 8, margin=1, alpha=4),
    losses.ProxyNCALoss(4, 8),
    losses.RankedListLoss(margin=2, Tn=1, alpha=6),
    losses.SupConLoss(temperature=1),
    losses.TripletMarginLoss(margin=6),
]


@pytest.mark.parametrize("loss", ACCEPTING, ids=lambda loss: type(loss).__name__)
def test_losses_that_accept_a_distance_separate_classes_with_it(loss):
    loss.distance = PoincareDistance()
    labels = torch.arange(4).repeat_interleave(4)
    e = torch.randn(16, 8, requires_grad=True)
    optimizer = torch.optim.Adam([e, *loss.parameters()], lr=0.05)

    def gap() -> float:
        d = PoincareDistance()(e.detach())
        same = labels[:, None] == labels
        return float(d[~same].mean() - d[same & ~torch.eye(16, dtype=torch.bool)].mean())

    before = gap()
    for _ in range(30):
        optimizer.zero_grad()
        loss(e, labels).backward()
        optimizer.step()
    assert gap() > before + 0.5


def test_intra_pair_variance_runs_with_it():
    # evens out the distances of positives and of negatives, which need not separate the classes
    loss = losses.IntraPairVarianceLoss(pos_eps=0.1, neg_eps=0.1, distance=PoincareDistance())
    e = torch.randn(16, 8, requires_grad=True)
    value = loss(e, torch.arange(4).repeat_interleave(4))
    (gradient,) = torch.autograd.grad(value, e)
    assert value > 0
    assert gradient.isfinite().all()
    assert gradient.abs().sum() > 0


ACCEPTING_MINERS = [
    miners.BatchEasyHardMiner(),
    miners.BatchHardMiner(),
    miners.HDCMiner(),
    miners.MultiSimilarityMiner(),
    miners.PairMarginMiner(pos_margin=3, neg_margin=4),
    miners.TripletMarginMiner(margin=1),
    miners.UniformHistogramMiner(num_bins=10, pos_per_bin=2, neg_per_bin=2),
]


@pytest.mark.parametrize("miner", ACCEPTING_MINERS, ids=lambda miner: type(miner).__name__)
def test_miners_that_accept_a_distance_find_pairs_with_it(miner):
    miner.distance = PoincareDistance()
    labels = torch.arange(4).repeat_interleave(4)
    indices_tuple = miner(torch.randn(16, 8), labels)
    assert all(len(rows) > 0 for rows in indices_tuple)
