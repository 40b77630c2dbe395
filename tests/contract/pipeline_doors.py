"""Trainers, testers and inference with the classes of this package."""

import copy
import logging
import tempfile
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import torch
from pytorch_metric_learning import losses, testers, trainers
from pytorch_metric_learning.samplers import MPerClassSampler
from pytorch_metric_learning.utils import common_functions as c_f
from pytorch_metric_learning.utils import logging_presets
from pytorch_metric_learning.utils.accuracy_calculator import AccuracyCalculator
from pytorch_metric_learning.utils.inference import InferenceModel, MatchFinder

from pml_ahsml import (
    AdaptiveNoiseAwareLoss,
    HierarchicalSimilarityMiner,
    PoincareDistance,
    PoincareKNN,
)
from tests.contract.loss_doors import FILTER
from tests.contract.outcome import WORKS, ensure

K, D, BATCH, STEPS = 4, 6, 24, 5
LABELS = torch.arange(K).repeat_interleave(12)
DATA = torch.randn(len(LABELS), 8, generator=torch.Generator().manual_seed(4))
DATA = DATA + 2 * torch.eye(K, 8)[LABELS]


class TwoStreams(torch.utils.data.Dataset):
    """(anchor, another of its class, label), as the two-stream trainer and tester want it."""

    def __len__(self) -> int:
        return len(LABELS)

    def __getitem__(self, index: int) -> tuple[torch.Tensor, torch.Tensor, int]:
        label = int(LABELS[index])
        other = (index + 1) % 12 + 12 * label
        return DATA[index], DATA[other], label


def _wrapped(size: int, loss: Any = None) -> AdaptiveNoiseAwareLoss:
    loss = losses.TripletMarginLoss(margin=2, distance=PoincareDistance()) if loss is None else loss
    return AdaptiveNoiseAwareLoss(loss, K, size, warmup=2, class_warmup=1, **FILTER)


def _quietly(action: Any) -> Any:
    level = c_f.LOGGER.level
    c_f.LOGGER.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            # PML's progress bar formats a tensor that carries a gradient
            warnings.filterwarnings("ignore", message="Converting a tensor with requires_grad=True")
            return action()
    finally:
        c_f.LOGGER.setLevel(level)


def _trainer(cls: type) -> tuple[Any, list[AdaptiveNoiseAwareLoss]]:
    """A stock trainer with wrapped losses and our miner, and those losses."""
    models: dict[str, Any] = {"trunk": torch.nn.Linear(8, D), "embedder": torch.nn.Linear(D, D)}
    loss_funcs: dict[str, Any] = {"metric_loss": _wrapped(D)}
    miner = HierarchicalSimilarityMiner()
    options: dict[str, Any] = {"mining_funcs": {"tuple_miner": miner}}
    dataset: Any = torch.utils.data.TensorDataset(DATA, LABELS)
    arguments: tuple[Any, ...] = ()
    if cls in (trainers.TrainWithClassifier, trainers.DeepAdversarialMetricLearning):
        models["classifier"] = torch.nn.Linear(D, K)
        loss_funcs["classifier_loss"] = torch.nn.CrossEntropyLoss()
    if cls is trainers.DeepAdversarialMetricLearning:
        models["generator"] = torch.nn.Linear(3 * D, D)
        loss_funcs["synth_loss"] = losses.TripletMarginLoss()
        loss_funcs["g_adv_loss"] = losses.TripletMarginLoss()
        names = [*loss_funcs, "g_hard_loss", "g_reg_loss"]
        options["loss_weights"] = dict.fromkeys(names, 1)
        options["g_triplets_per_anchor"] = 5
    if cls is trainers.TwoStreamMetricLoss:
        dataset = TwoStreams()
    if cls is trainers.CascadedEmbeddings:
        half = D // 2
        arguments = ([half, half],)
        loss_funcs = {f"metric_loss_{i}": _wrapped(half) for i in range(2)}
        options["mining_funcs"] = {f"tuple_miner_{i}": copy.deepcopy(miner) for i in range(2)}
    trainer = cls(
        *arguments,
        models=models,
        optimizers={
            f"{name}_optimizer": torch.optim.SGD(model.parameters(), lr=0.01)
            for name, model in models.items()
        },
        batch_size=BATCH,
        loss_funcs=loss_funcs,
        dataset=dataset,
        sampler=MPerClassSampler(LABELS, m=6, batch_size=BATCH, length_before_new_iter=BATCH),
        dataloader_num_workers=0,
        iterations_per_epoch=STEPS,
        data_device="cpu",
        **options,
    )
    return trainer, [
        loss for loss in loss_funcs.values() if isinstance(loss, AdaptiveNoiseAwareLoss)
    ]


