import math

import pytest
import torch
from pytorch_metric_learning import distances, losses

from pml_ahsml import AdaptiveMargins, AdaptiveNoiseAwareLoss, ClassStatistics, PoincareDistance
from pml_ahsml.classes.class_means import Groups
from pml_ahsml.losses.batch import Batch
from tests import reference

K, D = 6, 8
LABELS = torch.tensor([0, 0, 0, 1, 1, 1, 2, 2, 4, 4, 4, 5])


def embeddings() -> torch.Tensor:
    centres = torch.randn(K, D, generator=torch.Generator().manual_seed(1))
    return centres[LABELS] + 0.7 * torch.randn(len(LABELS), D)


def batch_offsets(similarity, labels, span=0.2) -> torch.Tensor:
    """Ŝ_aa for positive and −Ŝ_ab for negative pairs, by loops."""
    within, between = reference.class_similarity(similarity, labels, K)
    positive, negative = reference.rescale(within, span), reference.rescale(between, span)
    return torch.stack(
        [torch.stack([positive[a] if a == b else -negative[a, b] for b in labels]) for a in labels]
    ).float()


class Shifted(torch.nn.Module):
    """A distance with offsets written into it."""

    def __init__(self, distance, offsets):
        super().__init__()
        self.inner, self.offsets = distance, offsets

    def forward(self, query_emb, ref_emb=None):
        values = self.inner(query_emb, ref_emb)
        if self.inner.is_inverted:
            return values - self.offsets
        longest = self.inner.max_distance if isinstance(self.inner, PoincareDistance) else 2.0
        return values + self.offsets * longest / 2

    def __getattr__(self, name):
        try:
            return super().__getattr__(name)
        except AttributeError:
            return getattr(self.inner, name)


def similarity_of(distance, e):
    values = distance(e)
    if distance.is_inverted:
        return values
    longest = distance.max_distance if isinstance(distance, PoincareDistance) else 2.0
    return 1 - 2 * values / longest


def test_multi_similarity_is_the_written_formula():
    e = embeddings().double()
    s = torch.nn.functional.cosine_similarity(e[:, None], e, dim=2)
    offsets = batch_offsets(s, LABELS).double()
    alpha, beta, gamma = 2, 50, 0.5
    total = 0.0
    for i in range(len(LABELS)):
        positive = negative = 0.0
        for j in range(len(LABELS)):
            # the margins M_p = γ + Ŝ_aa and M_n = γ − Ŝ_ab are γ plus the offset
            margin = gamma + float(offsets[i, j])
            if i != j and LABELS[i] == LABELS[j]:
                positive += math.exp(-alpha * (float(s[i, j]) - margin))
            if LABELS[i] != LABELS[j]:
                negative += math.exp(beta * (float(s[i, j]) - margin))
        total += math.log1p(positive) / alpha + math.log1p(negative) / beta
    wrapper = AdaptiveNoiseAwareLoss(
        losses.MultiSimilarityLoss(alpha, beta, gamma), K, D, margins=AdaptiveMargins()
    )
    assert float(wrapper(e, LABELS)) == pytest.approx(total / len(LABELS), rel=1e-6)


SUPPORTED = [
    losses.ContrastiveLoss(pos_margin=0.9, neg_margin=0.2),
    losses.GeneralizedLiftedStructureLoss(),
    losses.IntraPairVarianceLoss(),
    losses.LiftedStructureLoss(),
    losses.MarginLoss(),
    losses.MultiSimilarityLoss(),
    losses.NCALoss(),
    losses.NTXentLoss(),
    losses.RankedListLoss(margin=1, Tn=1),
    losses.SupConLoss(),
    losses.TripletMarginLoss(margin=0.5),
]


