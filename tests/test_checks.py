import numpy as np
import pytest
import torch
from matplotlib import pyplot as plt
from pytorch_metric_learning import losses

from pml_ahsml import (
    AdaptiveNoiseAwareLoss,
    ClassStatistics,
    HierarchicalSimilarityMiner,
    LabelNoiseModel,
    PoincareDistance,
    PoincareKNN,
    checks,
    inject_label_noise,
    visualization,
)
from pml_ahsml.data import NoiseList
from pml_ahsml.inference import PoincareMatchFinder, inference_model
from pml_ahsml.labels.witnesses.confusion_counts import ConfusionCounts
from pml_ahsml.labels.witnesses.neighbour_memory import NeighbourMemory
from pml_ahsml.losses import AdaptiveMargins, Relabelling
from pml_ahsml.losses.replay_memory import ReplayMemory
from pml_ahsml.state.recent_samples import RecentSamples
from pml_ahsml.visualization.colours import class_colours


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (
            lambda: checks.check_positive("c", 0.0),
            ValueError,
            "c must be positive and finite, got 0",
        ),
        (lambda: checks.check_positive("c", float("nan")), ValueError, "got nan"),
        (lambda: checks.check_positive("c", True), TypeError, "c must be a number, got bool"),
        (
            lambda: checks.check_in_interval("g", 2, 0, 1),
            ValueError,
            r"g must be in \[0, 1\], got 2",
        ),
        (lambda: checks.check_in_interval("g", float("nan"), 0, 1), ValueError, "got nan"),
        (lambda: checks.check_in_interval("g", None, 0, 1), TypeError, "got NoneType"),
        (lambda: checks.check_count("k", 1, 2), ValueError, "k must be at least 2, got 1"),
        (lambda: checks.check_count("k", 2.0, 2), TypeError, "k must be an integer, got float"),
        (lambda: checks.check_count("k", True, 0), TypeError, "k must be an integer, got bool"),
        (
            lambda: checks.check_embeddings("e", torch.tensor([[1.0], [torch.inf]]), 1),
            ValueError,
            "e must be finite, got nan or inf in 1 of 2 rows",
        ),
        (
            lambda: checks.check_labels("y", torch.ones(2, dtype=torch.bool), 2, 3),
            TypeError,
            "y must be of an integer dtype, got torch.bool",
        ),
        (
            lambda: checks.check_labels("y", torch.tensor([-1, 1]), 2, 3),
            ValueError,
            r"y must lie in \[0, 3\), got values from -1 to 1; .*dataset_labels",
        ),
    ],
)
def test_refusals_name_the_argument_the_rule_and_the_value(call, error, message):
    with pytest.raises(error, match=message):
        call()


def test_valid_values_pass():
    checks.check_positive("c", 1)
    checks.check_in_interval("g", 1, 0, 1)
    checks.check_count("k", 2, 2)
    checks.check_embeddings("e", torch.zeros(0, 3), 3)
    checks.check_labels("y", torch.zeros(0, dtype=torch.long), 0, 3)
    checks.check_labels("y", torch.tensor([0, 2], dtype=torch.int32), 2, 3)


NUMBERS = [np.int64, np.int16, np.float32, np.float64, torch.tensor, np.array]


@pytest.mark.parametrize("kind", NUMBERS)
def test_numbers_of_numpy_and_torch_are_numbers(kind):
    number = checks.check_positive("c", kind(2))
    assert number == 2
    assert type(number) in (int, float)
    number = checks.check_in_interval("g", kind(1), 0, 1)
    assert number == 1
    assert type(number) in (int, float)
    if kind not in (np.float32, np.float64):
        assert type(checks.check_count("k", kind(3), 0)) is int


@pytest.mark.parametrize(
    "value",
    [
        np.bool_(True),
        torch.tensor(True),
        "1",
        None,
        1j,
        torch.tensor([1]),
        np.array([1]),
        torch.zeros((), device="meta"),
    ],
    ids=repr,
)
def test_nothing_else_is_a_number(value):
    name = type(value).__name__
    with pytest.raises(TypeError, match=f"c must be a number, got {name}"):
        checks.check_positive("c", value)
    with pytest.raises(TypeError, match=f"g must be a number, got {name}"):
        checks.check_in_interval("g", value, 0, 1)
    with pytest.raises(TypeError, match=f"k must be an integer, got {name}"):
        checks.check_count("k", value, 0)


def test_an_integer_beyond_all_floats_is_not_finite():
    with pytest.raises(ValueError, match="c must be positive and finite, got 1000"):
        checks.check_positive("c", 10**400)


def test_flags_are_bools():
    assert checks.check_flag("sync", np.bool_(True)) is True
    assert checks.check_flag("sync", False) is False
    for value in ("yes", 1, None, torch.tensor(True)):
        message = f"sync must be a bool, got {type(value).__name__}"
        with pytest.raises(TypeError, match=message):
            checks.check_flag("sync", value)


