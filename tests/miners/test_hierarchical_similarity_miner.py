import pytest
import torch
from pytorch_metric_learning import distances, losses, miners

from pml_ahsml import ClassStatistics, HierarchicalSimilarityMiner, PoincareDistance
from tests import reference

LABELS = torch.tensor([3, 3, 3, 5, 5, 7, 9, 9, 9, 9])  # class 7 has one sample
ALL_POSITIVE = int((LABELS[:, None] == LABELS).sum()) - len(LABELS)
ALL_NEGATIVE = len(LABELS) ** 2 - len(LABELS) - ALL_POSITIVE


def embeddings_of(labels: torch.Tensor) -> torch.Tensor:
    """Overlapping classes, so that some pairs violate the margins and some do not."""
    centres = torch.randn(10, 6, generator=torch.Generator().manual_seed(3))
    centres[9] = centres[3] + 0.1
    return centres[labels] + 0.4 * torch.randn(len(labels), 6)


def similarity(distance, e: torch.Tensor) -> torch.Tensor:
    values = distance(e).double()
    longest = distance.max_distance if isinstance(distance, PoincareDistance) else 2.0
    return values if distance.is_inverted else 1 - 2 * values / longest


def pairs(rows: torch.Tensor, others: torch.Tensor) -> set[tuple[int, int]]:
    return set(zip(rows.tolist(), others.tolist(), strict=True))


@pytest.mark.parametrize(
    ("distance", "span"),
    [
        (PoincareDistance(), 0.2),
        (PoincareDistance(), 0.0),
        (PoincareDistance(curvature=1.0), 0.4),
        (distances.CosineSimilarity(), 0.2),
        (distances.LpDistance(), 0.4),
    ],
)
def test_selects_the_pairs_near_the_hardest_of_the_anchor(distance, span):
    e = embeddings_of(LABELS)
    expected = reference.pairs_near_the_hardest(similarity(distance, e), LABELS, span)
    a1, p, a2, n = HierarchicalSimilarityMiner(distance, span=span)(e, LABELS)
    assert 0 < len(expected[0]) < ALL_POSITIVE
    assert 0 < len(expected[1]) < ALL_NEGATIVE
    assert pairs(a1, p) == expected[0]
    assert pairs(a2, n) == expected[1]


def test_equal_margins_are_those_of_a_multi_similarity_miner():
    distance = distances.CosineSimilarity()
    e = embeddings_of(LABELS)
    s = similarity(distance, e)[~torch.eye(len(LABELS), dtype=torch.bool)]
    # with two classes there is one mean between classes, and so no order among them
    labels = (LABELS > 4).long()
    epsilon = float(0.1 * (s.max() - s.min()) / 2)
    expected = miners.MultiSimilarityMiner(epsilon, distance=distance)(e, labels)
    found = HierarchicalSimilarityMiner(distance)(e, labels)
    assert 0 < len(expected[3]) < 2 * 3 * 7
    assert pairs(*found[2:]) == pairs(*expected[2:])


@pytest.mark.parametrize("size", [8, 128, 512])
@pytest.mark.parametrize("norm", [0.001, 0.3, 1.0, 5.0, 100.0])
def test_mines_from_the_first_batch_at_any_norm_and_dimension(size, norm):
    labels = torch.arange(32).repeat_interleave(4)
    e = torch.randn(128, size, generator=torch.Generator().manual_seed(0))
    a1, _, a2, _ = HierarchicalSimilarityMiner()(norm * e / size**0.5, labels)
    # classes are mixed up: every anchor has something to learn from both kinds
    assert len(a1.unique()) == len(a2.unique()) == 128
    assert len(a2) < 0.95 * 128 * 124


@pytest.mark.parametrize("scale", [1e-4, 1e-2])
def test_the_scale_of_short_embeddings_does_not_matter(scale):
    e = embeddings_of(LABELS).double()
    expected = HierarchicalSimilarityMiner()(1e-3 * e, LABELS)
    found = HierarchicalSimilarityMiner()(scale * e, LABELS)
    assert len(expected[1]) > 0
    assert [pairs(*found[:2]), pairs(*found[2:])] == [pairs(*expected[:2]), pairs(*expected[2:])]


