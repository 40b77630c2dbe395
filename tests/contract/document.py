"""The contract with PML as a document: every class that PML exports, at every door.

Run: python -m tests.contract.document    (writes docs/contract.md)
"""

import functools
import inspect
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
from pytorch_metric_learning import (
    distances,
    losses,
    miners,
    reducers,
    regularizers,
    testers,
    trainers,
)
from pytorch_metric_learning.utils.distributed import DistributedLossWrapper

from pml_ahsml import HierarchicalSimilarityMiner
from tests.contract import loss_doors as ld
from tests.contract import pipeline_doors as pd

# Messages that would make a table hard to read, and what stands there for them.
_SHORT = {
    "requires the distance metric to be CosineSimilarity": "refused: CosineSimilarity only",
    "requires the distance metric to be LpDistance": "refused: LpDistance only",
    "requires the distance metric to be SNRDistance": "refused: SNRDistance only",
    "margins must be None or 'auto' for a loss that does not compare the pairs of a batch": (
        "refused: compares no pairs"
    ),
    "distance must be inverted or have a known maximum (PoincareDistance, normalised LpDistance)": (
        "refused: unknown range"
    ),
    "loss must take classes of unequal size, which is what is left when samples are distrusted": (
        "refused: needs classes of equal size"
    ),
    "loss must be one that takes labels": "refused: takes no labels",
    (
        "loss must be a loss of pytorch-metric-learning (a BaseMetricLossFunction, CrossBatchMemory"
        " or MultipleLosses)"
    ): "refused: cannot be wrapped",
    "reducer must be given to the wrapped loss": "refused: belongs to the wrapped loss",
}

PATH = Path(__file__).parents[2] / "docs" / "contract.md"


@dataclass(frozen=True)
class Section:
    """A table: classes by doors."""

    title: str
    text: str
    rows: tuple[Any, ...]
    doors: dict[str, Callable[[Any], str]]

    def head(self) -> str:
        """The first two lines of the table."""
        return f"| | {' | '.join(self.doors)} |\n|---|{'---|' * len(self.doors)}"

    @functools.cache  # noqa: B019 (there are a few, and they live as long as the process)
    def line(self, row: Any) -> str:
        """One class at all doors."""
        outcomes = []
        for door in self.doors.values():
            torch.manual_seed(0)
            outcomes.append(_shortened(door(row)))
        return f"| {_name(row)} | {' | '.join(outcomes)} |"

    def __hash__(self) -> int:
        return hash(self.title)


def exported(module: ModuleType, base: type, without: tuple[str, ...] = ()) -> tuple[type, ...]:
    """The classes of a kind that a module of PML exports."""
    return tuple(
        cls
        for _, cls in sorted(vars(module).items())
        if inspect.isclass(cls) and issubclass(cls, base) and cls.__name__ not in without
    )


def _shortened(outcome: str) -> str:
    message = outcome.removeprefix("refused: ")
    known = (short for long, short in _SHORT.items() if message.startswith(long))
    return next(known, outcome)


def _name(row: Any) -> str:
    return row if isinstance(row, str) else row.__name__


_TOOLS = {
    "AccuracyCalculator": pd.accuracy_calculator,
    "InferenceModel": pd.inference_model,
    "MatchFinder": pd.match_finder,
    "HookContainer": pd.hook_container,
}

# Base classes are for subclassing, not for use.
_BASE_LOSSES = ("BaseLossWrapper", "BaseMetricLossFunction", "GenericPairLoss")
_HOLDERS = tuple(
    cls
    for cls in exported(losses, torch.nn.Module, _BASE_LOSSES)
    if not issubclass(cls, losses.BaseMetricLossFunction) and not cls.__name__.endswith("Mixin")
)