INTEGERS = ["int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"]


@pytest.mark.parametrize("name", INTEGERS)
def test_labels_of_every_integer_type_become_int64(name):
    if not hasattr(torch, name):
        pytest.skip(f"this torch has no {name}")
    labels = torch.tensor([0, 2]).to(getattr(torch, name))
    checked = checks.check_labels("y", labels, 2, 3)
    assert checked.dtype == torch.long
    assert checked.tolist() == [0, 2]
    with pytest.raises(ValueError, match=r"y must lie in \[0, 2\), got values from 0 to 2"):
        checks.check_labels("y", labels, 2, 2)


@pytest.mark.parametrize(
    ("tensor", "error", "message"),
    [
        (torch.zeros(2, 3, device="meta"), ValueError, "tensor with values, got one on the meta"),
        (torch.ones(2, 3).to_sparse(), TypeError, "a dense tensor, got a torch.sparse_coo one"),
        ([[1.0, 2.0, 3.0]], TypeError, "a tensor, got list"),
    ],
)
def test_tensors_without_entries_of_their_own_are_refused(tensor, error, message):
    with pytest.raises(error, match=f"e must be (a )?{message}"):
        checks.check_embeddings("e", tensor, 3)
    with pytest.raises(error, match=f"y must be (a )?{message}"):
        checks.check_labels("y", tensor, 2, 3)


@pytest.mark.parametrize("value", [1e39, -1e300, 1e25])
def test_rows_that_float32_cannot_hold_are_refused(value):
    rows = torch.zeros(3, 2, dtype=torch.float64)
    rows[1] = value
    with pytest.raises(
        ValueError, match="e must have rows whose norm float32 can hold, got 1 of 3"
    ):
        checks.check_embeddings("e", rows, 2)


def test_long_rows_that_only_overflow_together_pass():
    rows = torch.full((1000, 1), 1.5e19)  # the norm of all is beyond float32
    checks.check_embeddings("e", rows, 1)


@pytest.mark.parametrize("value", ["abc", ["a"], object(), np.array(["a"])])
def test_values_that_make_no_tensor_are_refused_by_name(value):
    with pytest.raises(TypeError, match=f"x must be a tensor, .* got {type(value).__name__}"):
        checks.to_tensor("x", value)


# --- every argument that takes a number ----------------------------------------------------------


def wrapped(**options):
    options = {"num_classes": 3, "embedding_size": 4, **options}
    return AdaptiveNoiseAwareLoss(losses.ContrastiveLoss(), **options)


def statistics(**options):
    return ClassStatistics(**{"num_classes": 3, "embedding_size": 4, **options})


def knn(k):
    return PoincareKNN()(torch.rand(3, 2), k, torch.rand(4, 2))


def matches(threshold):
    finder = PoincareMatchFinder()
    finder.is_match(torch.rand(1, 2), torch.rand(1, 2), threshold)
    return finder.get_matching_pairs(torch.rand(3, 2), threshold=threshold)


def histogram(**options):
    ax = visualization.plot_trust_histogram(torch.rand(9), **options)
    plt.close(ax.figure)


def history(true_rate):
    names = ("stat_noise_rate", "stat_share_trusted", "stat_share_relabelled")
    ax = visualization.plot_noise_history({n: [0.1] for n in names}, true_rate=true_rate)
    plt.close(ax.figure)


def purity(shuffles):
    tree = np.array([[0.0, 1.0, 1.0, 2.0]])
    return visualization.chance_purity(tree, [0, 0], shuffles=shuffles)


def remembering(replay_memory):
    memory = wrapped(replay_memory=replay_memory).replay_memory
    assert len(memory.labels) == replay_memory


