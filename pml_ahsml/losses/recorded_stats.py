"""Numbers for PML's record-keeper."""

from ..labels.label_noise_model import LabelNoiseModel
from .batch import Batch
from .judgement import Judgement

# None may be the name of a property: PML sets each to 0 at the start of a forward.
STATS = (
    "stat_noise_rate",
    "stat_share_trusted",
    "stat_share_relabelled",
    "stat_temperature",
    "stat_spread",
)


def recorded_stats(batch: Batch, judgement: Judgement, model: LabelNoiseModel) -> dict[str, float]:
    """Return the numbers recorded for a step, by the names in ``STATS``.

    Args:
        batch: the batch as given.
        judgement: decisions about its rows.
        model: the label model, before it learns from the batch.
    """
    relabelled = judgement.takes_part & (judgement.labels != batch.labels)
    values = (
        model.noise_rate,
        float(judgement.trusted.float().mean()),
        float(relabelled.float().mean()),
        model.temperature,
        model.spread,
    )
    return dict(zip(STATS, values, strict=True))
