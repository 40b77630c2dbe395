import logging

import pytest
import torch
from pytorch_metric_learning import losses, miners, trainers
from pytorch_metric_learning.samplers import MPerClassSampler

from pml_ahsml import AdaptiveNoiseAwareLoss
from pml_ahsml.data import BatchGetter, IndexedDataset, SubsetBatchMiner, TwoViewDataset

K, D, BATCH = 4, 6, 16
LABELS = torch.arange(K).repeat_interleave(10)
# the index can be read off a sample
SAMPLES = [
    (torch.cat([torch.eye(K)[y], torch.tensor([float(i), 0.0])]), int(y))
    for i, y in enumerate(LABELS)
]


def jitter(sample: torch.Tensor) -> torch.Tensor:
    return sample + torch.cat([torch.zeros(K + 1), 1 + torch.rand(1)])


def test_leaves_a_plain_batch_alone():
    getter = BatchGetter()
    data, labels = torch.randn(3, 2), torch.tensor([[1, 2], [3, 4], [5, 6]])  # levels of labels
    assert getter((data, labels)) == (data, labels)
    assert getter.indices is None
    assert getter.num_views == 1


def test_stacks_views_and_keeps_indices():
    getter = BatchGetter()
    first, second = torch.randn(2, 3, 2)
    labels, indices = torch.tensor([[1, 2], [3, 4], [5, 6]]), torch.tensor([7, 8, 9])
    data, stacked = getter([[first, second], [labels, indices]])
    assert torch.equal(data, torch.cat([first, second]))
    assert torch.equal(stacked, torch.cat([labels, labels]))
    assert getter.indices.tolist() == [7, 8, 9, 7, 8, 9]
    assert getter.num_views == 2
    getter((first, labels))  # what is kept is that of the last batch
    assert getter.indices is None
    assert getter.num_views == 1


@pytest.mark.parametrize(
    ("batch", "message"),
    [
        ((torch.zeros(2), torch.zeros(2), torch.zeros(2)), r"batch must be .* got a tuple of 3"),
        (torch.zeros(2), "batch must be .* got a Tensor"),
        ((torch.zeros(2), [torch.zeros(2)] * 3), "labels must be .* got a list of 3"),
        (
            ([torch.zeros(2, 3), torch.zeros(2, 4)], torch.zeros(2)),
            r"views must have the same shape, got \(2, 3\) and \(2, 4\)",
        ),
    ],
)
def test_malformed_batches_are_refused(batch, message):
    with pytest.raises(ValueError, match=message):
        BatchGetter()(batch)


def test_a_loss_gets_sample_indices_before_each_call():
    loss = AdaptiveNoiseAwareLoss(losses.ContrastiveLoss(), K, D, num_samples=len(SAMPLES))
    getter = BatchGetter(loss)
    first, second = torch.randn(2, 3, D)
    batch = [[first, second], [torch.tensor([1, 2, 3]), torch.tensor([17, 8, 9])]]
    data, labels = getter(batch)
    loss(data, labels)
    table = loss.noise_model.second_opinion.discriminant.samples
    assert (table.labels >= 0).nonzero().squeeze(1).tolist() == [8, 9, 17]
    with pytest.raises(ValueError, match="sample_ids must be given"):
        loss(data, labels)


def test_a_loss_needs_a_data_set_with_indices():
    loss = AdaptiveNoiseAwareLoss(losses.ContrastiveLoss(), K, D, num_samples=len(SAMPLES))
    with pytest.raises(ValueError, match="as from an IndexedDataset, got labels without"):
        BatchGetter(loss)((torch.randn(3, D), torch.tensor([1, 2, 3])))


def test_a_loss_without_sample_ids_is_refused():
    with pytest.raises(TypeError, match="loss must be an AdaptiveNoiseAwareLoss or None, got Con"):
        BatchGetter(losses.ContrastiveLoss())


class Watched(torch.nn.Module):
    """Stands for a network and remembers what it has been given."""

    def __init__(self):
        super().__init__()
        self.layer = torch.nn.Linear(K + 2, D)
        self.seen = []

    def forward(self, data):
        if self.training:
            self.seen.append(data)
        return self.layer(data)


class EveryThirdRow(torch.nn.Module):
    def forward(self, embeddings, labels):
        return torch.arange(0, len(labels), 3)


