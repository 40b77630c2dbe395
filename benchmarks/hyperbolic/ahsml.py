"""AHSML part by part: Euclidean, hyperbolic, + margins, + views, + view margin, + miner, + labels.

MultiSimilarityLoss with PML's defaults. Each way adds one part to the way before it, except that
"label_model" goes without the miner. Data, networks, noise and seeds are those of
benchmarks.noise. Neighbours are those of the distance of training. Runs that stand in the CSV file
are not made again; delete the file after a change to a part.

Run: python -m benchmarks.hyperbolic.ahsml --data DIR, then python -m benchmarks.hyperbolic.page
"""

import argparse
import functools
import os
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from pytorch_metric_learning.losses import MultiSimilarityLoss

from benchmarks.command_line import new_parser
from benchmarks.hyperbolic.training import tested
from benchmarks.noise.__main__ import make_missing
from benchmarks.noise.labels import NO_NOISE
from benchmarks.noise.methods import Method, Told, wrap
from benchmarks.noise.mined import Mined
from benchmarks.noise.protocol import judge, trained
from benchmarks.noise.results import Job, Result
from pml_ahsml import AdaptiveMargins, HierarchicalSimilarityMiner, LorentzSimilarity

LOSS = "MultiSimilarity"
DATASETS = ("hwu", "clinc")
NOISES = (NO_NOISE, "symmetric:0.3", "symmetric:0.5", "given:annotator")
SEEDS = (0, 1, 2)

_MARGINS, _ALL_MARGINS = AdaptiveMargins(), AdaptiveMargins(view_margin=True)


def _hyperbolic(*, num_views: int = 1, **options: Any) -> Method:
    """Wraps the loss with the hyperbolic similarity; all labels are trusted by default."""
    options = {"warmup": None, "num_views": num_views, **options}
    return Method(
        lambda _, told: wrap(MultiSimilarityLoss(distance=LorentzSimilarity()), told, **options),
        num_views=num_views,
        is_ours=True,
    )


def _mined(method: Method) -> Method:
    def make_loss(plain: torch.nn.Module, told: Told) -> Mined:
        loss: Any = method.make_loss(plain, told)
        return Mined(loss, HierarchicalSimilarityMiner(loss.distance))

    return Method(make_loss, num_views=method.num_views)


_UNIFIED: dict[str, Any] = {"num_views": 2, "margins": _ALL_MARGINS}

WAYS: dict[str, Method] = {
    "euclidean": Method(lambda plain, _: plain),
    "hyperbolic": Method(lambda *_: MultiSimilarityLoss(distance=LorentzSimilarity())),
    "margins": _hyperbolic(margins=_MARGINS),
    "views": _hyperbolic(num_views=2, margins=_MARGINS),
    "view_margin": _hyperbolic(**_UNIFIED),
    "miner": _mined(_hyperbolic(**_UNIFIED)),
    "label_model": _hyperbolic(warmup=25, **_UNIFIED),
}


def jobs(datasets: Sequence[str], noises: Sequence[str], seeds: Sequence[int]) -> list[Job]:
    """All runs of some rows, a seed after the other."""
    return [
        Job(data, LOSS, noise, seed, way)
        for data in datasets
        for seed in seeds
        for noise in noises
        for way in WAYS
    ]


def train(job: Job, data_dir: Path) -> Result:
    """Train and evaluate one run."""
    started = time.perf_counter()
    run = trained(job, data_dir, methods=WAYS)
    run.net.eval()
    inputs, labels = run.data.test
    with torch.no_grad():
        embeddings = run.net(inputs)
    loss = run.loss.loss if isinstance(run.loss, Mined) else run.loss
    figures = tested(embeddings, labels, loss)
    noise_rate, auroc = judge(run)
    return Result(
        **asdict(job),
        precision_at_1=figures["precision_at_1"],
        map_at_r=figures["map_at_r"],
        noise_rate=noise_rate,
        noise_rate_seen=run.noise_rate_seen,
        trust_auroc=auroc,
        seconds=time.perf_counter() - started,
    )


def main(arguments: argparse.Namespace) -> None:
    """Make the missing runs."""
    wanted = jobs(arguments.datasets, arguments.noise, arguments.seeds)
    one_run = functools.partial(train, data_dir=arguments.data)
    make_missing(wanted, arguments.output, one_run, arguments.processes)


def parser() -> argparse.ArgumentParser:
    """Make the parser of the command line."""
    parser = new_parser("benchmarks.hyperbolic.ahsml", __doc__)
    parser.add_argument("--output", type=Path, default=Path("docs/ahsml_ablation.csv"))
    parser.add_argument("--datasets", nargs="*", choices=DATASETS, default=DATASETS)
    parser.add_argument("--noise", nargs="*", choices=NOISES, default=NOISES)
    parser.add_argument("--seeds", nargs="*", type=int, default=SEEDS)
    parser.add_argument("--processes", type=int, default=os.cpu_count())
    return parser


if __name__ == "__main__":
    main(parser().parse_args())
