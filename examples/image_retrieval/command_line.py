"""The command line; tyro makes it from the options of a run."""

import sys
from dataclasses import asdict, dataclass, field
from typing import Annotated, Literal

import tyro

from .presets import PRESETS
from .settings import Settings


@dataclass(frozen=True)
class _Choice:
    preset: Literal[tuple(PRESETS)] | None = None  # type: ignore[valid-type]
    """published options, see above; further options override them"""
    show: bool = False
    """print all options with their origin, and stop"""


@dataclass(frozen=True)
class Command(_Choice):
    """A parsed command line.

    Args:
        preset: a name in ``PRESETS``, or None.
        show: whether to print the options only.
        settings: the options of the run.
    """

    settings: Annotated[Settings, tyro.conf.arg(name="")] = field(default_factory=Settings)


def parse(arguments: list[str] | None, description: str) -> Command:
    """Parse a command line; an unknown option or value ends the program.

    Raises:
        ValueError: if options contradict each other.
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
    """Print each option and its origin."""
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
