"""Averaged copies of a model hold what the loss of the original has learnt."""

import copy
import gc
import importlib.util
import io
from pathlib import Path

import pytest
import torch
from pytorch_metric_learning import losses
from torch.optim import swa_utils

from pml_ahsml import AdaptiveNoiseAwareLoss, ClassStatistics
from tests.ecosystem.grown_up import INNER, Trained, is_same, optimizer_of, train
from tests.ecosystem.with_lightning import QUIET_LIGHTNING, parts
from tests.noisy_batches import D, K, batch, state_of


@pytest.fixture(params=sorted(INNER))
def inner(request) -> str:
    return request.param


class Averaged:
    """The rules by which torch and timm average; each has the copy in ``module``."""

    def __init__(self, model: torch.nn.Module) -> None:
        self.module = copy.deepcopy(model).eval()

    @torch.no_grad()
    def update(self, model: torch.nn.Module) -> None:
        raise NotImplementedError


class OverState(Averaged):
    """Every value of the state in place, as in timm's ModelEmaV2."""

    def update(self, model):
        with torch.no_grad():
            pairs = zip(self.module.state_dict().values(), model.state_dict().values(), strict=True)
            for mean, latest in pairs:
                mean.copy_(0.9 * mean + 0.1 * latest)


class OverFloats(Averaged):
    """Average all floating point values at once and copy the others, as in ModelEmaV3."""

    def update(self, model):
        with torch.no_grad():
            means, latest = self.module.state_dict().values(), model.state_dict().values()
            pairs = list(zip(means, latest, strict=True))
            floats = [pair for pair in pairs if pair[0].is_floating_point()]
            torch._foreach_lerp_([a for a, _ in floats], [b for _, b in floats], 0.1)
            for mean, value in pairs:
                if not mean.is_floating_point():
                    mean.copy_(value)


class OverParameters(Averaged):
    """Parameters averaged, buffers copied, as in ModelEmaV3 with exclude_buffers."""

    def update(self, model):
        with torch.no_grad():
            pairs = zip(self.module.parameters(), model.parameters(), strict=True)
            for mean, latest in pairs:
                mean.lerp_(latest, 0.1)
            for mean, latest in zip(self.module.buffers(), model.buffers(), strict=True):
                mean.copy_(latest)


class ByName(Averaged):
    """A user's own loop."""

    def update(self, model):
        latest = model.state_dict()
        for name, value in self.module.state_dict().items():
            if value.dtype.is_floating_point:
                value.mul_(0.99).add_(latest[name].detach(), alpha=0.01)


class OfTorch:
    """AveragedModel with some options."""

    def __init__(self, **options) -> None:
        self.options = options

    def __call__(self, model):
        averaged = swa_utils.AveragedModel(model, **self.options)
        averaged.update = averaged.update_parameters
        return averaged


WAYS = {
    "AveragedModel": OfTorch(),
    "AveragedModel, buffers": OfTorch(use_buffers=True),
    "AveragedModel, EMA": OfTorch(
        multi_avg_fn=swa_utils.get_ema_multi_avg_fn(0.9999), use_buffers=True
    ),
    "AveragedModel, avg_fn": OfTorch(avg_fn=swa_utils.get_ema_avg_fn(0.9), use_buffers=True),
    "AveragedModel, SWA": OfTorch(multi_avg_fn=swa_utils.get_swa_multi_avg_fn(), use_buffers=True),
    "over the state": OverState,
    "over floats": OverFloats,
    "over parameters": OverParameters,
    "by name": ByName,
}


def trained_with(way, inner: str, fresh: bool, batches: int = 27):
    model = Trained(inner, fresh)
    averaged = way(model)
    optimizer = optimizer_of(model)
    for number in range(batches):
        train(model, optimizer, number, number + 1)
        averaged.update(model)
    return model, averaged


@pytest.mark.parametrize("name", sorted(WAYS))
def test_it_has_what_the_original_has_learnt(name):
    # from the start: what is averaged must not stay in the warm-up
    model, averaged = trained_with(WAYS[name], "pairs", fresh=True)
    assert averaged.module.loss.noise_rate == model.loss.noise_rate > 0.1
    assert is_same(averaged.module.loss, model.loss)
    weights = averaged.module.network.weight, model.network.weight
    assert not torch.equal(*weights), "the network is averaged"


@pytest.mark.parametrize("name", ["AveragedModel, buffers", "over floats", "over parameters"])
@pytest.mark.parametrize("first_use", ["state", "trust", "noise_rate", "temperature", "pickle"])
def test_it_has_it_whatever_is_called_first(name, first_use):
    model, averaged = trained_with(WAYS[name], "pairs", fresh=False, batches=3)
    ours, theirs = averaged.module.loss, model.loss
    rows, labels, _ = batch(500)
    if first_use == "state":
        assert is_same(ours, theirs)
    elif first_use == "trust":
        assert torch.equal(ours.trust(rows, labels), theirs.trust(rows, labels))
    elif first_use == "noise_rate":
        assert ours.noise_rate == theirs.noise_rate > 0.1
    elif first_use == "temperature":
        # a part by itself, and not by way of the wrapper
        assert ours.noise_model.temperature == theirs.noise_model.temperature
    else:
        buffer = io.BytesIO()
        torch.save(averaged.module, buffer)
        buffer.seek(0)
        assert is_same(torch.load(buffer, weights_only=False).loss, theirs)
    assert is_same(ours, theirs)


