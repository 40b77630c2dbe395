"""Wrong labels, four ways: plain, PRISM (told the noise rate), ours (not told), right labels only.

Every row (data set, loss, noise) has four runs on the same seeds and for the same number of steps.
*Recovered* = (ours − plain)/(clean only − plain) of the mean MAP@R, shown where that gap is at
least .03. Runs that stand in the CSV file are not made again, so an interrupted suite goes on
where it stopped; delete the file after a change to the method.

Run: python -m benchmarks.noise --suite quick
     python -m benchmarks.noise --suite full --data DIR
     python -m benchmarks.noise --suite losses --data DIR
     python -m benchmarks.noise --suite long_tailed --data DIR
     python -m benchmarks.noise --suite measurements --data DIR
     python -m benchmarks.noise --suite words --data DIR
"""

import argparse
import csv
import functools
import itertools
import multiprocessing
import os
import platform
import statistics
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, fields
from importlib.metadata import version
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
import torch
from pytorch_metric_learning.distances import CosineSimilarity
from pytorch_metric_learning.samplers import MPerClassSampler
from pytorch_metric_learning.utils import common_functions as c_f
from pytorch_metric_learning.utils.accuracy_calculator import AccuracyCalculator
from pytorch_metric_learning.utils.inference import CustomKNN
from sklearn.metrics import roc_auc_score
from torch import Tensor

from benchmarks import measuring
from benchmarks.datasets import (
    BATCH_SIZE,
    EMBEDDING_SIZE,
    LONG_TAILED,
    MEASUREMENTS,
    Benchmark,
    load,
)
from benchmarks.losses import HYPERBOLIC, LOSSES, MAIN_LOSSES
from benchmarks.prism import Prism
from pml_ahsml import (
    AdaptiveMargins,
    AdaptiveNoiseAwareLoss,
    ClassStatistics,
    LabelNoiseModel,
    PoincareKNN,
    Relabelling,
    inject_label_noise,
)
from pml_ahsml.checks import check_count
from pml_ahsml.data.noise_kinds import mean_similarity

matplotlib.use("Agg")
import matplotlib.pyplot as plt

# Options of the wrapper; "ours" is what a user gets. The others take away or add one part.
_NEVER = 10**9  # a warm-up without end: everything is trusted, which leaves AHSML alone
_ALL_MARGINS = AdaptiveMargins(view_margin=True)
VARIANTS: dict[str, dict[str, Any]] = {
    "ours": {},
    "trust": {"relabel": None, "margins": None},
    "no_margins": {"margins": None},
    "all_margins": {"margins": AdaptiveMargins()},
    "no_relabelling": {"relabel": Relabelling(confidence=1.0)},
    "no_memory": {"relabel": Relabelling(memory_size=0)},
    "no_threshold": {"relabel": Relabelling(trust_threshold=0.5)},
    "no_neighbours": {"neighbour_memory": 0},
    "no_counts": {},  # of which class is labelled as which, see make_loss
    "no_centre": {},  # directions as they are, not from their running mean, see make_loss
    "ours_class_counts": {},  # told how often each label occurs, see make_loss
    "ours_views": {"num_views": 2},
    "ours_views_all_margins": {"num_views": 2, "margins": _ALL_MARGINS},
    "ahsml_margins": {"warmup": _NEVER, "margins": AdaptiveMargins()},
    "ahsml_views": {"warmup": _NEVER, "num_views": 2, "margins": None},
    "ahsml_views_margins": {"warmup": _NEVER, "num_views": 2, "margins": AdaptiveMargins()},
    "ahsml_views_all_margins": {"warmup": _NEVER, "num_views": 2, "margins": _ALL_MARGINS},
    "hyperbolic": {},
    "clean_only_margins": {"warmup": _NEVER, "margins": AdaptiveMargins()},
}
SUITES = ("quick", "full", "ablation", "losses", "long_tailed", "measurements", "words")
RUNS = ("plain", "prism", "ours", "clean_only")
# The margin of view pairs is for losses that are called with pairs.
NOT_FOR_TRIPLETS = [
    run for run, options in VARIANTS.items() if options.get("margins") is _ALL_MARGINS
]
SMALL_GAP = 0.03


@dataclass(frozen=True)
class Job:
    """One training run."""

    data: str
    loss: str
    noise: str  # kind:rate, see noisy_labels
    seed: int
    run: str


