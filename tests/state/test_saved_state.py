import copy
import math
import re

import pytest
import torch
from pytorch_metric_learning import losses

from pml_ahsml import AdaptiveNoiseAwareLoss, ClassStatistics, LabelNoiseModel
from pml_ahsml.labels.witnesses.neighbour_memory import NeighbourMemory
from pml_ahsml.state.saved_state import Rule
from tests.ecosystem.grown_up import Trained, is_same, optimizer_of, train
from tests.noisy_batches import D, K, batch, state_of


def put(value, index=..., dtype=None):
    """A function that writes one value into a copy of a table."""

    def change(table):
        table = table.to(dtype or table.dtype, copy=True)
        table[index] = value
        return table

    return change


# (entry, what is made of it, what is said of it)
IMPOSSIBLE = {
    "shape": ("class_statistics.means", lambda t: t[1:], "be of shape (8, 17), got (7, 17)"),
    "another shape of the same size": ("class_statistics.means", lambda t: t.T, "be of shape"),
    "no tensor": ("class_statistics.means", lambda t: t.tolist(), "be a tensor, got list"),
    "dtype": ("class_statistics.visits", lambda t: t.long(), "a floating point dtype, got torch.i"),
    "complex": ("noise_model.adam_mean", lambda t: t.cfloat(), "a floating point dtype, got torch"),
    "bool": ("replay_memory.labels", lambda t: t > 0, "be of an integer dtype, got torch.bool"),
    "sparse": ("class_statistics.visits", lambda t: t.to_sparse(), "be a dense tensor"),
    "meta": ("class_statistics.visits", lambda t: t.to("meta"), "hold values, got a tensor on"),
    "nan": ("class_statistics.means", put(math.nan, (0, 0)), "not be nan, got 1 of 136"),
    "inf": ("noise_model.adam_mean", put(math.inf, 0), "be finite, got 1 of 4"),
    "beyond float32": ("class_statistics.means", put(1e300, (0, 0), torch.double), "be finite"),
    "nan distance": ("class_statistics.neighbour_distances", put(math.nan, (0, 1)), "not be nan"),
    "distance": ("class_statistics.neighbour_distances", put(-1, (0, 1)), "lie in [0, inf]"),
    "visits": ("class_statistics.visits", put(-1, 0), "lie in [0, inf), got values from -1.0"),
    "half a visit": ("class_statistics.visits", put(2.5, 0), "hold whole numbers, got 2.5"),
    "visited without a mean": ("class_statistics.means", put(0, 0), "on the hyperboloid in row 0"),
    "outside the cone": ("class_statistics.means", put(99, (0, 1)), "on the hyperboloid in row 0"),
    "centre": ("class_statistics.centre", put(2, 0), "lie in [-1.001, 1.001]"),
    "gain_statistics": ("class_statistics.gain_statistics", put(-1, 0), "lie in [0, inf)"),
    "ε": ("noise_model.log_parameters", put(9, 0), "lie in [-4.955, 2.197], got 9"),
    "τ": ("noise_model.log_parameters", put(9, 3), "lie in [-4.605, 0.6931], got 9"),
    "β": ("noise_model.log_parameters", put(-9, 2), "lie in [-5.809, 1.099], got -9"),
    "second moment": ("noise_model.adam_square", put(-1e-9, 0), "lie in [0, inf)"),
    "steps": ("noise_model.adam_steps", put(-1), "lie in [0, inf)"),
    "half a step": ("noise_model.adam_steps", put(60.5), "hold whole numbers, got 60.5"),
    "counts": ("noise_model.label_counts", put(-1, 0), "lie in [0, inf)"),
    "smoothed": ("noise_model.noise_rate_history.sums", put(1.5, 2), "lie in [0, 1]"),
    "far labels": ("noise_model.noise_floor.far_labels", put(-0.1, 1), "lie in [0, inf)"),
    "opinion": ("noise_model.second_opinion.joint", put(-1, (0, 1)), "lie in [0, inf)"),
    "doubts": ("noise_model.second_opinion.doubts", put(1.5, 1), "lie in [0, 1]"),
    "batches of the opinion": (
        "noise_model.second_opinion.discriminant.batches",
        put(0.5),
        "hold whole",
    ),
    "recent": ("noise_model.noise_rate_history.recent", put(-0.1, 1), "lie in [0, inf]"),
    "confusions": ("noise_model.confusion_counts.counts", put(-1, (0, 1)), "lie in [0, inf)"),
    "own confusions": ("noise_model.confusion_counts.counts", put(1, (0, 0)), "be 0 on the diag"),
    "batches": ("noise_model.confusion_counts.batches", put(-1), "lie in [0, inf)"),
    "strength": ("noise_model.confusion_counts.strength", put(1), "lie in [5, inf]"),
    "length": ("noise_model.neighbours.length", put(1025), "lie in [256, 1024], got values from"),
    "short length": ("noise_model.neighbours.length", put(255), "lie in [256, 1024]"),
    "agreement": ("noise_model.neighbours.agreement", put(1.1, 3), "lie in [0, 1]"),
    "neighbour": ("noise_model.neighbours.vectors", put(0, 3), "on the hyperboloid in row 3"),
    "label of a neighbour": ("noise_model.neighbours.labels", put(K, 3), "lie in [-1, 7]"),
    "label of the past": (
        "replay_memory.labels",
        put(K, 3),
        "lie in [-1, 7], got values from 0 to 8",
    ),
    "label below": ("replay_memory.labels", put(-2, 3), "lie in [-1, 7], got values from -2"),
    "a hole": ("replay_memory.labels", put(-1, 3), "be -1 only behind all others"),
    "the past": ("replay_memory.vectors", put(math.nan, (3, 0)), "not be nan"),
    "changes": ("changes", put(-1), "lie in [0, inf)"),
    "queue": ("queues", put(220, (0, 0)), "hold a row in [0, 220) and 0 or 1, got [220, 1]"),
    "full": ("queues", put(2, (0, 1)), "hold a row in [0, 220) and 0 or 1"),
    "queued label": ("loss.label_memory", put(K, 3), "lie in [0, 7]"),
    "queued": ("loss.embedding_memory", put(math.nan, 3), "not be nan"),
    "size of the queue": ("loss.label_memory", lambda t: t[1:], "be of shape (220,), got (219,)"),
}


