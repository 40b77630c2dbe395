import pytest
import torch
from pytorch_metric_learning.distances import CosineSimilarity
from pytorch_metric_learning.utils.accuracy_calculator import AccuracyCalculator
from pytorch_metric_learning.utils.inference import InferenceModel, MatchFinder

from pml_ahsml import PoincareDistance, PoincareKNN
from pml_ahsml.inference import poincare_knn
from tests import reference


def test_finds_the_nearest_in_order(monkeypatch):
    monkeypatch.setattr(poincare_knn, "_BLOCK_ELEMENTS", 100)  # several blocks
    query, refs = torch.randn(11, 4), torch.randn(30, 4)
    distances, indices = PoincareKNN(PoincareDistance(1.0, 5.0))(query, 4, refs)
    expected = reference.distance_matrix(query, refs, 1.0)
    assert torch.equal(indices, expected.argsort(1)[:, :4])
    torch.testing.assert_close(
        distances.double(), expected.sort(1).values[:, :4], rtol=1e-5, atol=0
    )


def test_leaves_the_query_out_of_its_own_neighbours():
    e = torch.randn(20, 4)
    e[7] = e[3]  # a duplicate is a neighbour, the query itself is not
    _, indices = PoincareKNN()(e, 3, e, ref_includes_query=True)
    assert indices.shape == (20, 3)
    assert not (indices == torch.arange(20)[:, None]).any()
    assert indices[7, 0] == 3
    assert indices[3, 0] == 7


def test_references_can_be_added_saved_and_loaded(tmp_path):
    query, refs = torch.randn(5, 4), torch.randn(30, 4)
    knn = PoincareKNN(reset_before=False, reset_after=False)
    knn.train(torch.randn(3, 4))
    knn.train(refs[:10])
    knn.add(refs[10:])
    expected = PoincareKNN()(query, 6, refs)
    for ours, theirs in zip(knn(query, 6), expected, strict=True):
        assert torch.equal(ours, theirs)
    knn.save(tmp_path / "refs.pt")
    other = PoincareKNN(reset_before=False)
    other.load(tmp_path / "refs.pt")
    assert torch.equal(other(query, 6)[1], expected[1])
    with pytest.raises(ValueError, match="reference must be given"):
        other(query, 6)  # reset after the search


def test_evaluates_by_the_radius_where_normalisation_destroys_it():
    # classes differ in their distance to the origin only
    labels = torch.arange(3).repeat_interleave(30)
    angle = torch.linspace(0, 6, 30).repeat(3)
    radius = torch.tensor([0.1, 1.0, 2.2])[labels]
    e = torch.stack([angle.cos() * radius, angle.sin() * radius], 1)
    include = ("precision_at_1",)
    calculator = AccuracyCalculator(include=include, knn_func=PoincareKNN())
    assert calculator.get_accuracy(e, labels)["precision_at_1"] == 1
    normalised = torch.nn.functional.normalize(e)
    assert calculator.get_accuracy(normalised, labels)["precision_at_1"] < 0.7


def test_serves_an_inference_model():
    data = torch.utils.data.TensorDataset(torch.randn(50, 4), torch.arange(50))
    model = InferenceModel(
        torch.nn.Identity(),
        match_finder=MatchFinder(PoincareDistance(), threshold=1e-3),
        normalize_embeddings=False,
        knn_func=PoincareKNN(reset_before=False, reset_after=False),
    )
    model.train_knn(data)
    distances, indices = model.get_nearest_neighbors(data.tensors[0][:3], 2)
    assert indices[:, 0].tolist() == [0, 1, 2]
    assert (distances[:, 0] == 0).all()
    assert model.is_match(data.tensors[0][:1], data.tensors[0][:1])


def test_bad_arguments_are_refused():
    with pytest.raises(TypeError, match="must be a PoincareDistance, got CosineSimilarity"):
        PoincareKNN(CosineSimilarity())
    knn, refs = PoincareKNN(), torch.randn(5, 2)
    with pytest.raises(ValueError, match="k must be at most 4, .* got 5"):
        knn(refs, 5, refs, ref_includes_query=True)
    with pytest.raises(ValueError, match="k must be at least 1, got 0"):
        knn(refs, 0, refs)