# (the other way of averaging buffers, by equal weights, torch refuses for integers)
@pytest.mark.parametrize("name", sorted(WAYS.keys() - {"AveragedModel, SWA"}))
def test_what_a_cross_batch_memory_holds_is_not_averaged(name):
    model, averaged = trained_with(WAYS[name], "queue", fresh=False, batches=3)
    ours, theirs = averaged.module.loss, model.loss
    assert ours.loss.queue_idx == theirs.loss.queue_idx > 0
    assert torch.equal(ours.loss.label_memory, theirs.loss.label_memory)
    assert is_same(ours, theirs)


def test_what_a_loss_has_as_parameters_is_averaged():
    model, averaged = trained_with(OverState, "proxies", fresh=True)
    assert not torch.equal(averaged.module.loss.loss.proxies, model.loss.loss.proxies)
    assert averaged.module.loss.noise_rate == model.loss.noise_rate


def real_timm():
    """Load the file of timm's averages alone, because timm itself needs torchvision."""
    found = importlib.util.find_spec("timm")
    if found is None or found.origin is None:
        pytest.skip("timm is not installed here")
    path = Path(found.origin).parent / "utils" / "model_ema.py"
    spec = importlib.util.spec_from_file_location("timm_model_ema", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("ModelEmaV2", {"decay": 0.9}),
        ("ModelEmaV3", {"decay": 0.9}),
        ("ModelEmaV3", {"decay": 0.9, "foreach": False}),
        ("ModelEmaV3", {"decay": 0.9, "exclude_buffers": True}),
    ],
)
def test_averages_of_timm(name, options, inner):
    of_timm = getattr(real_timm(), name)
    model, averaged = trained_with(lambda m: of_timm(m, **options), inner, True)
    ours, theirs = averaged.module.loss, model.loss
    assert ours.noise_rate == theirs.noise_rate > 0.1
    if inner != "proxies":
        assert is_same(ours, theirs)


@pytest.mark.filterwarnings(*QUIET_LIGHTNING)
@pytest.mark.parametrize("inner", ["queue"])
def test_averages_of_lightning(inner, tmp_path):
    callbacks = pytest.importorskip("lightning.pytorch.callbacks", reason="Lightning is missing")
    if not hasattr(callbacks, "EMAWeightAveraging"):
        pytest.skip("this Lightning has no EMAWeightAveraging")

    def fitted(callbacks, ckpt_path=None, last_epoch=3, fresh=False):
        module, loader, trainer = parts(inner, fresh, tmp_path, last_epoch, callbacks)
        trainer.fit(module, loader, loader, ckpt_path=ckpt_path, weights_only=True)
        return module, trainer

    plain, _ = fitted([])
    averaged, _ = fitted([callbacks.EMAWeightAveraging(decay=0.9)])
    # weights are swapped for validation and back
    assert torch.equal(torch.stack(averaged.values), torch.stack(plain.values))
    assert averaged.rates == plain.rates
    assert averaged.trained.loss.noise_rate == plain.trained.loss.noise_rate
    first, trainer = fitted([callbacks.EMAWeightAveraging(decay=0.9)], last_epoch=2)
    trainer.save_checkpoint(tmp_path / "last.ckpt")
    path = str(tmp_path / "last.ckpt")
    second, _ = fitted([callbacks.EMAWeightAveraging(decay=0.9)], path, fresh=True)
    assert first.rates == plain.rates[: len(first.rates)]
    assert len(second.rates) > 0
    assert second.trained.loss.noise_rate > 0.1


def test_a_plain_copy_stays_what_it_was():
    model = Trained()
    best = copy.deepcopy(model)
    before = state_of(best)
    train(model, optimizer_of(model), 0, 2)
    assert state_of(best) == before
    again = Trained()
    assert torch.equal(
        train(best, optimizer_of(best), 0, 2), train(again, optimizer_of(again), 0, 2)
    )
    assert is_same(best, again)


def test_copies_made_before_training_are_untouched_by_each_other():
    loss = AdaptiveNoiseAwareLoss(losses.ContrastiveLoss(), K, D)
    folds = [copy.deepcopy(loss) for _ in range(2)]
    loss(*batch(0)[:2])
    folds[0](*batch(1)[:2])
    assert folds[1].noise_model.batches == 0
    assert is_same(folds[1], AdaptiveNoiseAwareLoss(losses.ContrastiveLoss(), K, D))
    folds[1](*batch(1)[:2])
    assert is_same(*folds)
    loss(*batch(2)[:2])
    assert is_same(*folds)


