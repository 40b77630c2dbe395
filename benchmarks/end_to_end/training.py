"""One fine-tuning, which goes on from its last checkpoint."""

import itertools
import os
import statistics
import time
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from pytorch_metric_learning.utils import common_functions as c_f
from torch import Tensor

from benchmarks.end_to_end.curve import Point, point
from benchmarks.end_to_end.network import embed, new_optimizer
from benchmarks.noise.data import Benchmark
from benchmarks.noise.labels import noisy_labels
from benchmarks.noise.methods import METHODS
from benchmarks.noise.protocol import Samples, Trained, batches, evaluate, judge, told_about
from benchmarks.noise.results import Job, Result
from pml_ahsml import AdaptiveNoiseAwareLoss

_STEPS_BETWEEN_CHECKPOINTS = 25


@dataclass
class Progress:
    """What a run has gathered so far.

    Args:
        step: steps that are done.
        seconds: that they took.
        seen: share of wrong labels in each batch.
        curve: the points of a wrapped loss, as tuples.
    """

    step: int = 0
    seconds: float = 0.0
    seen: list[float] = field(default_factory=list)
    curve: list[tuple[Any, ...]] = field(default_factory=list)


def train(job: Job, data: Benchmark, steps: int, checkpoint: Path) -> tuple[Result, list[Point]]:
    """Fine-tune and evaluate; the checkpoint is written on the way and read if it is there."""
    run, progress = fine_tuned(job, data, steps, checkpoint)
    started = time.perf_counter()
    run.net.eval()
    inputs, labels = data.test
    at_test = replace(data, test=(embed(run.net, inputs), labels))
    precision, map_at_r = evaluate(torch.nn.Identity(), at_test, run.method)
    noise_rate, auroc = _judged(run)
    result = Result(
        **asdict(job),
        precision_at_1=precision,
        map_at_r=map_at_r,
        noise_rate=noise_rate,
        noise_rate_seen=statistics.fmean(run.seen[len(run.seen) // 2 :]),
        trust_auroc=auroc,
        seconds=progress.seconds + time.perf_counter() - started,
    )
    return result, [Point(*one) for one in progress.curve]


def fine_tuned(job: Job, data: Benchmark, steps: int, checkpoint: Path) -> tuple[Trained, Progress]:
    """Train a network and its loss, as ``benchmarks.noise.protocol`` does with small networks."""
    method, samples = METHODS[job.run], chosen(job, data)
    torch.manual_seed(job.seed)
    c_f.NUMPY_RANDOM = np.random.default_rng(job.seed)  # what MPerClassSampler draws from
    # All batches are drawn beforehand, so that a run can go on in their middle.
    order = list(itertools.islice(batches(samples.labels), steps))
    net: Any = data.make_net()
    loss = method.loss(job.loss, told_about(samples, data.num_classes))
    optimizer, progress = new_optimizer(net), Progress()
    parts = {"net": net, "loss": loss, "optimizer": optimizer}
    if checkpoint.exists():
        progress = load(checkpoint, parts)
    while progress.step < steps:
        started, rows = time.perf_counter(), order[progress.step]
        batch, ids = samples[rows], {"sample_ids": rows} if method.has_ids else {}
        optimizer.zero_grad()
        embeddings = net(data.augment(batch.inputs))
        progress.step += 1
        if method.has_ids:
            progress.curve.append(_point(loss, embeddings, batch, rows, (job.noise, progress.step)))
        loss(embeddings, batch.labels, **ids).backward()
        optimizer.step()
        progress.seen.append(float(batch.is_noisy.float().mean()))
        progress.seconds += time.perf_counter() - started
        if progress.step % _STEPS_BETWEEN_CHECKPOINTS == 0:
            save(checkpoint, parts, progress)
            print(
                f"{job.noise} {job.run}: {progress.step} steps, {progress.seconds:.0f} s",
                flush=True,
            )
    return Trained(net, loss, samples, data, method, progress.seen), progress


def chosen(job: Job, data: Benchmark) -> Samples:
    """The samples that a run trains on."""
    inputs, truth = data.train
    labels = noisy_labels(job.noise, job.seed, data)
    samples = Samples(inputs, labels, labels != truth)
    return samples[~samples.is_noisy] if METHODS[job.run].clean_only else samples


def save(path: Path, parts: dict[str, Any], progress: Progress) -> None:
    """Write a checkpoint; one that is cut off does not replace the last."""
    states = {name: part.state_dict() for name, part in parts.items()}
    torch.save(
        {**states, "random": torch.get_rng_state(), "progress": asdict(progress)}, f"{path}~"
    )
    os.replace(f"{path}~", path)


def load(path: Path, parts: dict[str, Any]) -> Progress:
    """Put everything back as it was when the checkpoint was written."""
    stored = torch.load(path, weights_only=True)
    for name, part in parts.items():
        part.load_state_dict(stored[name])
    torch.set_rng_state(stored["random"])
    return Progress(**stored["progress"])


def _point(
    loss: torch.nn.Module, embeddings: Tensor, batch: Samples, ids: Tensor, name: tuple[str, int]
) -> tuple[Any, ...]:
    assert isinstance(loss, AdaptiveNoiseAwareLoss)
    found = point(loss, embeddings, batch.labels, ids, batch.is_noisy, name)
    return tuple(asdict(found).values())


def _judged(run: Trained) -> tuple[float, float]:
    """Noise rate and AUROC of trust over the training set, without augmentation."""
    if not run.method.is_ours:
        return judge(run)
    embedded = replace(run.samples, inputs=embed(run.net, run.samples.inputs))
    return judge(replace(run, net=torch.nn.Identity(), samples=embedded))