def train(kind, dataset, num_workers, **options):
    """Two epochs of a stock trainer; per iteration: the network's input, indices and loss."""
    torch.manual_seed(0)
    num_views, num_samples = options.pop("num_views", 1), options.pop("num_samples", None)
    loss = AdaptiveNoiseAwareLoss(
        losses.MultiSimilarityLoss(),
        K,
        D,
        warmup=2,
        num_views=num_views,
        num_samples=num_samples,
    )
    getter = BatchGetter(loss if num_samples else None)
    trunk, seen, in_use = Watched(), [], loss
    if options.pop("among_others", False):
        in_use = losses.MultipleLosses([loss, losses.ContrastiveLoss()])
    models, loss_funcs = {"trunk": trunk}, {"metric_loss": in_use}
    if kind is trainers.TrainWithClassifier:
        models["classifier"] = torch.nn.Linear(D, K)
        loss_funcs["classifier_loss"] = torch.nn.CrossEntropyLoss()
    optimizers = {
        f"{name}_optimizer": torch.optim.SGD(model.parameters(), lr=0.01)
        for name, model in models.items()
    }
    optimizers["embedder_optimizer"] = torch.optim.SGD([torch.zeros(1)], lr=0.01)
    mining_funcs = {"tuple_miner": miners.MultiSimilarityMiner(epsilon=1)}
    if options.pop("subset", False):
        mining_funcs["subset_batch_miner"] = SubsetBatchMiner(EveryThirdRow(), getter)
    trainer = kind(
        models=models,
        optimizers=optimizers,
        batch_size=BATCH,
        loss_funcs=loss_funcs,
        mining_funcs=mining_funcs,
        dataset=dataset,
        sampler=MPerClassSampler(LABELS, m=4, batch_size=BATCH, length_before_new_iter=2 * BATCH),
        dataloader_num_workers=num_workers,
        data_device="cpu",
        data_and_label_getter=getter,
        end_of_iteration_hook=lambda trainer: seen.append(
            (trunk.seen[-1], getter.indices, float(trainer.losses["metric_loss"].detach()))
        ),
        **options,
    )
    trainer.train(num_epochs=2)
    # ends the workers here, not when the garbage is collected: others would have been forked by
    # then that hold on to their pipes, and the wait for them takes ten seconds
    del trainer.dataloader_iter
    assert len(seen) == 4
    assert loss.class_statistics.visits.tolist() == [4] * K
    if num_samples:
        stored = loss.noise_model.second_opinion.discriminant.samples.labels
        ids = torch.cat([indices for _, indices, _ in seen]).unique()
        assert torch.equal((stored >= 0).nonzero().squeeze(1), ids)
        assert torch.equal(stored[ids], LABELS[ids])
    return seen


# PML's progress bar formats a tensor that carries a gradient
@pytest.mark.filterwarnings("ignore:Converting a tensor with requires_grad=True to a scalar")
@pytest.mark.parametrize("num_workers", [0, 2])
@pytest.mark.parametrize("kind", [trainers.MetricLossOnly, trainers.TrainWithClassifier])
class TestInStockTrainers:
    @pytest.fixture(autouse=True)
    def _quiet(self, caplog):
        caplog.set_level(logging.ERROR)

    def test_indices_are_those_of_the_batch_in_use(self, kind, num_workers):
        for data, indices, value in train(kind, IndexedDataset(SAMPLES), num_workers):
            assert data.shape == (BATCH, K + 2)
            assert torch.equal(data[:, K], indices.float())
            assert value > 0

    @pytest.mark.parametrize("options", [{}, {"among_others": True}, {"subset": True}])
    def test_the_loss_knows_which_samples_it_gets(self, kind, num_workers, options):
        dataset = IndexedDataset(SAMPLES)
        seen = train(kind, dataset, num_workers, num_samples=len(SAMPLES), **options)
        for _, indices, _ in seen:
            assert len(indices) == (6 if "subset" in options else BATCH)
        # (of six rows all pairs may be easy)
        assert max(value for _, _, value in seen) > 0

    def test_rows_i_and_i_plus_b_are_views_of_one_image(self, kind, num_workers):
        dataset = IndexedDataset(TwoViewDataset(SAMPLES, jitter))
        for data, indices, value in train(kind, dataset, num_workers, num_views=2):
            assert data.shape == (2 * BATCH, K + 2)
            first, second = data.split(BATCH)
            assert torch.equal(first[:, : K + 1], second[:, : K + 1])
            assert (first[:, K + 1] != second[:, K + 1]).all()
            assert torch.equal(data[:, K], indices.float())
            assert value > 0

    def test_identity_survives_a_subset_batch_miner(self, kind, num_workers):
        dataset = IndexedDataset(TwoViewDataset(SAMPLES, jitter))
        for data, indices, _ in train(kind, dataset, num_workers, subset=True, num_views=2):
            # every third of 32 rows: 11 rows of 11 different images
            assert len(data) == 22
            first, second = data.split(11)
            assert torch.equal(first[:, : K + 1], second[:, : K + 1])
            assert torch.equal(data[:, K], indices.float())
