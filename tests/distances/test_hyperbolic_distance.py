import copy
import warnings

import pytest
import torch
from pytorch_metric_learning.losses import MultiSimilarityLoss, SupConLoss

from pml_ahsml import LorentzSimilarity, PoincareDistance

KINDS = pytest.mark.parametrize("kind", [LorentzSimilarity, PoincareDistance])


@KINDS
@pytest.mark.parametrize("scale", [0.01, 1.0, 30.0])
def test_a_scale_is_a_factor_of_the_embeddings(kind, scale):
    e = torch.randn(9, 4, dtype=torch.float64) / scale
    scaled, plain = kind(scale=scale), kind(scale=None)
    assert scaled.scale == scale
    torch.testing.assert_close(scaled(e, e[:5]), plain(scale * e, scale * e[:5]))
    torch.testing.assert_close(
        scaled.pairwise_distance(e[:4], e[4:8]), plain(scale * e)[:4, 4:8].diagonal()
    )
    torch.testing.assert_close(scaled.to_tangent(e), plain.to_tangent(scale * e))
    inside = scaled.to_tangent(e).norm(dim=1) < 2.29
    assert inside.any()
    there_and_back = scaled.from_tangent(scaled.to_tangent(e))
    torch.testing.assert_close(there_and_back[inside], e[inside])


@KINDS
def test_auto_takes_the_median_row_of_the_first_batch_to_a_norm_of_its_dimension(kind):
    distance = kind(0.5, 1.5, scale="auto")
    assert distance.scale == 1
    e = torch.tensor([[0.1, 0.0], [0.0, 0.25], [-70.0, 0.0]], requires_grad=True)
    values = distance(e)
    assert distance.scale == pytest.approx(3.0)
    torch.testing.assert_close(values, kind(0.5, 1.5, scale=3.0)(e))
    distance(100 * e)
    assert distance.scale == pytest.approx(3.0)


def test_defaults():
    assert PoincareDistance().learnt_scale is None
    assert LorentzSimilarity().learnt_scale is not None
    assert LorentzSimilarity(scale=None).learnt_scale is None


def test_nothing_is_learnt_in_eval_and_without_gradients():
    e, distance = torch.randn(4, 3), LorentzSimilarity()
    with torch.no_grad():
        distance(e)
        distance.pairwise_distance(e, e)
    distance.eval()
    distance(e)
    assert not distance.learnt_scale.is_found
    distance.find_scale(e)  # unless it is asked for
    assert distance.learnt_scale.is_found


def test_pairs_alone_find_the_scale():
    distance = LorentzSimilarity()
    distance.pairwise_distance(torch.ones(2, 4), torch.zeros(2, 4))
    assert distance.scale == pytest.approx(1.15)


@pytest.mark.parametrize(
    "batch", [torch.zeros(3, 2), torch.zeros(0, 2), torch.full((3, 2), torch.inf)]
)
def test_a_batch_without_a_norm_leaves_it_to_the_next(batch):
    distance = LorentzSimilarity()
    distance.find_scale(batch)
    assert not distance.learnt_scale.is_found
    assert distance.scale == 1
    distance.find_scale(torch.ones(2, 4))
    assert distance.scale == pytest.approx(1.15)


def test_normalised_embeddings_go_to_the_rim():
    distance = LorentzSimilarity(normalize_embeddings=True)
    e = torch.randn(5, 16)
    cosine = torch.nn.functional.cosine_similarity(e[:, None], e, dim=2)
    torch.testing.assert_close(distance(e), cosine, rtol=0, atol=1e-6)
    assert distance.scale == pytest.approx(9.2)


def test_the_scale_is_saved_loaded_copied_and_no_parameter():
    loss = MultiSimilarityLoss(distance=LorentzSimilarity())
    labels = torch.tensor([0, 0, 1, 1])
    loss(0.25 * torch.eye(4).requires_grad_(), labels)
    assert loss.distance.scale == pytest.approx(9.2)
    assert not list(loss.parameters())
    resumed = MultiSimilarityLoss(distance=LorentzSimilarity())
    resumed.load_state_dict(loss.state_dict())
    resumed(torch.eye(4).requires_grad_(), labels)
    assert resumed.distance.scale == loss.distance.scale
    assert copy.deepcopy(loss).half().distance.scale == loss.distance.scale
    assert not PoincareDistance().state_dict()
    state = loss.state_dict()
    state["distance.learnt_scale.factors"] = torch.tensor([-1.0])
    with pytest.raises(ValueError, match="learnt_scale.factors"):
        resumed.load_state_dict(state)
    assert resumed.distance.scale == loss.distance.scale


def test_a_compiled_loss_finds_the_scale():
    distance, e = LorentzSimilarity(), torch.randn(6, 4, requires_grad=True)
    with warnings.catch_warnings():
        # torch warns about itself while it compiles
        warnings.simplefilter("ignore")
        compiled = torch.compile(lambda e: distance(e).square().sum(), backend="aot_eager")
        value = compiled(e)
    assert distance.learnt_scale.is_found
    torch.testing.assert_close(value, distance(e).square().sum())
    assert distance.state_dict()["learnt_scale.changes"] == 1


def test_transforms_need_a_known_scale():
    distance, e = LorentzSimilarity(), torch.randn(3, 5, 4)
    with pytest.raises(ValueError, match="call find_scale before"):
        torch.func.vmap(distance)(e)
    distance.find_scale(e[0])
    expected = torch.stack([distance(own) for own in e])
    torch.testing.assert_close(torch.func.vmap(distance)(e), expected)


def test_points_of_the_ball_are_not_scaled():
    points = torch.tensor([[0.1, 0.2], [0.0, 0.3]])
    auto = LorentzSimilarity(embedding_space="ball", scale="auto")
    auto(points.requires_grad_())
    assert auto.scale == 1
    with pytest.raises(ValueError, match="scale must be 'auto' or None for points of the ball"):
        LorentzSimilarity(embedding_space="ball", scale=2.0)


@pytest.mark.parametrize(
    ("scale", "error", "message"),
    [
        (0, ValueError, "scale must be positive and finite, got 0"),
        (float("nan"), ValueError, "scale must be positive and finite, got nan"),
        ("Auto", ValueError, "scale must be a number, 'auto' or None, got 'Auto'"),
        (True, TypeError, "scale must be a number, got bool"),
    ],
)
def test_bad_scales_are_refused(scale, error, message):
    with pytest.raises(error, match=message):
        PoincareDistance(scale=scale)


def test_the_scale_makes_small_outputs_train_like_a_cosine():
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(64, 16, generator=generator)
    labels = torch.arange(64) % 8
    shares = []
    for size in (1.0, 0.01):
        loss = SupConLoss(distance=LorentzSimilarity())
        e = (size * x).requires_grad_()
        (gradient,) = torch.autograd.grad(loss(e, labels), e)
        shares.append(gradient * size)
    torch.testing.assert_close(*shares, rtol=1e-3, atol=1e-7)
