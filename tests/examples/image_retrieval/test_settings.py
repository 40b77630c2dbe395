import re
import subprocess
from pathlib import Path

import pytest
from image_retrieval.presets import PRESETS
from image_retrieval.settings import defaults, from_given
from train_image_retrieval import main, make_parser


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
        ({"loss": "pairwise_ce", "memory_size": 500}, "memory_size must be 0 for"),
        ({"memory_size": 100}, "memory_size must be at least 128, a batch, got 100"),
        ({"memory_size": 200, "views": 2}, "memory_size must be at least 256, a batch, got 200"),
        ({"batch_size": 30}, "batch_size must be a multiple of samples_per_class, 4, got 30"),
        ({"view_margin": True}, "view_margin must be used with margins and 2 views"),
        ({"noise_kind": "open_set"}, "noise_kind must be left out without noise_rate"),
        ({"warmup": 9, "noise_aware": False}, "warmup must be left out without noise_aware, got 9"),
        ({"loss_lr": 0.1}, "loss_lr must be left out for loss=ms, got 0.1"),
        ({"download": True}, "download must be left out for a folder"),
        ({"clean_list": "a.csv"}, "clean_list must be left out without noise_list, got a.csv"),
        ({"noise_list": "a.csv", "noise_rate": 0.2}, "noise_rate must be left out with noise_list"),
    ],
)
def test_what_does_nothing_or_cannot_be_is_an_error(given, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        from_given(defaults() | given)


@pytest.mark.parametrize(
    "arguments",
    [
        ["--los", "ms"],
        ["--loss", "hinge"],
        ["--epochs", "many"],
        ["--views", "3"],
        ["--preset", "nothing"],
        ["--noise-rate", "2"],
        ["--preset", "prism", "--temperature", "0.1"],
    ],
)
def test_the_command_line_refuses_what_it_does_not_know(arguments, capsys):
    with pytest.raises(SystemExit) as caught:
        main([*arguments, "--show"])
    assert caught.value.code == 2
    assert "error:" in capsys.readouterr().err


def test_help_names_every_option_and_preset():
    text = make_parser().format_help()
    for name in defaults():
        assert f"--{name.replace('_', '-')}" in text
    for name in PRESETS:
        assert f"  {name} " in text


def test_the_command_line_overrides_the_preset_which_overrides_the_defaults(capsys):
    main(["--preset", "hyp-vit-cub", "--lr", "0.001", "--freeze", "--show"])
    lines = {
        line.split()[0]: line.split(maxsplit=1)[1]
        for line in capsys.readouterr().out[:4000].splitlines()
        if line
    }
    assert lines["lr"].split() == ["0.001", "command", "line"]
    assert lines["freeze"].split() == ["()", "command", "line"]
    assert lines["temperature"].split() == ["0.2", "published"]
    assert lines["precision"].startswith("bfloat16")
    assert lines["precision"].endswith("this project's choice")
    assert lines["seed"].split() == ["0", "default"]
    assert "github.com/htdt/hyp_metric" in lines["Published:"]


def test_the_commands_of_the_page_are_valid(capsys):
    page = (Path(__file__).parents[3] / "docs/reproduce.md").read_text()
    blocks = [b for b in re.findall(r"```\n(.*?)```", page, re.S) if "--preset" in b]
    # the shell expands them; what it would run is written down in the place of running it
    script = 'python() { echo "$*"; }\n' + "\n".join(blocks)
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=True)
    commands = [line.split() for line in done.stdout.splitlines()]
    assert len(commands) == 7
    for script_name, *arguments in commands:
        assert script_name == "examples/train_image_retrieval.py"
        main([*arguments, "--show"])
    assert "runs/mcl-ours-cub-50" in capsys.readouterr().out


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_is_valid_and_says_once_where_each_option_is_from(name):
    preset = PRESETS[name]
    assert set(preset.options) <= set(defaults())
    assert not set(preset.published) & set(preset.ours)
    assert preset.source
    assert preset.remarks
    settings = from_given(defaults() | preset.options)
    for option, value in preset.options.items():
        assert getattr(settings, option) == value


def test_presets_as_published():
    cub, sop = PRESETS["hyp-vit-cub"].options, PRESETS["hyp-dino-sop"].options
    assert (cub["steps_per_epoch"], sop["steps_per_epoch"]) == (1, 25)
    assert (cub["lr"], sop["lr"]) == (3e-5, 1e-5)
    assert PRESETS["hyp-vit-cars"].options["batch_size"] == 882
    ahsml = from_given(defaults() | PRESETS["ahsml"].options)
    assert ahsml.wraps
    assert not ahsml.noise_aware
    assert not from_given(defaults() | PRESETS["prism"].options).wraps
