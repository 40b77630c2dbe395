import re

import pytest
from image_retrieval.settings import Settings


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"noise_rate": 1.5}, "noise_rate must be in [0, 1], got 1.5"),
        ({"epochs": 0}, "epochs must be at least 1, got 0"),
        ({"lr": 0.0}, "lr must be positive, got 0.0"),
        ({"clip_norm": -1.0}, "clip_norm must be positive, got -1.0"),
        ({"min_scale": 0.0}, "min_scale must be in (0, 1], got 0.0"),
        ({"size": 300}, "resize must be at least size, 300, got 256"),
        ({"curvature": 1.0}, "curvature must be left out for distance=cosine, got 1.0"),
        ({"temperature": 0.1}, "temperature must be left out for loss=ms, got 0.1"),
        ({"loss": "supcon", "margin": 0.1}, "margin must be left out for loss=supcon, got 0.1"),
        (
            {"loss": "pairwise_ce", "memory_size": 500},
            "must be left out for loss=pairwise_ce, got 500",
        ),
        ({"memory_size": 100}, "memory_size must be at least 128, a batch, got 100"),
        ({"memory_size": 200, "views": 2}, "memory_size must be at least 256, a batch, got 200"),
        ({"batch_size": 30}, "batch_size must be a multiple of samples_per_class, 4, got 30"),
        ({"view_margin": True}, "view_margin must be left out without margins and 2 views"),
        ({"noise_kind": "open_set"}, "noise_kind must be left out without noise_rate"),
        ({"warmup": 9, "noise_aware": False}, "warmup must be left out without noise_aware, got 9"),
        ({"loss_lr": 0.1}, "loss_lr must be left out for loss=ms, got 0.1"),
        ({"download": True}, "download must be left out for a folder"),
        ({"clean_list": "a.csv"}, "clean_list must be left out without noise_list, got a.csv"),
        ({"noise_list": "a.csv", "noise_rate": 0.2}, "noise_rate must be left out with noise_list"),
    ],
)
def test_options_without_effect_or_out_of_range_are_errors(given, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        Settings(**given)
