import pytest
import torch
from pytorch_metric_learning import distances, losses

from pml_ahsml import ClassStatistics, HierarchicalSimilarityMiner, PoincareDistance
from tests import reference

LABELS = torch.tensor([3, 3, 3, 5, 5, 7, 9, 9, 9, 9])  # class 7 has one sample


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
    all_positive = int((LABELS[:, None] == LABELS).sum()) - len(LABELS)
    all_negative = len(LABELS) ** 2 - len(LABELS) - all_positive
    assert 0 < len(expected[0]) < all_positive
    assert 0 < len(expected[1]) < all_negative
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
    a1, p, a2, n = HierarchicalSimilarityMiner(distance, class_statistics=statistics)(e, LABELS)
    batch_only = HierarchicalSimilarityMiner(distance)(e, LABELS)
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
    a1, p, a2, n = HierarchicalSimilarityMiner(distance)(query, query_labels, refs, LABELS)
    same = query_labels[:, None] == LABELS
    too_far = same & (s < positive[query_labels][:, None])
    too_close = ~same & (s > negative[query_labels][:, LABELS])
    assert too_far.any()
    assert too_close.any()
    assert pairs(a1, p) == pairs(*too_far.nonzero().unbind(1))
    assert pairs(a2, n) == pairs(*too_close.nonzero().unbind(1))


def test_one_class_has_positives_only():
    e = embeddings_of(LABELS)
    a1, _, a2, _ = HierarchicalSimilarityMiner()(e, torch.zeros_like(LABELS))
    assert len(a1) > 0
    assert len(a2) == 0


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
