import numpy as np
import pytest
import torch

from pml_ahsml import LorentzSimilarity, PoincareDistance, PoincareKNN
from pml_ahsml.inference import PoincareMatchFinder, accuracy_calculator, inference_model


def by_radius() -> tuple[torch.Tensor, torch.Tensor]:
    """Classes that differ in their distance to the origin only."""
    labels = torch.arange(3).repeat_interleave(30)
    angle = torch.linspace(0, 6, 30).repeat(3)
    radius = torch.tensor([0.1, 1.0, 2.2])[labels]
    return torch.stack([angle.cos() * radius, angle.sin() * radius], 1), labels


def test_accuracy_is_by_the_distance_of_training():
    e, labels = by_radius()
    found = accuracy_calculator(PoincareDistance(), k="max_bin_count").get_accuracy(e, labels)
    assert found["precision_at_1"] == 1
    assert not {"NMI", "AMI"} & set(found)
    chosen = accuracy_calculator(include=("r_precision",)).get_accuracy(e, labels)
    assert set(chosen) == {"r_precision"}


def test_an_inference_model_agrees_with_the_distance():
    data = torch.utils.data.TensorDataset(3 * torch.randn(50, 4), torch.arange(50))
    e = data.tensors[0]
    distance = PoincareDistance(1.0)
    model = inference_model(torch.nn.Identity(), distance, threshold=4.0)
    model.train_knn(data)
    distances, indices = model.get_nearest_neighbors(e[:3], 5)
    expected = distance(e[:3], e).sort(1)
    assert torch.equal(indices, expected.indices[:, :5])
    torch.testing.assert_close(distances, expected.values[:, :5], rtol=1e-4, atol=1e-6)
    matches = model.get_matches(e)
    assert (matches == (distance(e) <= 4).numpy()).all()
    assert model.is_match(e[:1], e[:1])
    assert model.get_matches(e[:1], e[:2], threshold=20, return_tuples=True) == [(0, 0), (0, 1)]


def test_an_inference_model_can_be_saved_and_added_to(tmp_path):
    e = torch.randn(30, 4)
    model = inference_model(torch.nn.Identity())
    model.train_knn(e[:20])
    model.add_to_knn(e[20:])
    model.save_knn_func(tmp_path / "knn.pt")
    other = inference_model(torch.nn.Identity())
    other.load_knn_func(tmp_path / "knn.pt")
    assert other.get_nearest_neighbors(e[20:], 1)[1].flatten().tolist() == list(range(20, 30))


def test_a_match_finder_warns_of_normalised_embeddings():
    e = torch.nn.functional.normalize(torch.randn(6, 4))
    finder = PoincareMatchFinder(threshold=1.0)
    with pytest.warns(UserWarning, match="all embeddings have norm 1"):
        finder.get_matching_pairs(e)
    with pytest.warns(UserWarning, match="all embeddings have norm 1"):
        finder.is_match(e[:1], e[1:2])
    meant = PoincareMatchFinder(PoincareDistance(normalize_embeddings=True), threshold=1.0)
    assert meant.get_matching_pairs(e).diagonal().all()
    assert finder.get_matching_pairs(2 * e).diagonal().all()


def test_matches_of_a_similarity_lie_above_the_threshold():
    finder = PoincareMatchFinder(LorentzSimilarity(scale=1.0), threshold=0.5)
    e = torch.tensor([[2.3, 0.0], [2.3, 0.4], [0.0, 2.3]])
    assert finder.get_matching_pairs(e).tolist() == [
        [True, True, False],
        [True, True, False],
        [False, False, True],
    ]
    with pytest.raises(ValueError, match=r"threshold must be in \[-1.0, 1.0\], got 2"):
        finder.is_match(e[:1], e[1:2], threshold=2)


def test_k_may_be_a_number_of_any_library():
    for k in (2, np.int64(2), torch.tensor(2)):
        assert type(accuracy_calculator(k=k).k) is int
    with pytest.raises(TypeError, match="k must be an integer, got float"):
        accuracy_calculator(k=2.0)


def test_bad_arguments_are_refused():
    trunk, distance = torch.nn.Identity(), PoincareDistance()
    with pytest.raises(ValueError, match="knn_func must be left out"):
        accuracy_calculator(knn_func=PoincareKNN())
    with pytest.raises(ValueError, match="normalize_embeddings must be left out.* got True"):
        inference_model(trunk, normalize_embeddings=True)
    with pytest.raises(ValueError, match="match_finder must be left out"):
        inference_model(trunk, match_finder=PoincareMatchFinder())
    with pytest.raises(ValueError, match="knn_func must have reset_before=False"):
        inference_model(trunk, knn_func=PoincareKNN())
    own = PoincareKNN(reset_before=False, reset_after=False)
    with pytest.raises(ValueError, match="must have the same distance"):
        inference_model(trunk, distance, knn_func=own)
    same = PoincareKNN(distance, reset_before=False, reset_after=False)
    assert inference_model(trunk, distance, knn_func=same).knn_func is same
    assert inference_model(trunk, knn_func=own).match_finder.distance is own.distance
    with pytest.raises(ValueError, match="threshold must be positive and finite, got 0"):
        PoincareMatchFinder(threshold=0)
    with pytest.raises(
        TypeError, match="must be a PoincareDistance or a LorentzSimilarity, got int"
    ):
        PoincareMatchFinder(3)
    with pytest.raises(ValueError, match="threshold must be given"):
        PoincareMatchFinder().is_match(torch.randn(1, 2), torch.randn(1, 2))
