"""All options of a training run, their checks, and the command line made from them."""

import argparse
from dataclasses import MISSING, asdict, dataclass, field, fields
from typing import Any

LOSSES = ("ms", "supcon", "triplet", "contrastive", "pairwise_ce", "proxy_anchor")
# --temperature and --margin where they are not given: for cosine similarity PML's own, Hyp-ViT's
# (pairwise_ce) and PRISM's (contrastive), for Poincaré distances Hyp-ViT's and the best of
# docs/poincare_losses.md
TEMPERATURE = {
    "supcon": {"cosine": 0.1, "poincare": 0.5},
    "pairwise_ce": {"cosine": 0.1, "poincare": 0.2},
}
MARGIN = {
    "triplet": {"cosine": 0.05, "poincare": 2.0},
    "contrastive": {"cosine": 0.5, "poincare": 6.0},
    "proxy_anchor": {"cosine": 0.1, "poincare": 2.3},
}
# of no consequence for what is learnt, so that a run may be resumed with others
_OF_THE_MACHINE = ("root", "download", "output", "resume", "workers", "device", "tensorboard")


def _option(default: Any, text: str, *, group: str, **kwargs: Any) -> Any:
    """A field of Settings that knows what it is on the command line."""
    return field(default=default, metadata={"help": text, "group": group, **kwargs})


@dataclass(frozen=True)
class Settings:
    """The options of a run; ``python examples/train_image_retrieval.py --help`` explains each."""

    data: str = _option(
        "folder",
        "CUB-200, Cars-196, SOP, or a folder whose sub-folders are the classes, of which the first "
        "half trains and the second half tests",
        group="data",
        choices=("cub", "cars", "sop", "folder"),
    )
    root: str = _option("data", "where the images are", group="data", metavar="DIR")
    download: bool = _option(False, "fetch cub, cars or sop into an empty root", group="data")
    noise_rate: float = _option(0.0, "share of training labels to make wrong", group="data")
    noise_kind: str = _option(
        "symmetric", "how", group="data", choices=("symmetric", "small_cluster", "open_set")
    )
    noise_list: str | None = _option(
        None,
        "wrong labels from a list as published with PRISM, in place of a rate",
        group="data",
        metavar="CSV",
    )
    clean_list: str | None = _option(
        None, "the list of its right labels, to know the rate", group="data", metavar="CSV"
    )
    size: int = _option(224, "of the images, in pixels", group="data")
    resize: int = _option(256, "shorter side before the crop of a test image", group="data")
    min_scale: float = _option(0.2, "least area of a random crop", group="data")
    interpolation: str = _option(
        "bilinear", "when resizing", group="data", choices=("bilinear", "bicubic")
    )

    backbone: str = _option(
        "torchvision:resnet50",
        "timm:NAME, torchvision:NAME, or tiny, three convolutions to try things out",
        group="network",
    )
    pretrained: bool = _option(True, "with the library's weights (a download)", group="network")
    freeze: tuple[str, ...] = _option(
        (), "parts of the backbone that do not learn", group="network", nargs="*", metavar="PART"
    )
    embedding_size: int = _option(128, "numbers per image", group="network")

    loss: str = _option("ms", "pairwise_ce is Hyp-ViT's", group="loss", choices=LOSSES)
    distance: str = _option(
        "cosine", "poincare is hyperbolic", group="loss", choices=("cosine", "poincare")
    )
    curvature: float = _option(0.1, "of poincare, without its sign", group="loss")
    clip_radius: float = _option(2.3, "of poincare", group="loss")
    temperature: float | None = _option(
        None, "of supcon and pairwise_ce, in units of the distance", group="loss", type=float
    )
    margin: float | None = _option(
        None,
        "of triplet, contrastive (of negatives) and proxy_anchor, in units of the distance",
        group="loss",
        type=float,
    )
    memory_size: int = _option(
        0, "past embeddings to compare with (cross-batch memory)", group="loss"
    )

    noise_aware: bool = _option(
        True, "find out which labels are wrong (this project)", group="wrong labels"
    )
    warmup: int = _option(25, "batches in which every label is believed", group="wrong labels")
    margins: bool = _option(False, "class-wise adaptive margins, as in AHSML", group="wrong labels")
    views: int = _option(
        1,
        "views of each image in a batch; with 2 the second is distorted more, as in AHSML",
        group="wrong labels",
        choices=(1, 2),
    )
    view_margin: bool = _option(
        False, "AHSML's margin of pairs of views, with --margins --views 2", group="wrong labels"
    )

    epochs: int = _option(50, "until the end", group="training")
    steps_per_epoch: int | None = _option(
        None, "by default training images / batch size", group="training", type=int
    )
    batch_size: int = _option(128, "images in a batch", group="training")
    samples_per_class: int = _option(4, "images of a class in a batch", group="training")
    optimizer: str = _option(
        "adamw", "with torch's defaults", group="training", choices=("adam", "adamw", "sgd")
    )
    lr: float = _option(3e-5, "learning rate", group="training")
    loss_lr: float = _option(1e-2, "of the proxies of proxy_anchor", group="training")
    weight_decay: float = _option(0.01, "as the optimizer has it", group="training")
    schedule: str = _option(
        "constant",
        "of the rates, to 0 at the end",
        group="training",
        choices=("constant", "cosine"),
    )
    clip_norm: float | None = _option(
        None, "largest norm of the gradient", group="training", type=float
    )
    precision: str = _option(
        "float32",
        "of the network (autocast); float16 is scaled and needs a GPU",
        group="training",
        choices=("float32", "bfloat16", "float16"),
    )
    evaluate_every: int = _option(
        1, "epochs between evaluations; the last is evaluated anyway", group="training"
    )
    seed: int = _option(0, "of all randomness", group="training")

    output: str = _option(
        "runs/image_retrieval",
        "for all files; one without a checkpoint, unless --resume",
        group="machine",
        metavar="DIR",
    )
    resume: bool = _option(False, "go on from OUTPUT/checkpoint.pt", group="machine")
    tensorboard: bool = _option(True, "write OUTPUT/tensorboard", group="machine")
    device: str = _option("auto", "auto is cuda where there is one", group="machine")
    workers: int = _option(2, "processes that load images", group="machine")

    def __post_init__(self) -> None:
        _check_numbers(self)
        _check_combinations(self)

    @property
    def wraps(self) -> bool:
        """Whether the loss is put into an AdaptiveNoiseAwareLoss."""
        return self.noise_aware or self.margins or self.views > 1

    def of_the_run(self) -> dict[str, Any]:
        """Those on which the result depends, which a checkpoint must agree with."""
        return {name: v for name, v in asdict(self).items() if name not in _OF_THE_MACHINE}


