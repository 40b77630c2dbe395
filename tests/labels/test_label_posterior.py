from dataclasses import fields

import pytest
import torch

from pml_ahsml import LabelNoiseModel
from pml_ahsml.classes.class_distances import ClassDistances
from pml_ahsml.classes.nearest_classes import Candidates
from tests.neighbourhoods import all_neighbours

N, K = 8, 5


def evidence_and_labels(of_candidates: bool) -> tuple[ClassDistances, torch.Tensor]:
    centres, points = torch.randn(K, 3), torch.randn(N, 3)
    labels, divergence = torch.randint(K, (N,)), torch.cdist(centres, centres)
    columns = torch.arange(K).expand(N, K)
    candidates = None
    if of_candidates:
        columns = (labels[:, None] + torch.arange(K - 1)) % K  # the label's own first
        candidates = Candidates(columns, torch.ones_like(columns))
    return ClassDistances(
        points,
        torch.cdist(points, centres).gather(1, columns),
        divergence[labels].gather(1, columns),
        all_neighbours(divergence),
        torch.ones(K, dtype=torch.bool),
        candidates,
    ), labels


@pytest.mark.parametrize("of_candidates", [False, True])
def test_a_selection_is_the_posterior_of_its_samples_alone(of_candidates):
    evidence, labels = evidence_and_labels(of_candidates)
    rows = torch.arange(N) % 3 != 1
    model = LabelNoiseModel(K)
    found = model.believe(evidence, labels).select(rows)
    expected = model.believe(evidence.select(rows), labels[rows])
    for field in fields(found):
        if field.name not in ("evidence", "normaliser"):
            torch.testing.assert_close(getattr(found, field.name), getattr(expected, field.name))
    torch.testing.assert_close(found.evidence.distances, expected.evidence.distances)
    for one, other in zip(found.normaliser, expected.normaliser, strict=True):
        torch.testing.assert_close(one, other)


def test_only_a_normaliser_of_all_classes_is_shared():
    model = LabelNoiseModel(K)
    for of_candidates in (False, True):
        evidence, labels = evidence_and_labels(of_candidates=of_candidates)
        one, other = (model.believe(evidence, labels).normaliser for _ in range(2))
        assert (one is other) == (not of_candidates)
