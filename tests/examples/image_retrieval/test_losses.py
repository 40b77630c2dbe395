from typing import get_args, get_type_hints

import pytest
import torch
from image_retrieval.losses import PairwiseCrossEntropyLoss, SumPerRow, build_distance, build_loss
from image_retrieval.settings import Settings
from pytorch_metric_learning.distances import CosineSimilarity, DotProductSimilarity
from pytorch_metric_learning.losses import ContrastiveLoss, MultiSimilarityLoss

from pml_ahsml import AdaptiveNoiseAwareLoss, PoincareDistance


def published_pairwise_ce(embeddings, labels, distance, temperature):
    """Of each ordered pair of sets: the mean, over classes, of one cross-entropy."""
    classes = labels.unique().tolist()
    sets = torch.stack([embeddings[labels == k] for k in classes], 1)  # (m, K, D)
    total = torch.zeros(())
    for i, first in enumerate(sets):
        for j, second in enumerate(sets):
            if i == j:
                continue
            across = -distance(first, second) / temperature
            within = (-distance(first, first) / temperature).fill_diagonal_(-torch.inf)
            target = torch.arange(len(classes))
            logits = torch.cat([across, within], 1)
            total = total + torch.nn.functional.cross_entropy(logits, target)
    return total


@pytest.mark.parametrize("per_class", [2, 3])
def test_pairwise_cross_entropy_is_the_published_one(per_class):
    distance = PoincareDistance()
    embeddings = torch.randn(5 * per_class, 4, requires_grad=True)
    labels = (torch.arange(5) * 3).repeat(per_class)[torch.randperm(5 * per_class)]
    value = PairwiseCrossEntropyLoss(0.2, distance=distance)(embeddings, labels)
    expected = published_pairwise_ce(embeddings, labels, distance, 0.2)
    torch.testing.assert_close(value, expected)
    gradients = [torch.autograd.grad(v, embeddings)[0] for v in (value, expected)]
    torch.testing.assert_close(*gradients)


def test_pairwise_cross_entropy_with_classes_of_unequal_size():
    loss = PairwiseCrossEntropyLoss(0.2, distance=PoincareDistance())
    embeddings = torch.randn(7, 4, requires_grad=True)
    loss(embeddings, torch.tensor([0, 0, 0, 0, 1, 1, 2])).backward()
    assert torch.isfinite(embeddings.grad).all()
    assert (embeddings.grad != 0).all()
    assert loss(embeddings, torch.arange(7)) == 0  # no pair
    assert loss(embeddings, torch.zeros(7).long()) == 0  # nothing to tell from


def test_contrastive_loss_is_summed_by_rows():
    embeddings, labels = torch.randn(6, 4), torch.tensor([0, 0, 1, 1, 2, 2])
    similarity = (
        torch.nn.functional.normalize(embeddings) @ torch.nn.functional.normalize(embeddings).T
    )
    expected = torch.zeros(())
    for i in range(6):
        for j in range(6):
            if i != j and labels[i] == labels[j]:
                expected = expected + (1 - similarity[i, j])
            elif i != j:
                expected = expected + (similarity[i, j] - 0.5).clamp(min=0)
    loss = ContrastiveLoss(1.0, 0.5, distance=CosineSimilarity(), reducer=SumPerRow())
    torch.testing.assert_close(loss(embeddings, labels), expected / 6)


def test_multi_similarity_is_the_same_function_for_both_distances(options):
    settings = Settings(**options | {"distance": "poincare", "noise_aware": False})
    distance = build_distance(settings)

    class AsSimilarity(DotProductSimilarity):
        def compute_mat(self, query_emb, ref_emb):
            return 1 - 2 * distance(query_emb, ref_emb) / distance.max_distance

    similarity = AsSimilarity(normalize_embeddings=False)
    embeddings, labels = torch.randn(12, 8), torch.arange(12) % 3
    expected = MultiSimilarityLoss(2, 50, 0.5, distance=similarity)(embeddings, labels)
    value = build_loss(settings, labels, distance)(embeddings, labels)
    torch.testing.assert_close(value, expected * distance.max_distance / 2)


@pytest.mark.parametrize("distance", ["cosine", "poincare"])
@pytest.mark.parametrize("name", get_args(get_type_hints(Settings)["loss"]))
@pytest.mark.parametrize("noise_aware", [False, True])
def test_every_loss_pulls_a_class_together(options, name, distance, noise_aware):
    given = {"loss": name, "distance": distance, "noise_aware": noise_aware}
    settings = Settings(**options | given)
    loss = build_loss(settings, torch.arange(4), build_distance(settings))
    assert isinstance(loss, AdaptiveNoiseAwareLoss) == noise_aware
    labels = torch.arange(16) % 4
    embeddings = torch.randn(16, 8, requires_grad=True)
    optimizer = torch.optim.Adam([embeddings, *loss.parameters()], lr=0.1)
    for _ in range(30):
        optimizer.zero_grad()
        loss(embeddings, labels).backward()
        optimizer.step()
    values = build_distance(settings)(embeddings.detach())
    values = values if distance == "cosine" else -values
    same = labels[:, None] == labels
    assert values[same].mean() > values[~same].mean() + 0.3


def test_without_the_label_model_every_label_is_trusted(options):
    settings = Settings(**options | {"noise_aware": False, "views": 2, "margins": True})
    loss = build_loss(settings, torch.arange(4), build_distance(settings))
    embeddings, labels = torch.randn(16, 8), torch.arange(8).repeat(2) % 4
    for _ in range(60):
        loss(embeddings, labels)
    assert (loss.trust(embeddings, labels.flip(0)) == 1).all()
    assert loss.replay_memory is None
    assert loss.margins is not None
    assert loss.num_views == 2


def test_the_label_model_knows_how_large_the_classes_are(options):
    settings = Settings(**options | {"noise_aware": True})
    labels = torch.tensor([0, 0, 0, 1, 2, 2])
    model = build_loss(settings, labels, build_distance(settings)).noise_model
    assert model.label_counts.tolist() == [3, 1, 2]
    assert not model.counts_labels
