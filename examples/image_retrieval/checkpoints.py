"""Checkpoints from which a killed run continues.

On a CPU with one thread (OMP_NUM_THREADS=1) the results are the same to the last bit. More threads
or a GPU add up numbers in an order that varies between calls.
"""

import json
import os
from pathlib import Path

import pytorch_metric_learning
import torch
from pytorch_metric_learning.losses import CrossBatchMemory

import pml_ahsml

from .training import Run


def start(run: Run) -> None:
    """Continue from OUTPUT/checkpoint.pt if the options say so.

    Raises:
        ValueError: if the checkpoint is missing or has other options, or if there is one and the
            run is not to resume.
    """
    path = run.output / "checkpoint.pt"
    if run.settings.resume:
        if not path.is_file():
            raise ValueError(f"output must hold a checkpoint.pt to resume from, got {run.output}")
        _load(run, path)
    elif path.exists():
        raise ValueError(
            f"output must be without a checkpoint.pt unless resume is given, got {run.output}"
        )


def save(run: Run) -> None:
    """Write OUTPUT/checkpoint.pt, which holds all that resuming needs, and results.json."""
    state = {
        "settings": run.settings.of_the_run(),
        "epoch": run.epoch,
        "history": run.history,
        "network": run.network.state_dict(),
        "loss": run.loss.state_dict(),
        "memory": [(m.queue_idx, m.has_been_filled) for m in _memories(run)],
        "optimizer": run.optimizer.state_dict(),
        "scheduler": None if run.scheduler is None else run.scheduler.state_dict(),
        "random": run.random.bit_generator.state,
        "torch_random": torch.get_rng_state(),
        "cuda_random": torch.cuda.get_rng_state_all() if torch.cuda.is_available() else [],
    }
    run.output.mkdir(parents=True, exist_ok=True)
    path = run.output / "checkpoint.pt"
    # a run killed while it writes keeps the previous checkpoint
    torch.save(state, path.with_suffix(".new"))
    os.replace(path.with_suffix(".new"), path)
    results = {
        "settings": state["settings"],
        "history": run.history,
        "versions": {
            "torch": torch.__version__,
            "pytorch_metric_learning": pytorch_metric_learning.__version__,
            "pml_ahsml": pml_ahsml.__version__,
        },
    }
    (run.output / "results.json").write_text(json.dumps(results, indent=2) + "\n")


def _load(run: Run, path: Path) -> None:
    state = torch.load(path, map_location=run.device, weights_only=True)
    for name, value in run.settings.of_the_run().items():
        theirs = state["settings"].get(name)
        if value != theirs:
            raise ValueError(
                f"{name} must be {theirs}, as in the checkpoint to resume from, got {value}"
            )
    run.epoch, run.history = state["epoch"], state["history"]
    run.network.load_state_dict(state["network"])
    run.loss.load_state_dict(state["loss"])
    # PML's memory does not save the position of its queue
    for memory, (index, filled) in zip(_memories(run), state["memory"], strict=True):
        memory.queue_idx, memory.has_been_filled = index, filled
    run.optimizer.load_state_dict(state["optimizer"])
    if run.scheduler is not None:
        run.scheduler.load_state_dict(state["scheduler"])
    run.random.bit_generator.state = state["random"]
    torch.set_rng_state(state["torch_random"].cpu())
    if state["cuda_random"] and torch.cuda.is_available():
        torch.cuda.set_rng_state_all([each.cpu() for each in state["cuda_random"]])


def _memories(run: Run) -> list[CrossBatchMemory]:
    return [m for m in run.loss.modules() if isinstance(m, CrossBatchMemory)]