def test_a_copy_that_has_learnt_by_itself_takes_nothing_over():
    loss = AdaptiveNoiseAwareLoss(losses.ContrastiveLoss(), K, D)
    other = copy.deepcopy(loss)
    other(*batch(1)[:2])
    before = state_of(other)
    loss(*batch(2)[:2])
    loss(*batch(3)[:2])
    for mean, latest in zip(other.buffers(), loss.buffers(), strict=True):
        mean.copy_(latest)
    assert state_of(other) == before


def test_a_copy_of_an_averaged_copy_is_a_snapshot():
    model, averaged = trained_with(OverFloats, "pairs", False, batches=2)
    best = copy.deepcopy(averaged)
    before = state_of(best.module.loss)
    assert before == state_of(model.loss)
    train(model, optimizer_of(model), 2, 4)
    averaged.update(model)
    assert state_of(best.module.loss) == before != state_of(averaged.module.loss)


def test_an_averaged_copy_outlives_its_original():
    model, averaged = trained_with(WAYS["AveragedModel, buffers"], "pairs", True)
    rate = model.loss.noise_rate
    del model
    gc.collect()
    assert averaged.module.loss.noise_rate == rate


def test_a_resumed_average_goes_on():
    model, averaged = trained_with(WAYS["AveragedModel, EMA"], "pairs", False, batches=2)
    resumed = Trained(fresh=True)
    again = WAYS["AveragedModel, EMA"](resumed)
    resumed.load_state_dict(model.state_dict())
    again.load_state_dict(averaged.state_dict())
    assert is_same(again, averaged)
    train(resumed, optimizer_of(resumed), 2, 4)
    again.update(resumed)
    assert is_same(again.module.loss, resumed.loss)


def test_an_unpickled_average_says_that_its_original_is_gone():
    model, averaged = trained_with(WAYS["AveragedModel, buffers"], "pairs", False, batches=2)
    del averaged.update  # ours
    buffer = io.BytesIO()
    torch.save(averaged, buffer)
    buffer.seek(0)
    again = torch.load(buffer, weights_only=False)
    assert is_same(again.module.loss, model.loss)
    train(model, optimizer_of(model), 2, 4)
    again.update_parameters(model)
    with pytest.raises(RuntimeError, match="got some that were written into from outside"):
        again.module.loss.trust(*batch(0)[:2])
    with pytest.raises(RuntimeError, match="copy the loss that is trained"):
        again.state_dict()
    again.module.load_state_dict(model.state_dict())
    assert is_same(again.module.loss, model.loss)


def test_averages_in_a_module_that_is_no_copy_are_an_error():
    model, other = Trained(), Trained(fresh=True)
    other.load_state_dict(model.state_dict())
    train(model, optimizer_of(model), 0, 2)
    with torch.no_grad():
        for mean, latest in zip(
            other.state_dict().values(), model.state_dict().values(), strict=True
        ):
            mean.copy_(0.5 * mean + 0.5 * latest)
    for use in (lambda: other.loss.trust(*batch(0)[:2]), lambda: other.state_dict()):
        with pytest.raises(RuntimeError, match="must be changed by its own methods or by load"):
            use()


def test_averaged_values_are_refused_when_loaded():
    model = Trained()
    states = [copy.deepcopy(model.state_dict())]
    train(model, optimizer_of(model), 0, 1)
    states.append(model.state_dict())
    mean = {name: 0.5 * (value + states[1][name]) for name, value in states[0].items()}
    before = state_of(model)
    with pytest.raises(ValueError, match="must hold whole numbers, .* not averaged over several"):
        model.loss.load_state_dict(
            {
                name.removeprefix("loss."): value.to(states[0][name].dtype)
                for name, value in mean.items()
                if name.startswith("loss.")
            }
        )
    assert state_of(model) == before


def test_equal_buffers_from_another_rank_change_nothing():
    # DistributedDataParallel writes those of rank 0 into all others before each forward
    first, second = Trained(), Trained()
    copied = copy.deepcopy(second)
    for number in range(3):
        for theirs, ours in zip(first.buffers(), copied.buffers(), strict=True):
            ours.copy_(theirs)
        for model in (first, second, copied):
            train(model, optimizer_of(model), number, number + 1)
    assert is_same(first, second)
    assert is_same(copied, second)


def test_statistics_by_themselves_are_taken_over_too():
    statistics = ClassStatistics(K, D)
    averaged = WAYS["AveragedModel, buffers"](statistics)
    for seed in range(3):
        statistics.update(*batch(seed)[:2])
        averaged.update(statistics)
    assert torch.equal(averaged.module.visits, statistics.visits)
    assert is_same(averaged.module, statistics)


def test_a_copy_on_another_device_takes_over_onto_it():
    statistics = ClassStatistics(K, D)
    averaged = OverParameters(statistics)
    averaged.module.half()
    statistics.update(*batch(0)[:2])
    averaged.update(statistics)
    assert averaged.module.means.dtype == torch.float32
    assert torch.equal(averaged.module.means, statistics.means)