def test_fixed_margins_depend_on_the_norm():
    labels = torch.arange(32).repeat_interleave(4)
    e = torch.nn.functional.normalize(
        torch.randn(128, 512, generator=torch.Generator().manual_seed(0))
    )
    miner = HierarchicalSimilarityMiner(gamma=0.5)
    counts = {norm: [len(rows) for rows in miner(norm * e, labels)[1::2]] for norm in (0.34, 1.2)}
    assert counts == {0.34: [0, 128 * 124], 1.2: [128 * 3, 0]}


def test_classes_apart_leave_nothing_to_mine():
    e = 2 * torch.eye(4).repeat_interleave(3, 0)
    mined = HierarchicalSimilarityMiner()(e, torch.arange(4).repeat_interleave(3))
    assert [len(rows) for rows in mined] == [0] * 4


def test_more_negatives_of_classes_that_are_alike():
    # all negatives of the anchor of class 0 at one distance, class 1 more like class 0 than 2 is
    e = torch.tensor([[1.0, 0.0], [0.7, 0.71], [0.8, -0.6], [0.6, -0.8], [0.8, 0.6], [-0.6, 0.8]])
    labels = torch.tensor([0, 0, 1, 1, 2, 2])
    distance = distances.CosineSimilarity()
    s = similarity(distance, e)
    expected = reference.pairs_near_the_hardest(s, labels, 0.4)[1]
    equal = reference.pairs_near_the_hardest(s, labels, 0.0)[1]
    a2, n = HierarchicalSimilarityMiner(distance, span=0.4)(e, labels)[2:]
    assert pairs(a2, n) == expected
    assert expected != equal


@pytest.mark.parametrize(
    ("distance", "gamma", "span"),
    [
        (PoincareDistance(), 0.5, 0.2),
        (PoincareDistance(), 0.4, 0.4),
        (PoincareDistance(), 0.4, 0.0),
        (distances.CosineSimilarity(), 0.8, 0.2),
        (distances.CosineSimilarity(), 0.8, 0.0),
        (distances.LpDistance(), 0.7, 0.2),
    ],
)
def test_selects_the_pairs_that_violate_the_margins_of_the_batch(distance, gamma, span):
    e = embeddings_of(LABELS)
    s = similarity(distance, e)
    within, between = reference.class_similarity(s, LABELS, 10)
    positive = gamma + reference.rescale(within, span)
    negative = gamma - reference.rescale(between, span)
    expected = reference.violating_pairs(s, LABELS, positive, negative)
    a1, p, a2, n = HierarchicalSimilarityMiner(distance, gamma=gamma, span=span)(e, LABELS)
    assert 0 < len(expected[0]) < ALL_POSITIVE
    assert 0 < len(expected[1]) < ALL_NEGATIVE
    assert pairs(a1, p) == expected[0]
    assert pairs(a2, n) == expected[1]


def test_takes_the_margins_from_shared_statistics():
    distance = PoincareDistance()
    statistics = ClassStatistics(10, 6, distance)
    for _ in range(5):
        labels = torch.randint(3, 9, (40,))  # classes 9 and 2 stay unseen
        statistics.update(embeddings_of(labels), labels)
    e = embeddings_of(LABELS)
    classes = LABELS.unique()
    m = statistics.means[classes].double()
    minkowski = m[:, 1:] @ m[:, 1:].T - m[:, :1] @ m[:, :1].T
    minkowski[~statistics.seen[classes]] = torch.nan
    minkowski[:, ~statistics.seen[classes]] = torch.nan
    positive, negative = torch.zeros(10).double(), torch.zeros(10, 10).double()
    positive[classes] = 0.5 + reference.rescale(minkowski.diagonal(), 0.2)
    between = minkowski.clone().fill_diagonal_(torch.nan)
    negative[classes[:, None], classes] = 0.5 - reference.rescale(between, 0.2)
    expected = reference.violating_pairs(similarity(distance, e), LABELS, positive, negative)
    miner = HierarchicalSimilarityMiner(distance, gamma=0.5, class_statistics=statistics)
    a1, p, a2, n = miner(e, LABELS)
    batch_only = HierarchicalSimilarityMiner(distance, gamma=0.5)(e, LABELS)
    assert expected[0]
    assert expected[1]
    assert pairs(a1, p) == expected[0]
    assert pairs(a2, n) == expected[1]
    assert pairs(*batch_only[2:]) != expected[1]


