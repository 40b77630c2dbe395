import torch
from pytorch_metric_learning import losses

from benchmarks.noise.prism import WARMUP, Prism


def test_prism_drops_the_improbable_after_its_warmup():
    generator = torch.Generator().manual_seed(0)
    centres = torch.randn(6, 8, generator=generator)
    prism = Prism(losses.ContrastiveLoss(), 6, 8, noise_rate=0.25)
    truth = torch.arange(6).repeat_interleave(8)

    def draw():
        wrong = torch.rand(48, generator=generator) < 0.25
        labels = torch.where(wrong, (truth + 1) % 6, truth)
        return centres[truth] + 0.1 * torch.randn(48, 8, generator=generator), labels, wrong

    for _ in range(WARMUP + 20):
        embeddings, labels, _ = draw()
        value = prism(embeddings, labels)
        if prism.batches <= WARMUP:
            assert torch.equal(value, prism.loss(embeddings, labels))
    embeddings, labels, wrong = draw()
    value = prism(embeddings, labels)
    assert abs(value - prism.loss(embeddings[~wrong], labels[~wrong])) < 0.1 * abs(
        value - prism.loss(embeddings, labels)
    )
