"""The sizes of the measurements."""

from dataclasses import dataclass

BATCH_SIZE, PER_CLASS = 128, 4


@dataclass(frozen=True)
class Sizes:
    """The sizes of the measurements.

    Args:
        classes: K of the training steps; neighbours vote with 100 classes, but not with 150.
        embedding_size: D of the training steps and of the steps with very many classes.
        hidden: units of the network 384→hidden→D.
        warmup: steps before the measurement.
        steps: steps of each way in a round.
        rounds: number of rounds.
        proxies: (K, D) for the comparison with a ProxyAnchorLoss.
        many: K of the steps with very many classes.
        exact: K of the comparison with exact results.
        batches: batches to learn from before that comparison.
    """

    classes: tuple[int, ...] = (150, 100)
    embedding_size: int = 128
    hidden: int = 512
    warmup: int = 250
    steps: int = 10
    rounds: int = 9
    proxies: tuple[tuple[int, int], ...] = ((1_000, 128), (11_318, 512))
    many: tuple[int, ...] = (11_318, 100_000, 1_000_000)
    exact: int = 1_000
    batches: int = 600


FAST = Sizes(
    classes=(40,), embedding_size=8, hidden=16, warmup=3, steps=1, rounds=1, proxies=((50, 8),),
    many=(60, 33_000), exact=60, batches=4,
)  # fmt: skip