def test_takes_the_margins_from_references():
    distance = PoincareDistance()
    e, refs = embeddings_of(LABELS), embeddings_of(LABELS)
    query, query_labels = e[:5], LABELS[:5]
    within, between = reference.class_similarity(similarity(distance, refs), LABELS, 10)
    positive, negative = 0.5 + reference.rescale(within, 0.2), 0.5 - reference.rescale(between, 0.2)
    s = 1 - 2 * distance(query, refs).double() / distance.max_distance
    miner = HierarchicalSimilarityMiner(distance, gamma=0.5)
    a1, p, a2, n = miner(query, query_labels, refs, LABELS)
    same = query_labels[:, None] == LABELS
    too_far = same & (s < positive[query_labels][:, None])
    too_close = ~same & (s > negative[query_labels][:, LABELS])
    assert too_far.any()
    assert too_close.any()
    assert pairs(a1, p) == pairs(*too_far.nonzero().unbind(1))
    assert pairs(a2, n) == pairs(*too_close.nonzero().unbind(1))


def test_hardest_pairs_are_those_with_references():
    distance = PoincareDistance()
    e, refs = embeddings_of(LABELS), embeddings_of(LABELS)
    within, between = reference.class_similarity(similarity(distance, refs), LABELS, 10)
    within, between = reference.rescale(within, 0.2), reference.rescale(between, 0.2)
    s = 1 - 2 * distance(e, refs).double() / distance.max_distance
    same = LABELS[:, None] == LABELS
    w = (s.max() - s.min()) / 2
    hardest_positive = torch.where(same, s, torch.inf).amin(1, keepdim=True)
    hardest_negative = torch.where(same, -torch.inf, s).amax(1, keepdim=True)
    too_far = same & (s < hardest_negative + w * within[LABELS][:, None])
    too_close = ~same & (s > hardest_positive - w * between[LABELS][:, LABELS])
    # the same labels, of other samples: no row is its own reference
    a1, p, a2, n = HierarchicalSimilarityMiner(distance)(e, LABELS, refs, LABELS)
    assert too_far.diagonal().any()
    assert 0 < too_close.sum() < (~same).sum()
    assert pairs(a1, p) == pairs(*too_far.nonzero().unbind(1))
    assert pairs(a2, n) == pairs(*too_close.nonzero().unbind(1))


def test_one_class_has_nothing_to_be_compared_with():
    e, labels = embeddings_of(LABELS), torch.zeros_like(LABELS)
    assert [len(rows) for rows in HierarchicalSimilarityMiner()(e, labels)] == [0] * 4
    a1, _, a2, _ = HierarchicalSimilarityMiner(gamma=0.5)(e, labels)
    assert len(a1) > 0
    assert len(a2) == 0


def test_one_row_of_each_class_has_no_positive_to_be_compared_with():
    e, labels = embeddings_of(LABELS), torch.arange(len(LABELS))
    assert [len(rows) for rows in HierarchicalSimilarityMiner()(e, labels)] == [0] * 4
    assert [len(rows) for rows in HierarchicalSimilarityMiner()(e[:1], labels[:1])] == [0] * 4


def test_no_row_is_a_positive_of_itself():
    e = embeddings_of(LABELS)
    for labels in (LABELS, LABELS.to(torch.int16)):
        # the margins are so high that all positives are selected
        a1, p, _, _ = HierarchicalSimilarityMiner(gamma=1.0, span=2.0)(e, labels)
        assert len(a1) >= ALL_POSITIVE - 2
        assert (a1 != p).all()