@pytest.fixture(scope="module")
def model() -> Trained:
    model = Trained("queue")
    train(model, optimizer_of(model), 0, 5)
    return model


@pytest.mark.parametrize("case", sorted(IMPOSSIBLE))
@pytest.mark.parametrize("prefix", ["", "loss."], ids=["by itself", "in a model"])
def test_an_impossible_table_is_refused_by_name_and_nothing_is_changed(model, case, prefix):
    entry, change, message = IMPOSSIBLE[case]
    state = dict(model.state_dict() if prefix else model.loss.state_dict())
    state[prefix + entry] = change(state[prefix + entry])
    fresh = Trained("queue", fresh=True)
    target = fresh if prefix else fresh.loss
    before = state_of(fresh.loss)
    with pytest.raises(
        ValueError, match=f"^{re.escape(prefix + entry)} must .*{re.escape(message)}"
    ):
        target.load_state_dict(state)
    assert state_of(fresh.loss) == before


@pytest.mark.parametrize("strict", [True, False])
@pytest.mark.parametrize(
    "entry",
    [
        "changes",
        "queues",
        "class_statistics.visits",
        "noise_model.neighbours.length",
        "replay_memory.changes",
        "loss.embedding_memory",
    ],
)
def test_a_state_that_lacks_one_entry_is_refused(model, entry, strict):
    state = model.loss.state_dict()
    del state[entry]
    loss = Trained("queue", fresh=True).loss
    before = state_of(loss)
    message = rf"^{entry} must be in a state of AdaptiveNoiseAwareLoss, got (\d+) of its (\d+) ent"
    with pytest.raises(ValueError, match=message):
        loss.load_state_dict(state, strict=strict)
    assert state_of(loss) == before


@pytest.mark.parametrize("strict", [True, False])
def test_a_state_of_one_with_other_options_is_refused(model, strict):
    plain = AdaptiveNoiseAwareLoss(losses.ContrastiveLoss(), K, D, relabel=None)
    remembers = AdaptiveNoiseAwareLoss(losses.ContrastiveLoss(), K, D)
    before = state_of(plain), state_of(remembers)
    with pytest.raises(
        ValueError, match=r"^replay_memory\..* must not be in a state of this Adaptive"
    ):
        plain.load_state_dict(remembers.state_dict(), strict=strict)
    with pytest.raises(ValueError, match=r"^replay_memory\..* must be in a state of Adaptive"):
        remembers.load_state_dict(plain.state_dict(), strict=strict)
    short = AdaptiveNoiseAwareLoss(losses.ContrastiveLoss(), K, D, neighbour_memory_size=512)
    with pytest.raises(ValueError, match=r"^noise_model\.neighbours\.vectors must be of shape"):
        remembers.load_state_dict(short.state_dict(), strict=strict)
    assert (state_of(plain), state_of(remembers)) == before


