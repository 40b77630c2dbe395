"""The options of a training run, from which the command line is made, and their checks."""

from dataclasses import asdict, dataclass
from typing import Any, Literal

# Defaults of --temperature and --margin. For cosine similarity they are PML's, Hyp-ViT's
# (pairwise_ce) and PRISM's (contrastive). For Poincaré distance they are Hyp-ViT's and the best of
# docs/poincare_losses.md.
TEMPERATURE = {
    "supcon": {"cosine": 0.1, "poincare": 0.5},
    "pairwise_ce": {"cosine": 0.1, "poincare": 0.2},
}
MARGIN = {
    "triplet": {"cosine": 0.05, "poincare": 2.0},
    "contrastive": {"cosine": 0.5, "poincare": 6.0},
    "proxy_anchor": {"cosine": 0.1, "poincare": 2.3},
}
# These do not change what is learnt, so a run may resume with other values.
_OF_THE_MACHINE = ("root", "download", "output", "resume", "workers", "device", "tensorboard")


@dataclass(frozen=True)
class Settings:
    """The options of a run."""

    # data
    data: Literal["cub", "cars", "sop", "folder"] = "folder"
    """CUB-200, Cars-196, SOP, or a folder whose sub-folders are the classes: the first half trains,
    the second half tests"""
    root: str = "data"
    """folder of the images"""
    download: bool = False
    """fetch cub, cars or sop into an empty root"""
    noise_rate: float = 0.0
    """share of the training labels to make wrong"""
    noise_kind: Literal["symmetric", "small_cluster", "open_set"] = "symmetric"
    """kind of the wrong labels"""
    noise_list: str | None = None
    """CSV of noisy labels as published with PRISM, instead of a rate"""
    clean_list: str | None = None
    """CSV of the samples of that list whose label is right, to know the true rate"""
    size: int = 224
    """side of the images, in pixels"""
    resize: int = 256
    """shorter side of a test image before its crop"""
    min_scale: float = 0.2
    """smallest area of a random crop, as a share of the image"""
    interpolation: Literal["bilinear", "bicubic"] = "bilinear"
    """how images are resized"""

    # network
    backbone: str = "torchvision:resnet50"
    """timm:NAME, torchvision:NAME, or tiny: three convolutions to try things out"""
    pretrained: bool = True
    """start from the weights of the library (a download)"""
    freeze: tuple[str, ...] = ()
    """parts of the backbone that are not trained"""
    embedding_size: int = 128
    """dimensions of an embedding"""

    # loss
    loss: Literal["ms", "supcon", "triplet", "contrastive", "pairwise_ce", "proxy_anchor"] = "ms"
    """the loss; pairwise_ce is Hyp-ViT's"""
    distance: Literal["cosine", "poincare"] = "cosine"
    """the distance; poincare is hyperbolic"""
    curvature: float = 0.1
    """curvature of poincare, without its sign"""
    clip_radius: float = 2.3
    """clip radius of poincare"""
    temperature: float | None = None
    """temperature of supcon and pairwise_ce, in units of the distance"""
    margin: float | None = None
    """margin of triplet, contrastive (its negatives) and proxy_anchor, in units of the distance"""
    memory_size: int = 0
    """past embeddings to compare with (cross-batch memory)"""

    # wrong labels
    noise_aware: bool = True
    """learn which labels are wrong"""
    warmup: int = 25
    """batches in which every label is trusted"""
    margins: bool = False
    """class-wise adaptive margins, as in AHSML"""
    views: Literal[1, 2] = 1
    """views of each image in a batch; the second is distorted more, as in AHSML"""
    view_margin: bool = False
    """AHSML's margin for pairs of views; needs --margins --views 2"""

    # training
    epochs: int = 50
    """number of epochs"""
    steps_per_epoch: int | None = None
    """batches in an epoch; by default training images / batch size"""
    batch_size: int = 128
    """images in a batch"""
    samples_per_class: int = 4
    """images of a class in a batch"""
    optimizer: Literal["adam", "adamw", "sgd"] = "adamw"
    """the optimizer; its other options are torch's defaults"""
    lr: float = 3e-5
    """learning rate"""
    loss_lr: float = 1e-2
    """learning rate of the proxies of proxy_anchor"""
    weight_decay: float = 0.01
    """weight decay of the optimizer"""
    schedule: Literal["constant", "cosine"] = "constant"
    """cosine lowers the learning rates to 0 at the end"""
    clip_norm: float | None = None
    """largest norm of the gradient"""
    precision: Literal["float32", "bfloat16"] = "float32"
    """precision of the network (autocast)"""
    evaluate_every: int = 1
    """epochs between evaluations; the last epoch is always evaluated"""
    seed: int = 0
    """seed of all randomness"""

    # machine
    output: str = "runs/image_retrieval"
    """folder for all files; it must not hold a checkpoint unless --resume is given"""
    resume: bool = False
    """continue from OUTPUT/checkpoint.pt"""
    tensorboard: bool = True
    """write OUTPUT/tensorboard"""
    device: str = "auto"
    """auto is cuda if available"""
    workers: int = 2
    """processes that load images"""

    def __post_init__(self) -> None:
        _check_numbers(self)
        _check_combinations(self)

    @property
    def wraps(self) -> bool:
        """Whether an AdaptiveNoiseAwareLoss wraps the loss."""
        return self.noise_aware or self.margins or self.views > 1

    def of_the_run(self) -> dict[str, Any]:
        """Return the options that change the result; a checkpoint must have the same."""
        return {name: v for name, v in asdict(self).items() if name not in _OF_THE_MACHINE}


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
    """Raise if an option would have no effect with the others."""
    of = f"for loss={s.loss}"
    for name, is_used, beside in (
        ("download", s.data != "folder", "for a folder"),
        ("noise_rate", s.noise_list is None, "with noise_list"),
        ("noise_kind", s.noise_rate > 0, "without noise_rate"),
        ("clean_list", s.noise_list is not None, "without noise_list"),
        ("curvature", s.distance == "poincare", "for distance=cosine"),
        ("clip_radius", s.distance == "poincare", "for distance=cosine"),
        ("temperature", s.loss in TEMPERATURE, of),
        ("margin", s.loss in MARGIN, of),
        ("memory_size", s.loss not in ("proxy_anchor", "pairwise_ce"), of),
        ("loss_lr", s.loss == "proxy_anchor", of),
        ("warmup", s.noise_aware, "without noise_aware"),
        ("view_margin", s.margins and s.views == 2, "without margins and 2 views"),
    ):
        value = getattr(s, name)
        is_default = value == getattr(Settings, name)
        _require(is_used or is_default, name, f"left out {beside}", value)
    rows = s.batch_size * s.views
    has_room = s.memory_size == 0 or s.memory_size >= rows
    _require(has_room, "memory_size", f"at least {rows}, a batch", s.memory_size)
    rule = f"a multiple of samples_per_class, {s.samples_per_class}"
    _require(s.batch_size % s.samples_per_class == 0, "batch_size", rule, s.batch_size)


def _require(holds: bool, name: str, rule: str, value: Any) -> None:
    if not holds:
        raise ValueError(f"{name} must be {rule}, got {value}")
