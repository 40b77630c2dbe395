"""Checkpoints of other libraries: train, save, load, continue, as if nothing had happened."""

import copy
import inspect
import io

import pytest
import torch
from pytorch_metric_learning import losses

from pml_ahsml import AdaptiveNoiseAwareLoss
from tests.ecosystem.grown_up import INNER, Trained, is_at_work, is_same, optimizer_of, train
from tests.ecosystem.with_lightning import BATCHES, QUIET_LIGHTNING, parts
from tests.noisy_batches import D, K, batch, state_of
from tests.states import with_state

CUT, END = 6, 12


def package(name: str):
    return pytest.importorskip(name, reason=f"{name} is not installed here")


@pytest.fixture(params=sorted(INNER))
def inner(request) -> str:
    return request.param


def cut_in_two(inner: str, save_and_load) -> None:
    """Train once without a break, and once with a checkpoint that new models load."""
    whole, first, second = Trained(inner), Trained(inner), Trained(inner, fresh=True)
    optimizers = [optimizer_of(model) for model in (whole, first, second)]
    expected = train(whole, optimizers[0], 0, END)
    assert is_at_work(whole)
    train(first, optimizers[1], 0, CUT)
    save_and_load(first, second)
    assert is_same(first, second)
    optimizers[2].load_state_dict(optimizers[1].state_dict())
    assert torch.equal(train(second, optimizers[2], CUT, END), expected[CUT:])
    assert is_same(second, whole)


def test_torch_with_weights_only(inner):
    def save_and_load(first, second):
        buffer = io.BytesIO()
        torch.save(first.state_dict(), buffer)
        buffer.seek(0)
        second.load_state_dict(torch.load(buffer, weights_only=True))

    cut_in_two(inner, save_and_load)


def test_every_entry_is_a_tensor_of_its_own(inner):
    state = Trained(inner).state_dict()
    assert all(isinstance(value, torch.Tensor) for value in state.values())
    assert all(value.is_contiguous() for value in state.values())
    places = [value.untyped_storage().data_ptr() for value in state.values()]
    assert len(set(places)) == len(places)


def test_safetensors(inner, tmp_path):
    st = package("safetensors.torch")

    def save_and_load(first, second):
        st.save_model(first, tmp_path / "model.safetensors")
        assert st.load_model(second, tmp_path / "model.safetensors") == (set(), [])

    cut_in_two(inner, save_and_load)


def test_safetensors_with_a_parameter_of_two_names(tmp_path):
    st = package("safetensors.torch")
    from pml_ahsml import PoincareDistance

    def make(curvature):
        distance = PoincareDistance(curvature, learn_curvature=True)
        return AdaptiveNoiseAwareLoss(losses.TripletMarginLoss(distance=distance), K, D)

    saved, loaded = make(0.2), make(0.1)
    assert "loss.distance.log_curvature" in saved.state_dict()
    assert "class_statistics.distance.log_curvature" in saved.state_dict()
    saved(*batch(0)[:2])
    st.save_model(saved, tmp_path / "loss.safetensors")
    st.load_model(loaded, tmp_path / "loss.safetensors")
    assert is_same(saved, loaded)


@pytest.mark.parametrize("is_prepared", [False, True], ids=["in the model", "prepared"])
def test_accelerate(inner, is_prepared, tmp_path):
    accelerate = package("accelerate")
    from accelerate.state import AcceleratorState, GradientState

    def prepared(model):
        accelerator = accelerate.Accelerator(cpu=True)
        optimizer = optimizer_of(model)
        if not is_prepared:
            return accelerator, *accelerator.prepare(model, optimizer)
        # as a loss with proxies is: a model of its own
        network, loss, optimizer = accelerator.prepare(model.network, model.loss, optimizer)
        assert network is model.network
        assert loss is model.loss
        return accelerator, model, optimizer

    whole = Trained(inner)
    expected = train(whole, optimizer_of(whole), 0, END)
    try:
        accelerator, first, optimizer = prepared(Trained(inner))
        train(first, optimizer, 0, CUT)
        accelerator.save_state(str(tmp_path / "state"))
        accelerator, second, optimizer = prepared(Trained(inner, fresh=True))
        accelerator.load_state(str(tmp_path / "state"))
        assert torch.equal(train(second, optimizer, CUT, END), expected[CUT:])
        assert is_same(second, whole)
    finally:
        AcceleratorState._reset_state(reset_partial_state=True)
        GradientState._reset_state()