@pytest.mark.parametrize(
    "distance", [PoincareDistance(), distances.CosineSimilarity(), distances.LpDistance()]
)
@pytest.mark.parametrize("loss", SUPPORTED, ids=lambda loss: type(loss).__name__)
def test_shifts_the_pairs_of_the_loss(loss, distance):
    if isinstance(loss, losses.RankedListLoss) and distance.is_inverted:
        pytest.skip("PML's RankedListLoss is for distances")
    e = embeddings().requires_grad_()
    loss.distance = distance
    offsets = batch_offsets(similarity_of(distance, e.detach()).double(), LABELS)
    wrapper = AdaptiveNoiseAwareLoss(loss, K, D, margins=AdaptiveMargins())
    value = wrapper(e, LABELS)
    (gradient,) = torch.autograd.grad(value, e)
    unshifted = loss(e, LABELS)
    loss.distance = Shifted(distance, offsets)
    expected = loss(e, LABELS)
    (expected_gradient,) = torch.autograd.grad(expected, e)
    loss.distance = distance
    torch.testing.assert_close(value, expected, rtol=1e-4, atol=1e-6)
    torch.testing.assert_close(gradient, expected_gradient, rtol=1e-3, atol=1e-5)
    assert not torch.isclose(value, unshifted, rtol=1e-4)
    assert torch.equal(loss(e, LABELS), unshifted)  # as before outside the wrapper


def test_by_default_margins_are_used_where_they_help():
    e = embeddings()
    for loss in (losses.SupConLoss(), losses.TripletMarginLoss(distance=PoincareDistance())):
        value = AdaptiveNoiseAwareLoss(loss, K, D)(e, LABELS)
        chosen = AdaptiveNoiseAwareLoss(loss, K, D, margins=AdaptiveMargins())(e, LABELS)
        assert torch.equal(value, chosen)
        assert not torch.isclose(value, loss(e, LABELS), rtol=1e-4)
    unbounded = distances.LpDistance(normalize_embeddings=False)
    for loss in (
        losses.ProxyAnchorLoss(K, D),
        losses.MultiSimilarityLoss(),
        losses.ContrastiveLoss(distance=unbounded),
        losses.CrossBatchMemory(losses.ContrastiveLoss(), D),
    ):
        assert AdaptiveNoiseAwareLoss(loss, K, D).margins is None


def test_references_without_labels_have_no_margins_unless_they_are_asked_for():
    loss, e = losses.ContrastiveLoss(), embeddings()
    refs = embeddings()
    pairs = tuple(torch.tensor(rows) for rows in ([0, 1], [1, 2], [3, 4], [5, 6]))
    value = AdaptiveNoiseAwareLoss(loss, K, D)(e, LABELS, pairs, refs)
    assert torch.equal(value, loss(e, None, pairs, refs, None))
    with pytest.raises(ValueError, match="ref_labels must be given where margins are used"):
        AdaptiveNoiseAwareLoss(loss, K, D, margins=AdaptiveMargins())(e, LABELS, pairs, refs)


def test_references_may_be_the_batch_with_other_labels():
    loss, e = losses.ContrastiveLoss(), embeddings()
    wrapper = AdaptiveNoiseAwareLoss(loss, K, D, margins=AdaptiveMargins())
    others = LABELS.flip(0)
    twin = wrapper(e, LABELS, None, e.clone(), others)
    torch.testing.assert_close(wrapper(e, LABELS, None, e, others), twin)


def test_no_span_is_no_change():
    loss, e = losses.MultiSimilarityLoss(), embeddings()
    wrapper = AdaptiveNoiseAwareLoss(loss, K, D, margins=AdaptiveMargins(span=0.0))
    assert torch.equal(wrapper(e, LABELS), loss(e, LABELS))