@dataclass(frozen=True)
class Result(Job):
    """A job and what came out; nan where a figure does not apply."""

    precision_at_1: float
    map_at_r: float
    noise_rate: float  # ours: the estimate
    noise_rate_seen: float  # share of wrong labels in the last half of the batches
    trust_auroc: float  # ours: trust against the truth, over the training set
    seconds: float

    @property
    def job(self) -> Job:
        """The job that this is the result of."""
        return Job(self.data, self.loss, self.noise, self.seed, self.run)


def suite_runs(suite: str) -> tuple[str, ...]:
    """The runs of each row, by default."""
    if suite == "losses":
        return ("plain", "ours", "clean_only")
    if suite == "long_tailed":
        return ("plain", "prism", "ours", "ours_class_counts", "clean_only")
    if suite == "measurements":
        return ("plain", "prism", "no_neighbours", "ours", "clean_only")
    return ("plain", *VARIANTS, "clean_only") if suite == "ablation" else RUNS


def suite_jobs(arguments: argparse.Namespace) -> list[Job]:
    """All runs of the suite, those of a row together."""
    rows: Iterable[tuple[str, str, str]]
    names = arguments.losses or MAIN_LOSSES
    seeds: Iterable[int] = (0, 1, 2)
    if arguments.suite == "quick":
        rows = itertools.product(("digits",), names, ("symmetric:0.4", "none:0"))
        seeds = (0,)
    elif arguments.suite == "ablation":
        rows = [
            ("clinc", "MultiSimilarity", "symmetric:0.5"),
            ("clinc", "Triplet", "near:0.4"),
            ("hwu", "SupCon", "symmetric:0.5"),
            ("hwu", "MultiSimilarity", "pair:0.2"),
            ("omniglot", "MultiSimilarity", "symmetric:0.5"),
        ]
    elif arguments.suite == "losses":
        rows = [("hwu", loss, "near:0.4") for loss in arguments.losses or LOSSES]
    elif arguments.suite == "measurements":
        noises = ("symmetric:0.5", "near:0.4", "none:0")
        rows = itertools.product(MEASUREMENTS, names, noises)
    elif arguments.suite == "words":
        noises = ("symmetric:0.2", "symmetric:0.5", "near:0.4", "pair:0.2", "none:0")
        rows = itertools.product(("banking",), names, noises)
    elif arguments.suite == "long_tailed":
        noises = ("symmetric:0.2", "symmetric:0.5", "near:0.4", "none:0")
        rows = itertools.product(
            (f"{data}{LONG_TAILED}" for data in ("clinc", "hwu")), names, noises
        )
    else:
        noises = ("symmetric:0.2", "symmetric:0.5", "near:0.4", "pair:0.2", "none:0")
        rows = [
            *itertools.product(("clinc", "hwu"), names, noises),
            *itertools.product(("clinc", "hwu"), ("MultiSimilarity", "SupCon"), ("symmetric:0.7",)),
            *itertools.product(
                ("clinc", "hwu"),
                names,
                ("small_cluster:0.25", "one_way:0.2", "instance:0.3", "open_set:0.3"),
            ),
            *(("omniglot", "MultiSimilarity", f"symmetric:{r}") for r in (0.2, 0.5)),
            *(
                ("synthetic", "MultiSimilarity", noise)
                for noise in ("symmetric:0.3", "symmetric:0.5", "none:0")
            ),
        ]
    chosen = [
        (data, loss, noise)
        for data, loss, noise in rows
        if (not arguments.datasets or data in arguments.datasets)
        and (not arguments.losses or loss in arguments.losses)
        and (not arguments.noise or noise in arguments.noise)
    ]
    return [
        Job(data, loss, noise, seed, run)
        for (data, loss, noise) in chosen
        for seed in (arguments.seeds or seeds)
        for run in (arguments.runs or suite_runs(arguments.suite))
        if noise != "none:0" or run not in ("prism", "clean_only")
        if loss != "Triplet" or run not in NOT_FOR_TRIPLETS
    ]