def add_options(parser: argparse.ArgumentParser) -> None:
    """An option of the command line for each field; those not given leave no trace."""
    groups: dict[str, Any] = {}
    for each in fields(Settings):
        options = dict(each.metadata)
        name = options.pop("group")
        group = groups.setdefault(name, parser.add_argument_group(name))
        if isinstance(each.default, bool):
            options["action"] = argparse.BooleanOptionalAction
        elif "type" not in options and not isinstance(each.default, str | tuple | None):
            options["type"] = type(each.default)
        shown = " ".join(each.default) if isinstance(each.default, tuple) else each.default
        if shown not in (None, ""):
            options["help"] += f" (default: {shown})"
        options["help"] = options["help"].replace("%", "%%")
        flag = "--" + each.name.replace("_", "-")
        group.add_argument(flag, default=argparse.SUPPRESS, **options)


def from_given(given: dict[str, Any]) -> Settings:
    """Settings from options by name; lists of the command line become tuples."""
    return Settings(**{k: tuple(v) if isinstance(v, list) else v for k, v in given.items()})


def defaults() -> dict[str, Any]:
    """The default of every option."""
    assert all(each.default is not MISSING for each in fields(Settings))
    return {each.name: each.default for each in fields(Settings)}


def _check_numbers(s: Settings) -> None:
    at_least_one = ("size", "embedding_size", "epochs", "evaluate_every", "warmup")
    for name in (*at_least_one, "batch_size", "samples_per_class"):
        _require(getattr(s, name) >= 1, name, "at least 1", getattr(s, name))
    for name in ("curvature", "clip_radius", "lr", "loss_lr"):
        _require(getattr(s, name) > 0, name, "positive", getattr(s, name))
    for name in ("memory_size", "workers", "weight_decay"):
        _require(getattr(s, name) >= 0, name, "at least 0", getattr(s, name))
    for name in ("temperature", "margin", "clip_norm", "steps_per_epoch"):
        value = getattr(s, name)
        _require(value is None or value > 0, name, "positive", value)
    _require(0 <= s.noise_rate <= 1, "noise_rate", "in [0, 1]", s.noise_rate)
    _require(0 < s.min_scale <= 1, "min_scale", "in (0, 1]", s.min_scale)
    _require(s.resize >= s.size, "resize", f"at least size, {s.size}", s.resize)


def _check_combinations(s: Settings) -> None:
    """An option that would do nothing beside the others is an error."""
    base = defaults()
    _require(
        not (s.download and s.data == "folder"), "download", "left out for a folder", s.download
    )
    if s.noise_list is not None:
        _require(s.noise_rate == 0, "noise_rate", "left out with noise_list", s.noise_rate)
    else:
        _require(s.clean_list is None, "clean_list", "left out without noise_list", s.clean_list)
    if s.distance == "cosine":
        for name in ("curvature", "clip_radius"):
            value = getattr(s, name)
            _require(value == base[name], name, "left out for distance=cosine", value)
    for name, is_used, beside in (
        ("noise_kind", s.noise_rate > 0, "without noise_rate"),
        ("warmup", s.noise_aware, "without noise_aware"),
        ("loss_lr", s.loss == "proxy_anchor", f"for loss={s.loss}"),
    ):
        value = getattr(s, name)
        _require(is_used or value == base[name], name, f"left out {beside}", value)
    for name, users in (("temperature", TEMPERATURE), ("margin", MARGIN)):
        value = getattr(s, name)
        _require(value is None or s.loss in users, name, f"left out for loss={s.loss}", value)
    if s.loss in ("proxy_anchor", "pairwise_ce"):
        rule = f"0 for loss={s.loss}, which compares no embeddings with past ones"
        _require(s.memory_size == 0, "memory_size", rule, s.memory_size)
    rows = s.batch_size * s.views
    if s.memory_size:
        _require(s.memory_size >= rows, "memory_size", f"at least {rows}, a batch", s.memory_size)
    _require(
        s.batch_size % s.samples_per_class == 0,
        "batch_size",
        f"a multiple of samples_per_class, {s.samples_per_class}",
        s.batch_size,
    )
    if s.view_margin:
        _require(s.margins and s.views == 2, "view_margin", "used with margins and 2 views", True)


def _require(holds: bool, name: str, rule: str, value: Any) -> None:
    if not holds:
        raise ValueError(f"{name} must be {rule}, got {value}")
