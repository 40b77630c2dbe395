"""Published hyper-parameters and their sources.

``published`` holds what public text or code says. ``ours`` holds what it does not say, and where
this script has a substitute. Options of the command line override both.
"""

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Preset:
    """Options of a run, and their origin.

    Args:
        summary: the preset in one line.
        source: source of everything in ``published``.
        published: options as published.
        ours: options that this project chose.
        remarks: other differences from the published run.
    """

    summary: str
    source: str
    published: dict[str, Any]
    ours: dict[str, Any] = field(default_factory=dict)
    remarks: str = ""

    @property
    def options(self) -> dict[str, Any]:
        """Published and ours together."""
        return self.published | self.ours


_HYP_VIT = "Ermolov et al., CVPR 2022: README, train.py and model.py of github.com/htdt/hyp_metric"
_AHSML = "Yan et al., IEEE TIP 2023, arXiv 2111.00006: abstract and public summaries of the text"
_PRISM = (
    "Liu et al., CVPR 2021: configs/CARSN/MemoryContrastiveLossPRISM.yaml (for CARS-98N), "
    "defaults.py and the losses of github.com/alibaba-edu/Ranking-based-Instance-Selection"
)

_VIT = {"backbone": "timm:vit_small_patch16_224", "lr": 3e-5}
_DINO = {"backbone": "timm:vit_small_patch16_224.dino", "lr": 1e-5}
_CUB = {"data": "cub", "samples_per_class": 9, "batch_size": 900, "epochs": 50, "resize": 256}
_CARS = {"data": "cars", "samples_per_class": 9, "batch_size": 882, "epochs": 300, "resize": 224}
_SOP = {"data": "sop", "samples_per_class": 2, "batch_size": 900, "epochs": 200, "resize": 224}


def _hyp_vit(network: dict[str, Any], data: dict[str, Any], name: str) -> Preset:
    # in their code, an epoch takes samples_per_class images of each class once
    classes = {"cub": 100, "cars": 98, "sop": 11_318}[data["data"]]
    steps = classes * data["samples_per_class"] // data["batch_size"]
    published = {
        "loss": "pairwise_ce",
        "distance": "poincare",
        "curvature": 0.1,
        "clip_radius": 2.3,
        "temperature": 0.2,
        "embedding_size": 128,
        "freeze": ("patch_embed",),
        "pretrained": True,
        "size": 224,
        "min_scale": 0.2,
        "interpolation": "bicubic",
        "optimizer": "adamw",
        "weight_decay": 0.01,
        "schedule": "constant",
        "clip_norm": 3.0,
        "steps_per_epoch": steps,
        "noise_aware": False,
        "margins": False,
        "views": 1,
    }
    return Preset(
        f"{name}: a vision transformer with hyperbolic embeddings, on {data['data']}",
        _HYP_VIT,
        published | network | data,
        # they use float16 (apex, O2), and evaluate at the end only
        {"precision": "bfloat16", "evaluate_every": data["epochs"]},
        "Mixed precision is torch's instead of apex's. Batches draw their classes at random; "
        "theirs use all classes before one is repeated, which makes a difference for sop only.",
    )


_GOOGLENET = "torchvision:googlenet"

PRESETS = {
    "hyp-vit-cub": _hyp_vit(_VIT, _CUB, "Hyp-ViT"),
    "hyp-vit-cars": _hyp_vit(_VIT, _CARS, "Hyp-ViT"),
    "hyp-vit-sop": _hyp_vit(_VIT, _SOP, "Hyp-ViT"),
    "hyp-dino-cub": _hyp_vit(_DINO, _CUB, "Hyp-DINO"),
    "hyp-dino-cars": _hyp_vit(_DINO, _CARS, "Hyp-DINO"),
    "hyp-dino-sop": _hyp_vit(_DINO, _SOP, "Hyp-DINO"),
    "ahsml": Preset(
        "AHSML: adaptive margins and two views in a Multi-Similarity loss, hyperbolic",
        _AHSML,
        {
            "loss": "ms",
            "margins": True,
            "views": 2,
            "view_margin": True,
            "distance": "poincare",
            "optimizer": "adam",
            "pretrained": True,
        },
        {
            # the paper says "Inception"; this is the closest network with public weights
            "backbone": _GOOGLENET,
            "embedding_size": 512,
            "batch_size": 80,
            "samples_per_class": 5,
            "lr": 3e-5,
            "weight_decay": 5e-4,
            "epochs": 60,
            "curvature": 0.1,
            "clip_radius": 2.3,
            "noise_aware": False,
        },
        "gamma = 0.5 and the range [0, 0.2] of the margins are published; the package has the same "
        "defaults. Alpha = 2 and beta = 50 are the usual values of Multi-Similarity. "
        "Batch size, embedding size, learning rate and epochs of the paper are not known here. "
        "--noise-aware adds the label model of this project.",
    ),
    "prism": Preset(
        "PRISM's setting without its filter: a contrastive loss with a memory",
        _PRISM,
        {
            "loss": "contrastive",
            "distance": "cosine",
            "margin": 0.5,
            "memory_size": 9500,
            "embedding_size": 512,
            "pretrained": True,
            "batch_size": 64,
            "samples_per_class": 4,
            "optimizer": "adam",
            "lr": 3e-5,
            "weight_decay": 5e-4,
            "schedule": "cosine",
            "size": 224,
            "resize": 256,
            "min_scale": 0.2,
            "interpolation": "bilinear",
            # 4,000 iterations, evaluated every 100
            "steps_per_epoch": 100,
            "epochs": 40,
            "views": 1,
            "margins": False,
        },
        # their file says bninception, for which neither library has weights
        {"backbone": _GOOGLENET, "noise_aware": False},
        "Their filter is not in this script; run their code for its row. --noise-aware replaces "
        "it. Their configuration is "
        "for CARS-98N; those for CUB, Cars-196 and SOP were not found. A pair of a batch counts "
        "once here, as in PML's CrossBatchMemory.",
    ),
}
