"""Results as a run would leave them."""

from typing import Any

from benchmarks.hyperbolic.results import Result


def made(way: str, seed: int, **options: Any) -> Result:
    values: dict[str, Any] = {
        "data": "hwu",
        "loss": "SupCon",
        "noise": "none:0",
        "size": 128,
        "is_wrapped": 0,
        "precision_at_1": 0.8,
        "map_at_r": 0.7,
        "cosine_precision_at_1": 0.8,
        "cosine_map_at_r": 0.7,
        "at_rim": 0.9,
        "wrong_by_norm": 0.6,
        "seconds": 5.0,
    }
    return Result(**{**values, "way": way, "seed": seed, **options})
