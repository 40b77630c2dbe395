import json
import sys

import pytest
import torch
from image_retrieval.checkpoints import start
from image_retrieval.presets import PRESETS
from image_retrieval.settings import Settings
from image_retrieval.training import Run
from train_image_retrieval import main, train


def flattened(value, name=""):
    """All tensors and numbers of a nested state, by name."""
    if isinstance(value, dict):
        items = value.items()
    elif isinstance(value, list | tuple):
        items = enumerate(value)
    else:
        return {name: value}
    return {k: v for key, each in items for k, v in flattened(each, f"{name}.{key}").items()}


def assert_same(first, second):
    first, second = flattened(first), flattened(second)
    assert first.keys() == second.keys()
    for name, value in first.items():
        if isinstance(value, torch.Tensor):
            assert torch.equal(value, second[name]), name
        else:
            assert value == second[name], name


def checkpoint(output):
    return torch.load(output / "checkpoint.pt", weights_only=True)


def started(options):
    run = Run(Settings(**options))
    start(run)
    return run


def test_training_helps_retrieval_of_unseen_classes(options, many_photos):
    given = {"root": str(many_photos), "batch_size": 32, "epochs": 2, "steps_per_epoch": 15}
    given |= {"lr": 3e-3, "min_scale": 0.7, "evaluate_every": 2, "noise_aware": False}
    run = Run(Settings(**options | given))
    before = run.evaluate()
    after = train(run)
    # five seeds gain between .033 and .072
    assert after["mean_average_precision_at_r"] > before["mean_average_precision_at_r"] + 0.02
    assert run.history[-1]["loss"] < run.history[0]["loss"]


@pytest.mark.parametrize("distance", ["cosine", "poincare"])
def test_evaluation_is_by_the_distance_of_training(options, distance):
    def fixed(embeddings):
        """Embeds the test images, 8 of each of 4 classes in one batch, as given."""
        given = {"batch_size": 32, "samples_per_class": 8, "distance": distance}
        run = Run(Settings(**options | given))
        run.network = torch.nn.Module()
        run.network.forward = lambda images: embeddings
        return run.evaluate()

    classes, others = torch.arange(32) // 8, torch.arange(32) % 8
    by_angle = (0.3 + 0.3 * classes, 0.2 + 0.25 * others)
    by_norm = (0.3 + 0.02 * others, 0.2 + 0.5 * classes)
    for (angle, norm), right in ((by_angle, "cosine"), (by_norm, "poincare")):
        embeddings = torch.zeros(32, 8)
        embeddings[:, 0], embeddings[:, 1] = norm * angle.cos(), norm * angle.sin()
        figures = fixed(embeddings)
        assert (figures["mean_average_precision_at_r"] == 1) == (distance == right)


# one of each kind of state: label model and replay memory; margins, views and a scheduler;
# proxies; a cross-batch memory inside the wrapper
RESUMED = {
    "noise aware": {"noise_rate": 0.3, "warmup": 3},
    "ahsml": {
        "warmup": 3,
        "views": 2,
        "margins": True,
        "view_margin": True,
        "distance": "poincare",
        "schedule": "cosine",
        "clip_norm": 1.0,
    },
    "proxies": {"loss": "proxy_anchor", "warmup": 3, "optimizer": "sgd"},
    "memory": {"loss": "contrastive", "warmup": 3, "memory_size": 40},
    "bfloat16": {"precision": "bfloat16", "noise_aware": False},
}


@pytest.mark.parametrize("given", RESUMED.values(), ids=RESUMED)
def test_a_killed_run_resumes_as_if_it_had_not_stopped(options, given, tmp_path, monkeypatch):
    options |= given | {"epochs": 2, "evaluate_every": 2}
    train(Run(Settings(**options)))

    options |= {"output": str(tmp_path / "killed")}
    step, count = Run.step, 0

    def killed_in_the_second_epoch(self, images, labels):
        nonlocal count
        count += 1
        if count == 4 + 3:
            raise KeyboardInterrupt
        return step(self, images, labels)

    monkeypatch.setattr(Run, "step", killed_in_the_second_epoch)
    with pytest.raises(KeyboardInterrupt):
        train(Run(Settings(**options)))
    assert checkpoint(tmp_path / "killed")["epoch"] == 1
    torch.manual_seed(99)  # a new process knows nothing of the old one's randomness

    resumed = started(options | {"resume": True})
    assert resumed.epoch == 1
    train(resumed)
    assert_same(checkpoint(tmp_path / "killed"), checkpoint(tmp_path / "run"))
    assert len(resumed.history) == 2


def test_resuming_with_other_options_is_an_error(options, tmp_path):
    with pytest.raises(ValueError, match=r"output must hold a checkpoint\.pt to resume from"):
        started(options | {"resume": True})
    train(Run(Settings(**options | {"epochs": 1})))
    with pytest.raises(ValueError, match=r"lr must be 0\.001, as in the checkpoint.*got 0\.01"):
        started(options | {"epochs": 1, "resume": True, "lr": 0.01})
    again = started(options | {"epochs": 1, "resume": True, "workers": 1})
    assert train(again) == again.history[0]  # nothing is left to do


