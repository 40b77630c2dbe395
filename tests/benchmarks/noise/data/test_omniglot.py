import torch

from benchmarks.noise.data.omniglot import random_affine


def test_views_move_and_stay_the_same_character():
    images = torch.zeros(200, 1, 28, 28)
    images[:, :, 10:18, 10:18] = 1
    views = random_affine(images)
    assert views.shape == images.shape
    assert 0 <= views.min() <= views.max() <= 1 + 1e-6
    ink = views.sum((1, 2, 3)) / 64
    # a scale of ±15 % changes the area by at most a third; no shift reaches the edge
    assert 0.7 < ink.min() < 0.9
    assert 1.1 < ink.max() < 1.45
    rows = torch.arange(28.0)
    centres = (
        torch.stack([(views.sum(3)[:, 0] * rows).sum(1), (views.sum(2)[:, 0] * rows).sum(1)], 1)
        / views.sum((1, 2, 3))[:, None]
    )
    # the centre moves by the shift of up to 3.5 pixels, enlarged with the picture
    assert 3 < (centres - 13.5).abs().max() < 5.5