def test_half_precision_selects_nearly_the_same():
    e = embeddings_of(LABELS)
    full = HierarchicalSimilarityMiner()(e, LABELS)
    half = HierarchicalSimilarityMiner()(e.half(), LABELS)
    assert len(pairs(*full[:2]) ^ pairs(*half[:2])) <= 1
    assert len(pairs(*full[2:]) ^ pairs(*half[2:])) <= 1


@pytest.mark.parametrize("references", [False, True])
@pytest.mark.parametrize("shared", [False, True])
def test_without_rows_there_are_no_pairs(references, shared):
    statistics = ClassStatistics(10, 6, PoincareDistance()) if shared else None
    miner = HierarchicalSimilarityMiner(class_statistics=statistics)
    refs = (embeddings_of(LABELS), LABELS) if references else ()
    mined = miner(torch.zeros(0, 6), torch.zeros(0, dtype=torch.long), *refs)
    assert [(len(rows), rows.dtype) for rows in mined] == [(0, torch.long)] * 4
    mined = miner(embeddings_of(LABELS), LABELS, torch.zeros(0, 6), LABELS[:0])
    assert [(len(rows), rows.dtype) for rows in mined] == [(0, torch.long)] * 4


@pytest.mark.parametrize("name", ["int8", "int16", "int32", "uint8", "uint16", "uint32", "uint64"])
def test_labels_of_every_integer_type_are_labels(name):
    if not hasattr(torch, name):
        pytest.skip(f"this torch has no {name}")
    e, dtype = embeddings_of(LABELS), getattr(torch, name)
    for statistics in (None, ClassStatistics(10, 6, PoincareDistance())):
        miner = HierarchicalSimilarityMiner(class_statistics=statistics)
        expected = miner(e, LABELS, e + 0.1, LABELS)
        found = miner(e, LABELS.to(dtype), e + 0.1, LABELS.to(dtype))
        assert all(torch.equal(a, b) for a, b in zip(found, expected, strict=True))


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        (lambda e, y: (e, y + 1), ValueError, r"labels must lie in \[0, 10\), got values from 4"),
        (lambda e, y: (e, y - 4), ValueError, r"labels must lie in \[0, 10\), got values from -1"),
        (lambda e, y: (e, y, e.clone(), y - 4), ValueError, "ref_labels must lie in"),
        (lambda e, y: (e.to("meta"), y), ValueError, "embeddings must be a tensor with values"),
        (lambda e, y: (e, y.to_sparse()), TypeError, "labels must be a dense tensor"),
        (lambda e, y: (e, y.numpy()), TypeError, "labels must be a tensor, got ndarray"),
        (lambda e, y: (e, y, e.numpy(), y), TypeError, "ref_emb must be a tensor, got ndarray"),
    ],
)
def test_bad_batches_are_refused(change, error, message):
    statistics = ClassStatistics(10, 6, PoincareDistance())
    miner = HierarchicalSimilarityMiner(class_statistics=statistics)
    with pytest.raises(error, match=message):
        miner(*change(embeddings_of(LABELS), LABELS))


def test_mines_for_a_loss_and_counts_its_pairs():
    e = embeddings_of(LABELS).requires_grad_()
    miner = HierarchicalSimilarityMiner(collect_stats=True)
    mined = miner(e, LABELS)
    assert miner.num_pos_pairs == len(mined[0]) > 0
    loss = losses.MultiSimilarityLoss(base=4, distance=PoincareDistance())
    loss(e, LABELS, mined).backward()
    assert e.grad.abs().sum() > 0


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"gamma": 2.0}, ValueError, r"gamma must be in \[-1.0, 1.0\], got 2.0"),
        ({"span": -0.1}, ValueError, r"span must be in \[0.0, 2.0\], got -0.1"),
        ({"gamma": "high"}, TypeError, "gamma must be a number, got str"),
        ({"distance": distances.SNRDistance()}, ValueError, "known maximum"),
        ({"class_statistics": object()}, TypeError, "must be a ClassStatistics, got object"),
        ({"spam": 1}, TypeError, "spam"),
    ],
)
def test_bad_options_are_refused(options, error, message):
    with pytest.raises(error, match=message):
        HierarchicalSimilarityMiner(**options)
