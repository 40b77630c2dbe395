"""The command line, which tyro makes from the options of a run."""

import sys
from dataclasses import asdict, dataclass, field
from typing import Annotated, Literal

import tyro

from .presets import PRESETS
from .settings import Settings


@dataclass(frozen=True)
class _Choice:
    preset: Literal[tuple(PRESETS)] | None = None  # type: ignore[valid-type]
    """published options, see above; options beside it override it"""
    show: bool = False
    """print all options with their origin, and stop"""


@dataclass(frozen=True)
class Command(_Choice):
    """What the command line says.

    Args:
        preset: a name in ``PRESETS``, or None.
        show: only print the options.
        settings: the options of the run.
    """

    settings: Annotated[Settings, tyro.conf.arg(name="")] = field(default_factory=Settings)


def parse(arguments: list[str] | None, description: str) -> Command:
    """The command line; an option it does not know, or a value, ends the program.

    Raises:
        ValueError: for options that do not go together.
    """
    arguments = sys.argv[1:] if arguments is None else arguments
    # the preset comes first: its options are the defaults of the others
    choice, _ = tyro.cli(_Choice, args=arguments, add_help=False, return_unknown_args=True)
    presets = "\n".join(f"  {name:<15}{preset.summary}" for name, preset in PRESETS.items())
    return tyro.cli(
        Command,
        args=arguments,
        default=Command(settings=_defaults(choice.preset)),
        description=f"{description}\npresets:\n{presets}",
    )


def show(command: Command) -> None:
    """Prints each option and where it is from."""
    preset = PRESETS.get(command.preset)
    defaults = asdict(_defaults(command.preset))
    for name, value in asdict(command.settings).items():
        origin = "default"
        if value != defaults[name]:
            origin = "command line"
        elif preset and name in preset.published:
            origin = "published"
        elif preset and name in preset.ours:
            origin = "preset, this project's choice"
        print(f"{name:<18}{value!s:<40}{origin}")
    if preset:
        print(f"\n{preset.summary}\nPublished: {preset.source}\nRemarks: {preset.remarks}")


def _defaults(preset: str | None) -> Settings:
    return Settings(**PRESETS[preset].options) if preset else Settings()