SECTIONS = (
    Section(
        "Losses",
        "| column | the loss stands |\n|---|---|\n"
        "| PoincareDistance | alone, with `distance=PoincareDistance()` "
        "([margins and temperatures](poincare_losses.md)) |\n"
        "| wrapped | in `AdaptiveNoiseAwareLoss`. After a warm-up with a quarter of the labels "
        "wrong, value and gradient equal those of the loss on the rightly labelled rows. |\n"
        "| wrapped, with margins | in `AdaptiveNoiseAwareLoss(…, margins=AdaptiveMargins())` |\n"
        "| in a memory, wrapped | in a CrossBatchMemory in the wrapper. The memory then holds "
        "trusted rows only. |\n\n"
        "The wrapper needs labels. PML also runs some losses on an `indices_tuple` without\n"
        "labels: use these without the wrapper.",
        exported(losses, losses.BaseMetricLossFunction, _BASE_LOSSES),
        {
            "PoincareDistance": ld.poincare,
            "wrapped": ld.wrapped,
            "wrapped, with margins": ld.with_margins,
            "in a memory, wrapped": ld.in_memory,
        },
    ),
    Section(
        "Losses that hold losses",
        "Some of these check the name of the loss's class, and refuse the wrapper.\n\n"
        "- A CrossBatchMemory goes inside:\n"
        "  `AdaptiveNoiseAwareLoss(CrossBatchMemory(loss, …), …)`.\n"
        "- A DistributedLossWrapper goes outside:\n"
        "  `DistributedLossWrapper(AdaptiveNoiseAwareLoss(loss, …))`.\n"
        "- A SelfSupervisedLoss makes its own labels. None of them can be wrong, so it needs no\n"
        "  wrapper.\n\n"
        "Several processes:\n\n"
        "- In a DistributedLossWrapper the wrapper sees the rows of all processes and needs no\n"
        "  option. All batches must be of one size.\n"
        "- With `efficient=True`, and under plain DistributedDataParallel, each process sees its\n"
        "  own rows. Give the wrapper `sync=True`.\n"
        "- Under plain DistributedDataParallel batches may differ in size, and may be empty.\n"
        "- With proxies every process has the whole gradient. PML multiplies it by the number of\n"
        "  processes.\n\n"
        "`tests/distributed` compares two and four processes with one on the global batch.",
        (*_HOLDERS, DistributedLossWrapper),
        {
            "around a loss with PoincareDistance": ld.holder_with_poincare,
            "inside the wrapper": ld.holder_inside,
            "around the wrapper": ld.holder_around,
        },
    ),
    Section(
        "Miners",
        "*Into the wrapper*: it leaves out pairs and triplets with distrusted rows, and renumbers\n"
        "the others.",
        (*exported(miners, miners.BaseMiner, ("BaseMiner",)), HierarchicalSimilarityMiner),
        {
            "PoincareDistance": ld.miner_with_poincare,
            "into the wrapper": ld.miner_to_wrapper,
        },
    ),
    Section(
        "Reducers",
        "",
        exported(reducers, reducers.BaseReducer, ("BaseReducer",)),
        {
            "of the wrapped loss": ld.reducer_of_wrapped,
            "of the wrapper": ld.reducer_of_wrapper,
        },
    ),
    Section(
        "Regularizers",
        "",
        exported(regularizers, regularizers.BaseRegularizer, ("BaseRegularizer",)),
        {
            "of embeddings, wrapped loss": ld.embedding_regularizer,
            "of weights, wrapped loss": ld.weight_regularizer,
            "PoincareDistance": ld.regularizer_with_poincare,
        },
    ),
    Section(
        "Distances",
        "Of a wrapped loss, and of `HierarchicalSimilarityMiner`.",
        exported(distances, distances.BaseDistance, ("BaseDistance",)),
        {
            "wrapped": ld.distance_wrapped,
            "wrapped, with margins": ld.distance_margins,
            "our miner": ld.distance_miner,
        },
    ),
    Section(
        "Trainers",
        "Every metric loss is wrapped, and every tuple miner is a `HierarchicalSimilarityMiner`.\n"
        "In DeepAdversarialMetricLearning only `metric_loss` is wrapped. Its other losses see\n"
        "synthetic samples, whose labels cannot be wrong.",
        exported(trainers, trainers.BaseTrainer, ("BaseTrainer",)),
        {"wrapped loss and our miner": pd.trainer_with_wrapper},
    ),
    Section(
        "Testers",
        "With `normalize_embeddings=False`. Without it the radius is lost, and a warning says so.",
        exported(testers, testers.BaseTester, ("BaseTester",)),
        {"PoincareKNN": pd.tester_with_knn},
    ),
    Section(
        "Tools",
        "",
        tuple(_TOOLS),
        {"with the classes of this package": lambda name: _TOOLS[name]()},
    ),
)

_HEADER = """# The contract with pytorch-metric-learning

Look up your class of PML: does it work with this package?

| in the tables | means |
|---|---|
| works | value and gradient, pairs or neighbours are as they should be |
| refused: … | an error when the objects are made; [the messages](#messages) are shortened |
| fails: … | an error of PML or torch in use |

`python -m tests.contract.document` tries every class that PML exports and writes this page.
`tests/contract` compares the page with what happens. So a row fails when a new release of PML
changes something.

"""

_MESSAGES = """## Messages

| in the tables | message |
|---|---|
"""


def document() -> str:
    """The whole text."""
    messages = "".join(f"| {short} | {message} |\n" for message, short in _SHORT.items())
    parts = []
    for section in SECTIONS:
        lines = "\n".join(section.line(row) for row in section.rows)
        text = f"{section.text}\n\n" if section.text else ""
        parts.append(f"## {section.title}\n\n{text}{section.head()}\n{lines}\n")
    return _HEADER + "\n".join([*parts, _MESSAGES + messages])


if __name__ == "__main__":
    warnings.filterwarnings("ignore")  # PML's own, of newer versions of torch and numpy
    torch.set_num_threads(1)  # as in the tests
    PATH.write_text(document(), encoding="utf-8")
    print(f"wrote {PATH}")
