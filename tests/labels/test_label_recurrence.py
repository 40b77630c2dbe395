"""Labels that are positions in a batch are noticed; wrong labels are not taken for them."""

import math
import warnings

import pytest
import torch
from pytorch_metric_learning import losses

from pml_ahsml import AdaptiveNoiseAwareLoss, inject_label_noise
from pml_ahsml.classes.class_means import Groups
from pml_ahsml.labels.label_recurrence import nearer_share, within_share

D, N, CLASSES = 16, 32, 8


def train(kind: str, rate: float = 0.0) -> AdaptiveNoiseAwareLoss:
    """A wrapper after 90 batches of 32 of 400 samples, seen as two views each."""
    generator = torch.Generator().manual_seed(0)
    truth = torch.randint(CLASSES, (400,), generator=generator)
    samples = torch.randn(CLASSES, D, generator=generator)[truth]
    samples = samples + torch.randn(400, D, generator=generator)
    given, _ = inject_label_noise(truth, rate, num_classes=CLASSES, generator=generator)
    if kind == "random":
        given = torch.randint(CLASSES, (400,), generator=generator)
    wrapper = AdaptiveNoiseAwareLoss(losses.SupConLoss(), N, D)
    for _ in range(90):
        rows = torch.randint(400, (N,), generator=generator)
        views = [samples[rows] + 0.3 * torch.randn(N, D, generator=generator) for _ in range(2)]
        labels = torch.arange(N) if kind == "positions" else given[rows]
        wrapper(torch.cat(views), labels.repeat(2))
    return wrapper


def test_positions_in_a_batch_are_warned_of_once():
    with pytest.warns(UserWarning, match="positions in a batch.*SelfSupervisedLoss") as caught:
        wrapper = train("positions")
    assert len(caught) == 1
    assert wrapper.label_recurrence.seems_positional


@pytest.mark.parametrize(
    ("kind", "rate"), [("classes", 0.0), ("classes", 0.4), ("classes", 0.7), ("random", 0.0)]
)
def test_classes_are_not_taken_for_positions(kind, rate):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        wrapper = train(kind, rate)
    assert wrapper.label_recurrence.is_decided
    assert not wrapper.label_recurrence.seems_positional


def test_uninformative_batches_are_not_counted():
    wrapper = AdaptiveNoiseAwareLoss(losses.ContrastiveLoss(), 8, D, warmup=0)
    e = torch.randn(8, D)
    wrapper(e, torch.arange(8))  # no class has been seen
    wrapper(e, torch.arange(8))  # no label has two samples
    wrapper(e[:1], torch.tensor([0]))
    assert wrapper.label_recurrence.sums.tolist() == [0, 0, 0]
    wrapper(e, torch.arange(4).repeat(2))
    assert wrapper.label_recurrence.sums[0] == 1


def test_the_batches_examined_are_resumed():
    def make():
        return AdaptiveNoiseAwareLoss(losses.ContrastiveLoss(), 8, D, warmup=0)

    wrapper, resumed = make(), make()
    torch.manual_seed(0)
    for _ in range(5):
        wrapper(torch.randn(16, D), torch.arange(8).repeat(2))
    resumed.load_state_dict(wrapper.state_dict())
    assert resumed.label_recurrence.sums[0] == 4
    assert torch.equal(resumed.label_recurrence.sums, wrapper.label_recurrence.sums)


def test_within_share_is_the_ratio_of_pairwise_distances():
    torch.manual_seed(0)
    x, y = torch.randn(20, 3, dtype=torch.float64), torch.randint(4, (20,))
    # a variance is half the mean squared distance of two draws; weighted by the freedom of a group
    inside, freedom = 0.0, 0
    for k in range(4):
        rows = x[y == k]
        n = len(rows)
        pairs = sum(float((a - b).square().sum()) for a in rows for b in rows)
        inside += pairs / (2 * n)
        freedom += n - 1
    total = sum(float((a - b).square().sum()) for a in x for b in x) / (2 * 20 * 19)
    expected = inside / freedom / total
    assert math.isclose(within_share(x, Groups.by(y)), expected, rel_tol=1e-12)


def test_within_share_is_one_for_arbitrary_labels_and_nan_without_pairs():
    torch.manual_seed(0)
    x = torch.randn(4000, 3, dtype=torch.float64)
    assert abs(within_share(x, Groups.by(torch.randint(5, (4000,)))) - 1) < 0.01
    assert math.isnan(within_share(x, Groups.by(torch.arange(4000))))
    assert math.isnan(within_share(torch.ones(4, 2), Groups.by(torch.tensor([0, 0, 1, 1]))))


def test_nearer_share_counts_classes_and_not_columns():
    d = torch.tensor([[3.0, 1.0, 2.0, torch.inf], [0.0, 1.0, 2.0, torch.inf]])
    seen = torch.tensor([1.0, 1.0, 1.0, 0.0])
    assert nearer_share(d, seen, torch.tensor([0, 0])).tolist() == [1.0, 0.0]
    stands_for = torch.tensor([[1.0, 1.0, 7.0, 0.0]]).expand(2, 4)
    assert nearer_share(d, stands_for, torch.tensor([2, 1])).tolist() == [1 / 8, 1 / 8]