COUNTS = [
    (wrapped, "num_classes", 3),
    (wrapped, "embedding_size", 4),
    (wrapped, "warmup", 2),
    (wrapped, "class_warmup", 2),
    (wrapped, "num_views", 2),
    (wrapped, "neighbour_memory_size", 300),
    (statistics, "num_classes", 3),
    (statistics, "embedding_size", 4),
    (statistics, "max_exact_classes", 5),
    (statistics, "max_compared_classes", 5000),
    (LabelNoiseModel, "num_classes", 3),
    (lambda **o: LabelNoiseModel(3, **o), "warmup", 3),
    (lambda **o: LabelNoiseModel(3, **o), "max_counted_classes", 3),
    (ConfusionCounts, "num_classes", 3),
    (lambda **o: NeighbourMemory(embedding_size=2, **o), "num_classes", 3),
    (lambda **o: NeighbourMemory(3, **o), "embedding_size", 3),
    (lambda **o: NeighbourMemory(3, 2, **o), "size", 300),
    (lambda **o: RecentSamples(width=3, **o), "size", 3),
    (lambda **o: RecentSamples(3, **o), "width", 3),
    (lambda **o: ReplayMemory(embedding_size=2, **o), "size", 3),
    (lambda **o: ReplayMemory(3, **o), "embedding_size", 3),
    (remembering, "replay_memory", 3),
    (PoincareKNN, "rerank", 3),
    (knn, "k", 2),
    (visualization.DiskProjection, "seed", 3),
    (lambda **o: inject_label_noise(torch.arange(3), 0.5, **o), "num_classes", 3),
    (lambda **o: NoiseList(("a",), torch.arange(1), None).order([], **o), "components", 2),
    (histogram, "bins", 4),
    (purity, "shuffles", 2),
    (class_colours, "num_classes", 2),
]
NUMBERS_TAKEN = [
    (statistics, "momentum", 0.5),
    (lambda **o: LabelNoiseModel(3, **o), "lr", 0.5),
    (Relabelling, "confidence", 0.75),
    (Relabelling, "gap", 0.5),
    (wrapped, "trust_threshold", 0.75),
    (Relabelling, "min_noise_rate", 0.5),
    (AdaptiveMargins, "span", 0.5),
    (AdaptiveMargins, "gamma", 0.5),
    (HierarchicalSimilarityMiner, "gamma", 0.5),
    (HierarchicalSimilarityMiner, "span", 0.5),
    (PoincareDistance, "curvature", 0.5),
    (lambda **o: PoincareDistance(learn_curvature=True, **o), "curvature", 0.5),
    (PoincareDistance, "clip_radius", 0.5),
    (PoincareDistance, "power", 2),
    (PoincareDistance, "p", 2),
    (PoincareMatchFinder, "threshold", 0.5),
    (lambda **o: inference_model(torch.nn.Identity(), **o), "threshold", 0.5),
    (matches, "threshold", 0.5),
    (lambda **o: inject_label_noise(torch.arange(4), **o), "rate", 0.5),
    (histogram, "threshold", 0.5),
    (history, "true_rate", 0.5),
    (lambda **o: visualization.visualizer_hook("x", **o), "dpi", 60),
]
FLAGS = [
    (wrapped, "sync"),
    (wrapped, "collect_stats"),
    (statistics, "centred"),
    (AdaptiveMargins, "view_margin"),
    (HierarchicalSimilarityMiner, "collect_stats"),
    (PoincareDistance, "learn_curvature"),
    (PoincareDistance, "normalize_embeddings"),
    (PoincareDistance, "collect_stats"),
    (PoincareKNN, "reset_before"),
    (PoincareKNN, "reset_after"),
]


@pytest.mark.parametrize(("make", "name", "value"), COUNTS + NUMBERS_TAKEN)
def test_every_argument_takes_a_number_of_any_library_and_nothing_else(make, name, value):
    is_count = (make, name, value) in COUNTS
    for kind in (np.int64 if is_count else np.float64, torch.tensor):
        made = make(**{name: kind(value)})
        kept = getattr(made, name, value)
        # a learnt curvature is a tensor of its own
        if not isinstance(kept, torch.nn.Parameter | torch.Tensor):
            assert type(kept) in (int, float)
            assert kept == value
    for wrong in ("abc", True, torch.tensor(True), np.bool_(True), torch.tensor([value])):
        kind = "an integer" if is_count else "a number"
        with pytest.raises(TypeError, match=rf"{name} must be {kind}, got {type(wrong).__name__}"):
            make(**{name: wrong})


@pytest.mark.parametrize(("make", "name"), FLAGS)
def test_every_flag_is_a_bool(make, name):
    made = make(**{name: np.bool_(False)})
    assert getattr(made, name) is False
    for wrong in ("yes", 1, torch.tensor(True)):
        with pytest.raises(TypeError, match=f"{name} must be a bool, got {type(wrong).__name__}"):
            make(**{name: wrong})


@pytest.mark.parametrize("name", ["num_classes", "embedding_size"])
@pytest.mark.parametrize("make", [wrapped, statistics])
def test_none_is_no_number_of_classes(make, name):
    with pytest.raises(TypeError, match=f"{name} must be an integer, got NoneType"):
        make(**{name: None})


def test_neighbours_are_searched_among_values():
    rows = torch.rand(4, 2)
    for name, arguments in (
        ("query", (rows.to("meta"), 1, rows)),
        ("reference", (rows, 1, rows.to("meta"))),
    ):
        with pytest.raises(ValueError, match=f"{name} must be a tensor with values, got one"):
            PoincareKNN()(*arguments)
    with pytest.raises(TypeError, match="query must be a dense tensor"):
        PoincareKNN()(rows.to_sparse(), 1, rows)
    expected = PoincareKNN()(rows, 2, ref_includes_query=True, reference=rows)
    with torch.device("meta"):  # nothing of the search is made where the default says
        found = PoincareKNN()(rows, 2, ref_includes_query=True, reference=rows)
    assert all(torch.equal(a, b) for a, b in zip(found, expected, strict=True))
