"""Makes up results without training."""

from benchmarks.noise.results import Result


def result(run: str, map_at_r: float, seed: int = 0, noise: str = "near:0.4") -> Result:
    return Result("clinc", "SupCon", noise, seed, run, 0.9, map_at_r, 0.4, 0.41, 0.98, 3.0)