def trainer_with_wrapper(cls: type) -> str:
    """Trains with wrapped losses and our miner; they have learnt from each batch."""
    torch.manual_seed(0)
    c_f.NUMPY_RANDOM, before = np.random.default_rng(0), c_f.NUMPY_RANDOM
    try:
        trainer, wrapped = _quietly(lambda: _trainer(cls))
        weight = trainer.models["trunk"].weight.clone()
        _quietly(lambda: trainer.train(num_epochs=1))
    finally:
        c_f.NUMPY_RANDOM = before
    ensure(not torch.equal(weight, trainer.models["trunk"].weight), "the network has moved")
    for loss in wrapped:
        ensure(loss.class_statistics.visits.tolist() == [STEPS] * K, "each batch was learnt from")
        ensure(0 < loss.noise_rate < 1, "the warm-up is over")
    return WORKS


# --- testers -------------------------------------------------------------------------------------

# Classes of one direction each in two radii: the radius is what tells half of them apart.
_EACH = 5
_ANGLES = torch.rand(4 * _EACH, generator=torch.Generator().manual_seed(5))
_POINT_LABELS = torch.arange(4).repeat_interleave(_EACH)
_RADII = torch.tensor([0.3, 2.0, 0.3, 2.0])[_POINT_LABELS]
_ANGLES = _ANGLES + 3 * (_POINT_LABELS // 2)
POINTS = torch.stack([_ANGLES.cos() * _RADII, _ANGLES.sin() * _RADII], 1)
_TURN = torch.tensor([[0.98, 0.2], [-0.2, 0.98]])


def _precision(query: torch.Tensor, y: torch.Tensor, refs: torch.Tensor, z: torch.Tensor) -> float:
    """Precision@1 by loops, a point itself left out where queries are their own references."""
    hits = 0
    for i, point in enumerate(query):
        best, nearest = float("inf"), -1
        for j, other in enumerate(refs):
            gap = float(PoincareDistance()(point[None].double(), other[None].double()))
            if gap < best and not (refs is query and i == j):
                best, nearest = gap, j
        hits += int(y[i] == z[nearest])
    return hits / len(query)


class _Pairs(torch.utils.data.Dataset):
    """Two streams: a point, and the same turned about the origin."""

    def __len__(self) -> int:
        return len(POINTS)

    def __getitem__(self, index: int) -> tuple[torch.Tensor, torch.Tensor, int]:
        turned = POINTS[index] @ _TURN
        return POINTS[index], turned, int(_POINT_LABELS[index])


def tester_with_knn(cls: type) -> str:
    """The hyperbolic precision@1, with PoincareKNN and embeddings left as they are."""
    calculator = AccuracyCalculator(include=("precision_at_1",), knn_func=PoincareKNN())
    options: dict[str, Any] = {
        "dataloader_num_workers": 0,
        "accuracy_calculator": calculator,
        "data_device": "cpu",
    }
    labels, parents = _POINT_LABELS, _POINT_LABELS // 2
    dataset: Any = torch.utils.data.TensorDataset(POINTS, labels)
    expected = _precision(POINTS, labels, POINTS, labels)
    if cls is testers.GlobalTwoStreamEmbeddingSpaceTester:
        dataset = _Pairs()
        refs = torch.stack([dataset[i][1] for i in range(len(dataset))])
        expected = _precision(POINTS, labels, refs, labels)
    if cls is testers.WithSameParentLabelTester:
        dataset = torch.utils.data.TensorDataset(POINTS, torch.stack([labels, parents], 1))
        parts = [parents == parent for parent in range(2)]
        expected = sum(
            _precision(points, labels[part], points, labels[part])
            for part in parts
            for points in [POINTS[part]]
        ) / len(parts)

    def accuracy(normalize: bool) -> float:
        tester = cls(normalize_embeddings=normalize, **options)
        result = tester.test({"val": dataset}, 1, torch.nn.Identity())
        return float(result["val"]["precision_at_1_level0"])

    found = _quietly(lambda: accuracy(False))
    ensure(abs(found - expected) < 1e-6, f"precision@1 {found} is not {expected}")
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        spoilt = _quietly(lambda: accuracy(True))
    ensure(spoilt != found, "normalised embeddings are another thing")
    said = any("normalize_embeddings=False" in str(warning.message) for warning in warned)
    ensure(said, "a warning that says so")
    return WORKS


# --- other tools ---------------------------------------------------------------------------------


def inference_model() -> str:
    """Neighbours and matches by hyperbolic distance."""
    distance = PoincareDistance()
    model = InferenceModel(
        torch.nn.Identity(),
        match_finder=MatchFinder(distance, threshold=0.5),
        normalize_embeddings=False,
        knn_func=PoincareKNN(distance, reset_before=False, reset_after=False),
        data_device="cpu",
    )
    model.train_knn(torch.utils.data.TensorDataset(POINTS, _POINT_LABELS))
    gaps, indices = model.get_nearest_neighbors(POINTS[:5], 3)
    every = distance(POINTS[:5].double(), POINTS.double())
    ensure(torch.equal(indices, every.argsort(1)[:, :3]), "the nearest")
    ensure(torch.allclose(gaps.double(), every.sort(1).values[:, :3], atol=1e-5), "their distances")
    matches = model.get_matches(POINTS[:5], POINTS)
    ensure((matches == (every <= 0.5).numpy()).all(), "matches")
    return WORKS


def match_finder() -> str:
    """Pairs nearer than a threshold."""
    finder = MatchFinder(PoincareDistance(), threshold=1.0)
    expected = (PoincareDistance()(POINTS) <= 1.0).numpy()
    ensure(0 < expected.sum() < expected.size, "some match and some do not")
    ensure((finder.get_matching_pairs(POINTS) == expected).all(), "pairs of a matrix")
    ensure(
        (
            finder.is_match(POINTS, POINTS.roll(1, 0))
            == expected[range(len(POINTS)), range(-1, len(POINTS) - 1)]
        ).all(),
        "rows",
    )
    return WORKS


def accuracy_calculator() -> str:
    """Metrics from hyperbolic neighbours."""
    calculator = AccuracyCalculator(
        include=("precision_at_1", "mean_average_precision_at_r"),
        knn_func=PoincareKNN(),
        k="max_bin_count",
    )
    found = calculator.get_accuracy(POINTS, _POINT_LABELS)
    expected = _precision(POINTS, _POINT_LABELS, POINTS, _POINT_LABELS)
    ensure(abs(found["precision_at_1"] - expected) < 1e-6, "precision@1")
    ensure(0 < found["mean_average_precision_at_r"] <= 1, "MAP@R")
    return WORKS


# --- hooks ---------------------------------------------------------------------------------------


class Run:
    """A training run with HookContainer that saves itself each epoch and can be taken up again.

    Batches of epoch e depend on e alone, so that a run resumed sees what the other would have.
    """

    def __init__(self, folder: Path) -> None:
        torch.manual_seed(0)
        self.folder = folder
        recorder, self.writer, self.board = logging_presets.get_record_keeper(
            str(folder / "csv"), str(folder / "tensorboard")
        )
        self.hooks = logging_presets.HookContainer(
            recorder, primary_metric="precision_at_1", log_freq=1
        )
        tester = testers.GlobalEmbeddingSpaceTester(
            normalize_embeddings=False,
            dataloader_num_workers=0,
            accuracy_calculator=AccuracyCalculator(
                include=("precision_at_1",), knn_func=PoincareKNN()
            ),
            data_device="cpu",
            end_of_testing_hook=self.hooks.end_of_testing_hook,
        )
        dataset = torch.utils.data.TensorDataset(DATA, LABELS)
        save = self.hooks.end_of_epoch_hook(tester, {"val": dataset}, str(folder / "models"))
        # with wrong labels, so that there is something to learn
        noisy = torch.where(torch.arange(len(LABELS)) % 5 == 0, (LABELS + 1) % K, LABELS)
        self.loss = _wrapped(D, losses.ProxyAnchorLoss(K, D))
        trunk = torch.nn.Linear(8, D)
        self.values: list[float] = []

        def end_of_iteration(trainer: Any) -> None:
            self.values.append(float(trainer.losses["metric_loss"].detach()))
            self.hooks.end_of_iteration_hook(trainer)

        def end_of_epoch(trainer: Any) -> Any:
            go_on = save(trainer)
            self.seed(trainer.epoch + 1)
            return go_on

        self.trainer = trainers.MetricLossOnly(
            models={"trunk": trunk},
            optimizers={
                "trunk_optimizer": torch.optim.AdamW(trunk.parameters(), lr=0.01),
                "metric_loss_optimizer": torch.optim.AdamW(self.loss.parameters(), lr=0.1),
                "embedder_optimizer": torch.optim.SGD([torch.zeros(1)], lr=0.01),
            },
            batch_size=BATCH,
            loss_funcs={"metric_loss": self.loss},
            mining_funcs={},
            dataset=torch.utils.data.TensorDataset(DATA, noisy),
            sampler=MPerClassSampler(
                noisy, m=6, batch_size=BATCH, length_before_new_iter=2 * BATCH
            ),
            dataloader_num_workers=0,
            data_device="cpu",
            end_of_iteration_hook=end_of_iteration,
            end_of_epoch_hook=end_of_epoch,
        )

    @staticmethod
    def seed(epoch: int) -> None:
        """Make what follows depend on the epoch."""
        torch.manual_seed(epoch)
        c_f.NUMPY_RANDOM = np.random.default_rng(epoch)

    def resume(self) -> int:
        """Load what the last epoch saved; the epoch to go on with."""
        return int(
            self.hooks.load_latest_saved_models(
                self.trainer, str(self.folder / "models"), torch.device("cpu")
            )
        )

    def train(self, start: int, end: int) -> None:
        """Epochs start … end."""
        self.seed(start)
        self.trainer.train(start_epoch=start, num_epochs=end)

    def close(self) -> None:
        """Let go of the files."""
        self.board.close()

    def state(self) -> dict[str, Any]:
        """Everything that the trainer holds."""
        holders = {**self.trainer.models, **self.trainer.loss_funcs, **self.trainer.optimizers}
        return {name: copy.deepcopy(holder.state_dict()) for name, holder in holders.items()}


def hook_container() -> str:
    """Trains, saves and resumes through PML's own hooks, bit for bit."""
    before = c_f.NUMPY_RANDOM
    try:
        with tempfile.TemporaryDirectory() as folder:
            return _quietly(lambda: _resumed_is_whole(Path(folder)))
    finally:
        c_f.NUMPY_RANDOM = before


def _resumed_is_whole(folder: Path) -> str:
    whole = Run(folder / "whole")
    whole.train(1, 6)
    killed = Run(folder / "killed")
    killed.train(1, 3)
    killed.close()
    resumed = Run(folder / "killed")
    ensure(resumed.resume() == 4, "the epoch to go on with")
    resumed.train(4, 6)
    ensure(killed.values + resumed.values == whole.values, "the same losses")
    ensure(_equal(resumed.state(), whole.state()), "the same state")
    ensure(resumed.loss.noise_rate == whole.loss.noise_rate > 0, "the same noise rate")
    for run in (whole, resumed):
        run.close()
    _check_records(whole)
    return "works: trains, saves and resumes bit for bit"


def _check_records(run: Run) -> None:
    """The wrapper is on record, and no table of its statistics."""
    tables = run.hooks.record_keeper.query("SELECT name FROM sqlite_master WHERE type='table'")
    names = [table["name"] for table in tables]
    ensure("metric_loss_AdaptiveNoiseAwareLoss" in names, f"the wrapper on record among {names}")
    wide = run.writer.records_that_are_lists
    proxies = ("loss_ProxyAnchorLoss__parameters", "proxies")
    ensure(wide <= {proxies}, f"no table but the loss's own proxies on record, found {wide}")


def _equal(first: Any, second: Any) -> bool:
    if isinstance(first, torch.Tensor):
        return torch.equal(first, second)
    if isinstance(first, dict):
        return first.keys() == second.keys() and all(_equal(first[k], second[k]) for k in first)
    if isinstance(first, list | tuple):
        return len(first) == len(second) and all(map(_equal, first, second))
    return bool(first == second)
