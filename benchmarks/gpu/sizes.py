"""The sizes of the measurements."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Sizes:
    """The sizes of the measurements.

    Args:
        rounds: most rounds in which all ways take turns.
        matrices: (N, D) of the distance matrices.
        networks: networks of timm, or "stand-in".
        side: height and width of the images.
        classes: K of the training steps; with up to 102 classes neighbours are asked, which costs
            more.
        per_class: images per class.
        embedding_size: D of the training steps.
        warmup: steps of the head alone, before whole steps are measured.
        steps: steps of each way in a round.
        counted_classes: K of the steps that are counted.
        learnt: steps before that.
        counted: steps that are counted.
        references: (N, D) of the searches.
        k: number of neighbours.
    """

    rounds: int = 9
    matrices: tuple[tuple[int, int], ...] = ((512, 128), (1024, 512), (4096, 512), (16_384, 128))
    networks: tuple[str, ...] = ("resnet50", "vit_small_patch16_224")
    side: int = 224
    classes: int = 100
    per_class: int = 24
    embedding_size: int = 128
    warmup: int = 250
    steps: int = 3
    counted_classes: tuple[int, ...] = (100, 150, 11_318)
    learnt: int = 120
    counted: int = 3
    references: tuple[tuple[int, int], ...] = ((20_000, 128), (60_502, 512))
    k: int = 10


QUICK = Sizes(
    rounds=1, matrices=((32, 8),), networks=("stand-in",), side=16, classes=40, per_class=8,
    embedding_size=8, warmup=30, steps=1, counted_classes=(40,), learnt=30, counted=2,
    references=((200, 8),), k=5,
)  # fmt: skip