def test_a_checkpoint_from_before_the_wrapper_leaves_it_as_it_is():
    model = Trained("proxies")
    before = state_of(model.loss)
    plain = torch.nn.Module()
    plain.network, plain.loss = torch.nn.Linear(D, D), losses.ProxyAnchorLoss(K, D)
    with pytest.raises(RuntimeError, match=r"Missing key.*loss\.changes"):
        model.load_state_dict(plain.state_dict())
    missing, unexpected = model.load_state_dict(plain.state_dict(), strict=False)
    assert unexpected == ["loss.proxies"]
    assert set(missing) == {name for name in model.state_dict() if name.startswith("loss.")}
    assert torch.equal(model.network.weight, plain.network.weight)
    assert state_of(model.loss) == before


@pytest.mark.parametrize("strict", [True, False])
@pytest.mark.parametrize(
    "make",
    [
        lambda: Trained("pairs"),
        lambda: ClassStatistics(K, D),
        lambda: LabelNoiseModel(K),
    ],
    ids=["model", "statistics", "label model"],
)
def test_a_checkpoint_of_an_older_version_is_refused(make, strict):
    module = make()
    before = state_of(module)
    # its tables were in dictionaries
    names = module.state_dict()
    old = {name.rpartition(".")[0] for name in names if not name.startswith("network")}
    state = {f"{name}._extra_state" if name else "_extra_state": {} for name in sorted(old)}
    state |= {name: value for name, value in names.items() if name.startswith("network")}
    with pytest.raises(ValueError, match="_extra_state must not be .* of an older version of pml_"):
        module.load_state_dict(state, strict=strict)
    if not isinstance(module, Trained):
        assert state_of(module) == before
    else:
        assert is_same(module.loss, make().loss)


@pytest.mark.parametrize("make", [lambda: ClassStatistics(K, D), lambda: LabelNoiseModel(K)])
def test_a_part_by_itself_checks_its_state_too(make):
    part = make()
    state = copy.deepcopy(part.state_dict())
    *_, last = sorted(name for name in state if state[name].is_floating_point())
    state[last] = torch.full_like(state[last], math.nan)
    state["changes"] += 1
    with pytest.raises(ValueError, match=f"{last} must not be nan"):
        part.load_state_dict(state)
    assert is_same(part, make())


def test_lists_of_neighbours_are_checked():
    statistics = ClassStatistics(K, D, max_exact_classes=2)
    statistics.update(*batch(0)[:2])
    state = dict(statistics.state_dict())
    other = ClassStatistics(K, D, max_exact_classes=2)
    other.load_state_dict(state)
    assert is_same(other, statistics)
    state["neighbour_weights"] = -state["neighbour_weights"]
    with pytest.raises(ValueError, match="neighbour_weights must lie in"):
        other.load_state_dict(state)


def test_a_state_in_other_precision_is_accepted():
    memory = NeighbourMemory(K, D)
    state = {
        name: value.double() if value.is_floating_point() else value.int()
        for name, value in memory.state_dict().items()
    }
    memory.load_state_dict(state)
    assert memory.vectors.dtype == torch.float32
    assert memory.labels.dtype == torch.int64


def test_modules_that_load_in_their_own_way_may_do_so():
    class Renaming(losses.ProxyAnchorLoss):
        def _load_from_state_dict(self, state_dict, prefix, *args):
            state_dict[prefix + "proxies"] = state_dict.pop(prefix + "old_name")
            super()._load_from_state_dict(state_dict, prefix, *args)

    saved = AdaptiveNoiseAwareLoss(losses.ProxyAnchorLoss(K, D), K, D)
    state = saved.state_dict()
    state["loss.old_name"] = state.pop("loss.proxies")
    loss = AdaptiveNoiseAwareLoss(Renaming(K, D), K, D)
    loss.load_state_dict(state)
    assert torch.equal(loss.loss.proxies, saved.loss.proxies)


@pytest.mark.parametrize(
    ("rule", "good", "bad"),
    [
        (Rule(), [-1e9, 0.5], [math.inf]),
        (Rule(0, 1), [0, 1], [-1e-9]),
        (Rule(0, 1), [0.5], [1.0001]),
        (Rule(may_be_inf=True), [math.inf, -math.inf], [math.nan]),
        (Rule(0, may_be_inf=True), [math.inf], [-math.inf]),
        (Rule(is_whole=True), [3.0, -2.0], [3.5]),
    ],
)
def test_rules(rule, good, bad):
    rule.check("name", torch.tensor(good, dtype=torch.float64))
    rule.check("name", torch.zeros(0))
    with pytest.raises(ValueError, match="^name must "):
        rule.check("name", torch.tensor([*good, *bad], dtype=torch.float64))
