from typing import get_type_hints

import pytest
from image_retrieval.presets import PRESETS
from image_retrieval.settings import Settings


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_is_valid_and_gives_each_option_one_origin(name):
    preset = PRESETS[name]
    assert set(preset.options) <= set(get_type_hints(Settings))
    assert not set(preset.published) & set(preset.ours)
    assert preset.source
    assert preset.remarks
    settings = Settings(**preset.options)
    for option, value in preset.options.items():
        assert getattr(settings, option) == value


def test_presets_as_published():
    cub, sop = PRESETS["hyp-vit-cub"].options, PRESETS["hyp-dino-sop"].options
    assert (cub["steps_per_epoch"], sop["steps_per_epoch"]) == (1, 25)
    assert (cub["lr"], sop["lr"]) == (3e-5, 1e-5)
    assert PRESETS["hyp-vit-cars"].options["batch_size"] == 882
    ahsml = Settings(**PRESETS["ahsml"].options)
    assert ahsml.wraps
    assert not ahsml.noise_aware
    assert not Settings(**PRESETS["prism"].options).wraps
