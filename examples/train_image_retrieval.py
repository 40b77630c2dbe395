"""Train an image retrieval network, with wrong labels in the training set or without.

It trains on half of the classes and tests by retrieval among images of the other half: Recall@1
(precision_at_1) and MAP@R. Presets hold published hyper-parameters; options given beside a preset
override it. After each epoch OUTPUT has checkpoint.pt (--resume goes on from it), results.json and
tensorboard.

  python examples/train_image_retrieval.py --root photos --backbone torchvision:resnet18
  python examples/train_image_retrieval.py --root photos --noise-rate 0.3 --views 2 --margins
  python examples/train_image_retrieval.py --preset hyp-vit-cub --root CUB --download
  python examples/train_image_retrieval.py --preset hyp-vit-cub --show

It needs the extra "images": pip install .[images]; docs/reproduce.md has the commands for the
tables of the papers, and what they would cost.
"""

import argparse
from dataclasses import asdict
from typing import Any

from image_retrieval.presets import PRESETS
from image_retrieval.settings import Settings, add_options, defaults, from_given
from image_retrieval.training import Run


def make_parser() -> argparse.ArgumentParser:
    presets = "\n".join(f"  {name:<15}{preset.summary}" for name, preset in PRESETS.items())
    parser = argparse.ArgumentParser(
        usage="%(prog)s [options]",
        description=__doc__,
        epilog=f"presets, of which --show tells sources and remarks:\n{presets}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--preset", choices=PRESETS, metavar="NAME", help="see below")
    parser.add_argument("--show", action="store_true", help="print all options, and stop")
    add_options(parser)
    return parser


def show(settings: Settings, preset_name: str | None, given: dict[str, Any]) -> None:
    preset = PRESETS[preset_name] if preset_name else None
    for name, value in asdict(settings).items():
        origin = "default"
        if name in given:
            origin = "command line"
        elif preset and name in preset.published:
            origin = "published"
        elif preset and name in preset.ours:
            origin = "preset, this project's choice"
        print(f"{name:<18}{value!s:<40}{origin}")
    if preset:
        print(f"\n{preset.summary}\nPublished: {preset.source}\nRemarks: {preset.remarks}")


def main(arguments: list[str] | None = None) -> dict[str, float] | None:
    parser = make_parser()
    given = vars(parser.parse_args(arguments))
    preset_name, only_show = given.pop("preset"), given.pop("show")
    preset = PRESETS[preset_name].options if preset_name else {}
    try:
        settings = from_given(defaults() | preset | given)
        if only_show:
            return show(settings, preset_name, given)
        run = Run(settings)
    except (ImportError, ValueError) as error:
        parser.error(str(error))
    print(
        f"{len(run.train_set)} images of {run.train_split.num_classes} classes to train on, "
        f"{len(run.test_set)} of {run.test_split.num_classes} others to test with, on {run.device}"
    )
    return run.train()


if __name__ == "__main__":
    main()