def test_running_scope_takes_the_similarities_of_the_statistics():
    loss, e = losses.ContrastiveLoss(distance=PoincareDistance()), embeddings()
    wrapper = AdaptiveNoiseAwareLoss(loss, K, D, margins=AdaptiveMargins(scope="running"))
    for _ in range(3):
        wrapper(embeddings(), LABELS)
    m = wrapper.class_statistics.means.double()
    minkowski = m[:, 1:] @ m[:, 1:].T - m[:, :1] @ m[:, :1].T
    classes = LABELS.unique()
    within, between = torch.full((K,), torch.nan), torch.full((K, K), torch.nan)
    within[classes] = minkowski.diagonal()[classes].float()
    between[classes[:, None], classes] = minkowski[classes][:, classes].float()
    between.fill_diagonal_(torch.nan)
    positive, negative = reference.rescale(within, 0.2), reference.rescale(between, 0.2)
    same = LABELS[:, None] == LABELS
    offsets = torch.where(same, positive[LABELS][:, None], -negative[LABELS][:, LABELS]).float()
    value = wrapper(e, LABELS)
    loss.distance = Shifted(loss.distance, offsets)
    torch.testing.assert_close(value, loss(e, LABELS), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("scope", ["batch", "running"])
@pytest.mark.parametrize("part", [slice(None), slice(2, 10)])
def test_offsets_are_the_same_whether_or_not_the_groups_are_known(scope, part):
    distance, e = distances.CosineSimilarity(), embeddings()
    statistics = ClassStatistics(K, D)
    statistics.update(e, LABELS)
    shuffled = torch.randperm(len(LABELS))
    e, labels = e[shuffled], LABELS[shuffled]
    takes_part = torch.zeros(len(labels), dtype=torch.bool)
    takes_part[part] = True
    margins = AdaptiveMargins(scope=scope, view_margin=True)
    views = torch.arange(len(labels)) // 2
    known, unknown = (
        margins.offsets(
            distance, Batch(e, labels, view_ids=views, groups=groups), statistics, takes_part
        )
        for groups in (Groups.by(labels), None)
    )
    torch.testing.assert_close(known, unknown)


def test_references_are_shifted_by_their_own_labels():
    loss, e = losses.MultiSimilarityLoss(), embeddings()
    refs, query, query_labels = embeddings(), e[:4], LABELS[:4]
    wrapper = AdaptiveNoiseAwareLoss(loss, K, D, margins=AdaptiveMargins())
    value = wrapper(query, query_labels, None, refs, LABELS)
    offsets = batch_offsets(loss.distance(refs).double(), LABELS)
    rows = torch.tensor([int((y == LABELS).nonzero()[0]) for y in query_labels])
    loss.distance = Shifted(loss.distance, offsets[rows])
    torch.testing.assert_close(value, loss(query, query_labels, None, refs, LABELS))
    with pytest.raises(ValueError, match="ref_labels must be given where margins are used"):
        wrapper(query, query_labels, None, refs)


def test_the_distance_is_as_before_after_an_error():
    loss, e = losses.RankedListLoss(margin=1, Tn=1), embeddings()
    wrapper = AdaptiveNoiseAwareLoss(loss, K, D, margins=AdaptiveMargins())
    before = loss(e, LABELS)
    with pytest.raises(ValueError, match="indices_tuple is not supported"):
        wrapper(e, LABELS, (torch.tensor([0]), torch.tensor([1]), torch.tensor([5])))
    assert torch.equal(loss(e, LABELS), before)


@pytest.mark.parametrize(
    "loss",
    [
        losses.ProxyAnchorLoss(K, D),
        losses.ProxyNCALoss(K, D),
        losses.CircleLoss(),
        losses.FastAPLoss(),
        losses.CrossBatchMemory(losses.ContrastiveLoss(), D),
        losses.MultipleLosses([losses.ContrastiveLoss()]),
    ],
    ids=lambda loss: type(loss).__name__,
)
def test_losses_without_a_matrix_of_pairs_are_refused_by_name(loss):
    with pytest.raises(ValueError, match=f"got them for {type(loss).__name__}"):
        AdaptiveNoiseAwareLoss(loss, K, D, margins=AdaptiveMargins())


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: AdaptiveMargins(span=3.0), ValueError, r"span must be in \[0.0, 2.0\], got 3.0"),
        (lambda: AdaptiveMargins(scope="all"), ValueError, "'batch' or 'running', got 'all'"),
        (
            lambda: AdaptiveNoiseAwareLoss(losses.ContrastiveLoss(), K, D, margins=0.2),
            TypeError,
            "margins must be AdaptiveMargins, 'auto' or None, got float",
        ),
        (
            lambda: AdaptiveNoiseAwareLoss(
                losses.ContrastiveLoss(distance=distances.LpDistance(p=1)),
                K,
                D,
                margins=AdaptiveMargins(),
            ),
            ValueError,
            "known maximum .* got LpDistance",
        ),
    ],
)
def test_bad_options_are_refused(make, error, message):
    with pytest.raises(error, match=message):
        make()