def train(job: Job, data_dir: Path, longer: int = 1) -> Result:
    """One training run, by the protocol, of so many times its epochs."""
    torch.set_num_threads(1)
    started = time.perf_counter()
    data = load(job.data, data_dir)
    inputs, truth = data.train
    labels = noisy_labels(job, data)
    is_noisy = labels != truth
    steps = num_steps(data, longer)  # as many with right labels only
    if job.run in ("clean_only", "clean_only_margins"):
        inputs, labels, is_noisy = inputs[~is_noisy], labels[~is_noisy], is_noisy[~is_noisy]
    torch.manual_seed(job.seed)
    c_f.NUMPY_RANDOM = np.random.default_rng(job.seed)  # what MPerClassSampler draws from
    net = data.make_net()
    loss = make_loss(job, torch.bincount(labels, minlength=data.num_classes), is_noisy)
    optimizer = torch.optim.AdamW(net.parameters(), lr=1e-3, weight_decay=1e-4)
    proxies = list(loss.parameters())
    if proxies:
        optimizer.add_param_group({"params": proxies, "lr": 1e-2})
    num_views = VARIANTS.get(job.run, {}).get("num_views", 1)
    seen = []
    for rows in itertools.islice(batches(labels), steps):
        optimizer.zero_grad()
        views = torch.cat([data.augment(inputs[rows]) for _ in range(num_views)])
        loss(net(views), labels[rows].repeat(num_views)).backward()
        optimizer.step()
        seen.append(float(is_noisy[rows].float().mean()))
    net.eval()
    with torch.no_grad():
        test = net(data.test[0])
        accuracy = AccuracyCalculator(
            include=("precision_at_1", "mean_average_precision_at_r"),
            k="max_bin_count",
            knn_func=PoincareKNN() if job.run == "hyperbolic" else CustomKNN(CosineSimilarity()),
        ).get_accuracy(test, data.test[1])
        noise_rate = auroc = float("nan")
        if isinstance(loss, AdaptiveNoiseAwareLoss):
            noise_rate = loss.noise_rate
            if is_noisy.any():
                trust = torch.cat(
                    [
                        loss.trust(net(x), y)
                        for x, y in zip(inputs.split(1024), labels.split(1024), strict=True)
                    ]
                )
                auroc = float(roc_auc_score(~is_noisy, trust))
    return Result(
        **asdict(job),
        precision_at_1=accuracy["precision_at_1"],
        map_at_r=accuracy["mean_average_precision_at_r"],
        noise_rate=noise_rate,
        noise_rate_seen=statistics.fmean(seen[len(seen) // 2 :]),
        trust_auroc=auroc,
        seconds=time.perf_counter() - started,
    )


def num_steps(data: Benchmark, longer: int = 1) -> int:
    """Batches of a training of so many times the epochs of the protocol."""
    return longer * data.epochs * (len(data.train[1]) // BATCH_SIZE)


def noisy_labels(job: Job, data: Benchmark) -> Tensor:
    """The training labels of a row, the same for all its runs.

    Kinds are those of ``inject_label_noise``, and "one_way": of every second class twice the rate
    is labelled as the class nearest to it, and nothing the other way round.
    """
    inputs, labels = data.train
    kind, number = job.noise.split(":")
    if kind == "none":
        return labels
    options: dict[str, Any] = {
        "rate": float(number),
        "kind": kind,
        "num_classes": data.num_classes,
        "generator": torch.Generator().manual_seed(job.seed),
    }
    if kind == "one_way":
        nearest = mean_similarity(inputs.flatten(1), labels, data.num_classes)
        nearest.fill_diagonal_(-torch.inf)
        matrix = torch.eye(data.num_classes)
        confused = torch.arange(0, data.num_classes, 2)
        matrix[confused, confused] -= 2 * float(number)
        matrix[confused, nearest.argmax(1)[confused]] = 2 * float(number)
        options |= {"rate": None, "kind": "transition", "transition_matrix": matrix}
    elif kind in ("near", "pair", "instance"):
        options["embeddings"] = inputs.flatten(1)
    return inject_label_noise(labels, **options)[0]


def make_loss(job: Job, class_counts: Tensor, is_noisy: Tensor) -> torch.nn.Module:
    """The loss of a run.

    Args:
        job: the run.
        class_counts: (K,) samples of each class, as labelled.
        is_noisy: (N,) bool, of which Prism is told the mean.
    """
    num_classes = len(class_counts)
    loss = (HYPERBOLIC if job.run == "hyperbolic" else LOSSES)[job.loss](num_classes)
    if job.run == "prism":
        return Prism(loss, num_classes, EMBEDDING_SIZE, float(is_noisy.float().mean()))
    if job.run in VARIANTS:
        options = dict(VARIANTS[job.run])
        if job.run == "ours_class_counts":
            options["class_counts"] = class_counts
        wrapper = AdaptiveNoiseAwareLoss(loss, num_classes, EMBEDDING_SIZE, **options)
        if job.run == "no_counts":
            neighbours = wrapper.noise_model.neighbours
            wrapper.noise_model = LabelNoiseModel(
                num_classes, neighbours=neighbours, max_counted_classes=0
            )
        elif job.run == "no_centre":
            wrapper.class_statistics = ClassStatistics(num_classes, EMBEDDING_SIZE)
        return wrapper
    return loss


def batches(labels: Tensor) -> Iterator[Tensor]:
    """Batches of 32 classes × 4 samples without end (fewer classes where there are fewer)."""
    per_class = max(4, -(-BATCH_SIZE // len(labels.unique())))
    length = max(len(labels), 32 * BATCH_SIZE) // BATCH_SIZE * BATCH_SIZE
    sampler = MPerClassSampler(labels, per_class, length_before_new_iter=length)
    while True:
        yield from torch.tensor(list(sampler)).split(BATCH_SIZE)


def read_results(path: Path) -> list[Result]:
    """The runs that have been made."""
    if not path.exists():
        return []
    with path.open(newline="") as file:
        return [
            Result(**{f.name: f.type(row[f.name]) for f in fields(Result)})  # type: ignore[operator]
            for row in csv.DictReader(file)
        ]


def append_result(path: Path, result: Result) -> None:
    """Add one run to the file."""
    new = not path.exists()
    with path.open("a", newline="") as file:
        writer = csv.DictWriter(file, [f.name for f in fields(Result)])
        if new:
            writer.writeheader()
        writer.writerow(asdict(result))


@dataclass(frozen=True)
class Row:
    """What the seeds of a row say together."""

    data: str
    loss: str
    noise: str
    results: dict[str, list[Result]]

    def scores(self, run: str) -> list[float]:
        """MAP@R of the seeds of a run."""
        return [result.map_at_r for result in self.results.get(run, [])]

    def mean(self, run: str) -> float:
        """Mean MAP@R of a run, nan where it was not made."""
        scores = self.scores(run)
        return statistics.fmean(scores) if scores else float("nan")

    def recovered(self, run: str) -> float:
        """(run − plain)/(clean only − plain), nan where the gap is small."""
        gap = self.mean("clean_only") - self.mean("plain")
        return (self.mean(run) - self.mean("plain")) / gap if gap >= SMALL_GAP else float("nan")

    def figure(self, run: str, name: str) -> float:
        """Mean over the seeds of another figure of a run."""
        values = [getattr(result, name) for result in self.results.get(run, [])]
        return statistics.fmean(values) if values else float("nan")


def rows_of(results: list[Result]) -> list[Row]:
    """The rows, in the order in which they were first run."""
    rows: dict[tuple[str, str, str], Row] = {}
    for result in results:
        key = (result.data, result.loss, result.noise)
        row = rows.setdefault(key, Row(*key, {}))
        row.results.setdefault(result.run, []).append(result)
    return list(rows.values())


def table(rows: list[Row], runs: Sequence[str]) -> str:
    """The rows as Markdown: MAP@R of each run, then the figures of our own runs."""
    own = [run for run in runs if run in VARIANTS]
    head = ["data", "loss", "noise", *runs]
    for run in own:
        head += [f"{run}: recovered", "noise rate (seen)", "AUROC"]

    def cell(value: float, digits: int = 3) -> str:
        return "" if np.isnan(value) else f"{value:.{digits}f}"

    body = []
    for row in rows:
        cells = [row.data, row.loss, row.noise, *(cell(row.mean(run)) for run in runs)]
        for run in own:
            estimated, seen = row.figure(run, "noise_rate"), row.figure(run, "noise_rate_seen")
            cells += [
                cell(row.recovered(run), 2),
                f"{cell(estimated)} ({cell(seen)})",
                cell(row.figure(run, "trust_auroc")),
            ]
        body.append(cells)
    lines = [measuring.table(head, body).rstrip()]
    for run in own + ["prism"] * ("prism" in runs):
        known = [row.recovered(run) for row in rows if not np.isnan(row.recovered(run))]
        if known:
            lines.append(
                f"\n{run} recovers {statistics.fmean(known):.2f} in the mean (median "
                f"{statistics.median(known):.2f}, worst {min(known):.2f} of {len(known)} rows)."
            )
    return "\n".join(lines) + "\n"


def plot(rows: list[Row], runs: Sequence[str], path: Path) -> None:
    """Mean MAP@R of the runs of each row, with the standard deviation over the seeds."""
    figure, axis = plt.subplots(figsize=(9, 1 + 0.3 * len(rows)), layout="constrained")
    colours = {"plain": "tab:gray", "prism": "tab:blue", "clean_only": "k"}
    variants = [run for run in runs if run in VARIANTS]
    colours |= {run: f"C{(3 + n) % 10}" for n, run in enumerate(variants)}
    for run, offset in zip(runs, np.linspace(-0.25, 0.25, len(runs)), strict=True):
        made = [(y, row) for y, row in enumerate(rows) if row.scores(run)]
        axis.errorbar(
            [row.mean(run) for _, row in made],
            [y + offset for y, _ in made],
            xerr=[float(np.std(row.scores(run))) for _, row in made],
            fmt="o",
            markersize=4,
            color=colours[run],
            label=run.replace("_", " "),
        )
    axis.set_yticks(range(len(rows)), [f"{r.data}, {r.loss}, {r.noise}" for r in rows], fontsize=8)
    axis.invert_yaxis()
    axis.grid(axis="y", alpha=0.3)
    axis.set_xlabel("MAP@R on clean test labels")
    figure.legend(loc="outside lower center", ncols=4, frameon=False)
    figure.savefig(path, dpi=110)


def machine() -> str:
    """Where the figures come from."""
    names = ("torch", "pytorch-metric-learning", "numpy", "pml_ahsml")
    versions = ", ".join(f"{name} {version(name)}" for name in names)
    return (
        f"Python {platform.python_version()}, {versions}; {os.cpu_count()} cores, "
        f"{platform.machine()}, no GPU, one thread a run."
    )


def command(arguments: argparse.Namespace) -> str:
    """The command line that chose these rows, less where its files are."""
    words = ["python -m benchmarks.noise --suite", arguments.suite]
    for name in ("datasets", "losses", "noise", "seeds", "runs"):
        values = getattr(arguments, name)
        words += [f"--{name}", *map(str, values)] if values else []
    words += ["--longer", str(arguments.longer)] if arguments.longer > 1 else []
    return " ".join(words)


def stem(arguments: argparse.Namespace) -> str:
    """The name of the files with the results, of longer trainings another one."""
    times = f"_{arguments.longer}_times" if arguments.longer > 1 else ""
    return f"noise_{arguments.suite}{times}"


def main(arguments: argparse.Namespace) -> None:
    """Make the runs that are missing, then the table and the plot."""
    check_count("longer", arguments.longer, minimum=1)
    arguments.output.mkdir(parents=True, exist_ok=True)
    name = stem(arguments)
    path = arguments.output / f"{name}.csv"
    wanted = suite_jobs(arguments)
    made = {result.job for result in read_results(path)}
    missing = [job for job in wanted if job not in made]
    print(f"{len(missing)} runs to make, {len(made)} made before", flush=True)
    one_run = functools.partial(train, data_dir=arguments.data, longer=arguments.longer)
    # processes instead of threads: torch's random numbers are global
    with multiprocessing.get_context("spawn").Pool(arguments.processes) as pool:
        finished = pool.imap(one_run, missing)
        for n, result in enumerate(finished, 1):
            append_result(path, result)
            print(
                f"[{n}/{len(missing)}] {result.data} {result.loss} {result.noise} "
                f"seed {result.seed} {result.run}: MAP@R {result.map_at_r:.3f} in "
                f"{result.seconds:.0f} s",
                flush=True,
            )
    by_job = {result.job: result for result in read_results(path)}
    results = [by_job[job] for job in wanted]
    rows = rows_of(results)
    runs = arguments.runs or suite_runs(arguments.suite)
    markdown = table(rows, runs)
    head = f"Made by `{command(arguments)}`. {machine()}\n\n"
    (arguments.output / f"{name}.md").write_text(head + markdown)
    plot(rows, runs, arguments.output / f"{name}.png")
    print(markdown)


def parser() -> argparse.ArgumentParser:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--suite", choices=SUITES, default="quick")
    parser.add_argument(
        "--data", type=Path, default=Path(os.environ.get("PML_AHSML_DATA", "../shared/data"))
    )
    parser.add_argument("--output", type=Path, default=Path("benchmark_results"))
    parser.add_argument("--datasets", nargs="*", help="only these data sets")
    parser.add_argument("--losses", nargs="*", choices=tuple(LOSSES), help="only these losses")
    parser.add_argument("--noise", nargs="*", help="only these, as kind:rate")
    parser.add_argument("--seeds", nargs="*", type=int, help="these seeds instead of the suite's")
    parser.add_argument("--runs", nargs="*", choices=(*RUNS, *VARIANTS), help="these instead")
    parser.add_argument(
        "--longer",
        type=int,
        default=1,
        help="train so many times the epochs, in files of their own",
    )
    parser.add_argument("--processes", type=int, default=os.cpu_count())
    return parser


if __name__ == "__main__":
    main(parser().parse_args())