def test_a_finished_run_is_not_overwritten(options):
    train(Run(Settings(**options | {"epochs": 1})))
    with pytest.raises(ValueError, match=r"output must be without a checkpoint\.pt unless resume"):
        started(options | {"epochs": 1})


def test_files_of_a_run(options, tmp_path):
    run = Run(Settings(**options | {"tensorboard": True, "noise_rate": 0.25, "warmup": 3}))
    last = train(run)
    results = json.loads((tmp_path / "run/results.json").read_text())
    assert results["history"][-1] == last
    assert results["settings"]["noise_rate"] == 0.25
    assert results["versions"]["torch"] == torch.__version__
    assert last["true_noise_rate"] == 0.25
    assert 0 < last["noise_rate"] < 1  # the warm-up of 3 batches is over
    assert "noise_rate" in results["history"][0]
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(tmp_path / "run/tensorboard")).Reload()
    assert [event.step for event in events.Scalars("precision_at_1")] == [1, 2, 3]
    assert events.Scalars("loss")[-1].value == pytest.approx(last["loss"])


def test_missing_tensorboard_is_an_error_before_data_are_read(options, monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorboard", None)
    with pytest.raises(ImportError, match="tensorboard cannot be imported; .* --no-tensorboard"):
        Run(Settings(**options | {"tensorboard": True, "root": "nowhere"}))


@pytest.mark.parametrize("name", PRESETS)
def test_each_preset_trains_with_a_tiny_backbone(options, name):
    small = ("samples_per_class", "lr")
    given = {k: v for k, v in options.items() if k not in small} | {
        "epochs": 1,
        "evaluate_every": 1,
    }
    classes = {"hyp": 4, "ahs": 4, "pri": 4}[name[:3]]
    per_class = PRESETS[name].options["samples_per_class"]
    given |= {"batch_size": classes * per_class, "steps_per_epoch": 1}
    run = Run(Settings(**PRESETS[name].options | given))
    assert run.train_epoch()["loss"] > 0
    assert 0 <= run.evaluate()["precision_at_1"] <= 1


def test_bfloat16_computes_the_network_in_half_precision(options):
    seen = []
    run = Run(Settings(**options | {"precision": "bfloat16"}))
    run.network[1].register_forward_hook(lambda module, inputs, output: seen.append(output.dtype))
    loss = run.loss.forward
    run.loss.forward = lambda e, *a, **k: seen.append(e.dtype) or loss(e, *a, **k)
    assert run.train_epoch()["loss"] > 0
    assert set(seen[::2]) == {torch.bfloat16}
    assert set(seen[1::2]) == {torch.float32}


def test_gradients_are_clipped(options):
    given = {"clip_norm": 1e-3, "optimizer": "sgd", "weight_decay": 0.0, "lr": 1.0}
    run = Run(Settings(**options | given))
    before = torch.nn.utils.parameters_to_vector(run.network.parameters()).detach()
    images, labels = torch.randn(16, 3, 16, 16), torch.arange(16) % 4
    run.step(images, labels)
    after = torch.nn.utils.parameters_to_vector(run.network.parameters()).detach()
    assert float((after - before).norm()) == pytest.approx(1e-3, rel=1e-3)


def test_batches_that_the_data_cannot_fill_are_errors(options):
    with pytest.raises(ValueError, match="times the 4 classes of the training set, 16, got 32"):
        Run(Settings(**options | {"batch_size": 32}))
    given = {"batch_size": 40, "samples_per_class": 10, "steps_per_epoch": None}
    with pytest.raises(ValueError, match="at most the number of training images, 32, unless"):
        Run(Settings(**options | given))


def test_a_loss_that_is_not_finite_stops_the_run(options):
    run = Run(Settings(**options | {"noise_aware": False}))
    run.loss.forward = lambda embeddings, labels: embeddings.sum() * torch.nan
    with pytest.raises(FloatingPointError, match="the loss is nan in epoch 1"):
        train(run)


def test_the_command_line(options, capsys):
    arguments = []
    for name, value in options.items():
        flag = name.replace("_", "-")
        if isinstance(value, bool):
            arguments.append(f"--{flag}" if value else f"--no-{flag}")
        elif name != "freeze":
            arguments += [f"--{flag}", str(value)]
    figures = main([*arguments, "--noise-rate", "0.25", "--epochs", "1"])
    output = capsys.readouterr().out
    assert "32 images of 4 classes to train on, 32 of 4 others to test with, on cpu" in output
    assert f"precision_at_1 {figures['precision_at_1']:.4g}" in output
    with pytest.raises(SystemExit):
        main([*arguments, "--batch-size", "64"])
    assert "error: batch_size must be at most" in capsys.readouterr().err
