import pytest
import torch
from pytorch_metric_learning.distances import (
    CosineSimilarity,
    DotProductSimilarity,
    LpDistance,
    SNRDistance,
)

from pml_ahsml import PoincareDistance
from pml_ahsml.distances import as_similarity, max_distance


@pytest.mark.parametrize("distance", [PoincareDistance(), LpDistance(), LpDistance(power=2)])
def test_distances_map_onto_minus_one_to_one(distance):
    e = torch.tensor([[100.0, 0.0], [-100.0, 0.0], [100.0, 0.0]])
    s = as_similarity(distance(e), distance)
    assert s[0].tolist() == pytest.approx([1, -1, 1], abs=1e-5)


def test_similarities_stay_as_they_are():
    values = torch.tensor([-3.0, 0.5])
    assert as_similarity(values, DotProductSimilarity()) is values
    assert as_similarity(values, CosineSimilarity()) is values


@pytest.mark.parametrize(
    "distance", [LpDistance(normalize_embeddings=False), LpDistance(p=1), SNRDistance()]
)
def test_distances_without_a_known_maximum_are_refused(distance):
    assert max_distance(distance) is None
    with pytest.raises(ValueError, match="known maximum .* got (LpDistance|SNRDistance)"):
        as_similarity(torch.zeros(1), distance)
