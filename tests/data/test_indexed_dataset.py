import pytest
import torch
from pytorch_metric_learning.testers import GlobalEmbeddingSpaceTester
from pytorch_metric_learning.utils.accuracy_calculator import AccuracyCalculator
from pytorch_metric_learning.utils.inference import InferenceModel, MatchFinder

from pml_ahsml import PoincareDistance, PoincareKNN
from pml_ahsml.data import IndexedDataset

SAMPLES = [(torch.randn(4) + 5 * torch.eye(4)[k], k) for k in range(4) for _ in range(6)]


def test_adds_the_index_beside_the_label():
    dataset = IndexedDataset(SAMPLES)
    assert len(dataset) == len(SAMPLES)
    data, (label, index) = dataset[torch.tensor(9)]  # what a sampler over a tensor yields
    assert torch.equal(data, SAMPLES[9][0])
    assert (label, index) == (1, 9)
    assert type(index) is int


def test_testers_take_it_as_it_is():
    calculator = AccuracyCalculator(
        include=("precision_at_1", "mean_average_precision_at_r"), knn_func=PoincareKNN()
    )

    def accuracies(dataset):
        tester = GlobalEmbeddingSpaceTester(
            normalize_embeddings=False,
            dataloader_num_workers=0,
            accuracy_calculator=calculator,
            data_device="cpu",
        )
        return tester.test({"val": dataset}, 1, torch.nn.Identity())["val"]

    plain = accuracies(SAMPLES)
    assert plain["precision_at_1_level0"] > 0.9
    assert accuracies(IndexedDataset(SAMPLES)) == plain


def test_inference_models_take_it_as_it_is():
    distance = PoincareDistance()
    model = InferenceModel(
        torch.nn.Identity(),
        match_finder=MatchFinder(distance, threshold=1.0),
        normalize_embeddings=False,
        knn_func=PoincareKNN(distance, reset_before=False, reset_after=False),
        data_device="cpu",
    )
    model.train_knn(IndexedDataset(SAMPLES))
    query = torch.stack([SAMPLES[0][0], SAMPLES[13][0]])
    _, indices = model.get_nearest_neighbors(query, 1)
    assert indices.tolist() == [[0], [13]]


@pytest.mark.parametrize(
    ("sample", "message"),
    [((1, 2, 3), "got a tuple of 3"), (torch.zeros(2), "got a Tensor"), ("ab", "got a str")],
)
def test_samples_that_are_not_pairs_are_refused(sample, message):
    with pytest.raises(ValueError, match=rf"must be pairs \(data, label\), {message}"):
        IndexedDataset([sample])[0]
