import re
import subprocess
from pathlib import Path
from typing import get_type_hints

import pytest
from image_retrieval.presets import PRESETS
from image_retrieval.settings import Settings
from train_image_retrieval import main


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--los", "ms"], "Unrecognized options: --los"),
        (["--loss", "hinge"], "invalid choice 'hinge' for argument '--loss'"),
        (["--epochs", "many"], "Error parsing --epochs"),
        (["--views", "3"], "invalid choice '3' for argument '--views'"),
        (["--preset", "nothing"], "invalid choice 'nothing' for argument '--preset'"),
        (["--noise-rate", "2"], "error: noise_rate must be in [0, 1], got 2.0"),
        (["--preset", "prism", "--temperature", "0.1"], "error: temperature must be left out"),
    ],
)
def test_the_command_line_refuses_what_it_does_not_know(arguments, message, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")  # no line of a message is broken
    with pytest.raises(SystemExit) as caught:
        main([*arguments, "--show"])
    assert caught.value.code == 2
    assert message in capsys.readouterr().err


def test_help_names_every_option_and_preset(capsys):
    with pytest.raises(SystemExit) as caught:
        main(["--help"])
    assert caught.value.code == 0
    text = capsys.readouterr().out
    for name in get_type_hints(Settings):
        assert f"--{name.replace('_', '-')}" in text
    for name in PRESETS:
        assert f"  {name} " in text
    assert "share of the training labels to make wrong" in text


def test_help_shows_the_options_of_the_preset(capsys):
    with pytest.raises(SystemExit):
        main(["--preset", "prism", "--help"])
    assert "(default: 9500)" in capsys.readouterr().out


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