@pytest.mark.filterwarnings(*QUIET_LIGHTNING)
def test_lightning(inner, tmp_path):
    package("lightning.pytorch")
    whole, loader, trainer = parts(inner, False, tmp_path, 2)
    trainer.fit(whole, loader, loader)
    first, loader, trainer = parts(inner, False, tmp_path, 1)
    trainer.fit(first, loader, loader)
    trainer.save_checkpoint(tmp_path / "last.ckpt")
    second, loader, trainer = parts(inner, True, tmp_path, 2)
    trainer.fit(second, loader, loader, ckpt_path=str(tmp_path / "last.ckpt"), weights_only=True)
    assert is_at_work(whole.trained)
    assert len(first.values) == len(second.values) == BATCHES
    assert torch.equal(torch.stack(first.values + second.values), torch.stack(whole.values))
    assert is_same(second, whole)


@pytest.mark.filterwarnings("ignore:torch.distributed is disabled")
def test_distributed_checkpoint(inner, tmp_path):
    from torch.distributed import checkpoint as dcp
    from torch.distributed.checkpoint import state_dict as helpers

    if "checkpoint_id" not in inspect.signature(dcp.save).parameters:
        pytest.skip("the checkpoints of this torch want a writer")

    def save_and_load(first, second):
        dcp.save(helpers.get_model_state_dict(first), checkpoint_id=tmp_path, no_dist=True)
        state = helpers.get_model_state_dict(second)
        dcp.load(state, checkpoint_id=tmp_path, no_dist=True)
        helpers.set_model_state_dict(second, state)

    cut_in_two(inner, save_and_load)


def test_a_wrapper_loaded_in_inference_mode_can_train(inner):
    def save_and_load(first, second):
        with torch.inference_mode():
            second.load_state_dict(copy.deepcopy(first.state_dict()))

    cut_in_two(inner, save_and_load)


def test_first_used_in_inference_mode_it_trains_afterwards():
    model = Trained(fresh=True)
    with torch.inference_mode():
        # as a sanity check before the training does; the tables have to follow the embeddings
        model.loss.to("meta").to_empty(device="cpu")
        model.loss.load_state_dict(Trained().loss.state_dict())
        model.loss.trust(*batch(1)[:2])
    train(model, optimizer_of(model), 0, 2)


@pytest.mark.parametrize("way", ["assign", "to_empty"])
def test_made_on_the_meta_device(inner, way):
    first = Trained(inner)
    whole = Trained(inner)
    train(first, optimizer_of(first), 0, CUT)
    train(whole, optimizer_of(whole), 0, CUT)
    with torch.device("meta"):
        second = AdaptiveNoiseAwareLoss(INNER[inner](), K, D, replay_memory=100)
    assert second.class_statistics.means.is_meta
    state = copy.deepcopy(first.loss.state_dict())
    if way == "to_empty":
        second.to_empty(device="cpu")
    second.load_state_dict(state, assign=way == "assign")
    before = {name: value.clone() for name, value in state.items()}
    assert not any(value.is_meta for value in [*second.state_dict().values(), *second.buffers()])
    whole.loss.collect_stats = False
    rows, labels, _ = batch(300)
    assert torch.equal(second(rows, labels), whole.loss(rows, labels))
    assert is_same(second, whole.loss)
    tables = [name for name in state if not name.startswith("loss.")]
    assert all(torch.equal(state[name], before[name]) for name in tables), (
        "a state is not learnt in"
    )


def test_loading_onto_the_meta_device_needs_assign():
    with torch.device("meta"):
        loss = AdaptiveNoiseAwareLoss(losses.ContrastiveLoss(), K, D)
    state = AdaptiveNoiseAwareLoss(losses.ContrastiveLoss(), K, D).state_dict()
    with pytest.raises(ValueError, match="assign must be True to load changes on the meta device"):
        loss.load_state_dict(state)


CASTS = {
    "half": lambda m: m.half(),
    "bfloat16": lambda m: m.bfloat16(),
    "double": lambda m: m.double(),
    "to dtype": lambda m: m.to(torch.float16),
    "to device and dtype": lambda m: m.to("cpu", torch.float16),
}


@pytest.mark.parametrize("cast", sorted(CASTS))
def test_a_cast_leaves_all_tables_as_they_are(cast):
    # beyond half precision, and odd beyond bfloat16
    loss = with_state(Trained("pairs").loss, {"noise_model.label_counts": 70_001})
    before = state_of(loss)
    assert CASTS[cast](loss) is loss
    assert state_of(loss) == before
    assert loss.copied_changes.dtype == torch.float64
    embeddings, labels, _ = batch(200)
    assert loss(embeddings, labels).isfinite()
