"""Train an image retrieval network, with or without wrong labels in the training set.

Half of the classes are for training, the other half for testing by retrieval: Recall@1
(precision_at_1) and MAP@R. Presets hold published hyper-parameters; further options override them.
After each epoch OUTPUT holds checkpoint.pt (--resume continues from it), results.json and
tensorboard.

  python examples/train_image_retrieval.py --root photos --backbone torchvision:resnet18
  python examples/train_image_retrieval.py --root photos --noise-rate 0.3 --views 2 --margins
  python examples/train_image_retrieval.py --preset hyp-vit-cub --root CUB --download
  python examples/train_image_retrieval.py --preset hyp-vit-cub --show

It needs the extra "images": pip install .[images]. docs/reproduce.md has the commands for the
tables of the papers and their costs.
"""

import sys
from contextlib import nullcontext

from image_retrieval.checkpoints import save, start
from image_retrieval.command_line import parse, show
from image_retrieval.training import Run


def train(run: Run) -> dict[str, float]:
    """Train the remaining epochs; return the figures of the last."""
    settings = run.settings
    with _writer(run) as writer:
        while run.epoch < settings.epochs:
            figures = run.train_epoch()
            run.epoch += 1
            if run.epoch == settings.epochs or run.epoch % settings.evaluate_every == 0:
                figures |= run.evaluate()
            run.history.append(figures)
            save(run)
            shown = ", ".join(f"{name} {value:.4g}" for name, value in figures.items())
            print(f"epoch {run.epoch}/{settings.epochs}: {shown}", flush=True)
            for name, value in figures.items() if writer else ():
                writer.add_scalar(name, value, run.epoch)
    return run.history[-1]


def main(arguments: list[str] | None = None) -> dict[str, float] | None:
    """Run a command line, by default ``sys.argv``; return the figures of the last epoch."""
    try:
        command = parse(arguments, __doc__)
        if command.show:
            return show(command)
        run = Run(command.settings)
        start(run)
    except (ImportError, ValueError) as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
    print(
        f"{len(run.train_set)} images of {run.train_split.num_classes} classes to train on, "
        f"{len(run.test_set)} of {run.test_split.num_classes} others to test with, on {run.device}"
    )
    return train(run)


def _writer(run: Run):
    if not run.settings.tensorboard:
        return nullcontext()
    from torch.utils.tensorboard import SummaryWriter

    return SummaryWriter(str(run.output / "tensorboard"), purge_step=run.epoch + 1)


if __name__ == "__main__":
    main()
