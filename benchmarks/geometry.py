"""What hyperbolic geometry costs beside Euclidean: time, memory, accuracy, neighbours, wrapper.

All ways to a distance matrix run side by side in one process, in turn; a ratio is the median over
the rounds of the ratio within a round. Those that broadcast over N×M×D run at small sizes only.
hypll is compared where it is installed (pip install hypll, in a virtual environment of its own).
Writes the figures as JSON, and docs/geometry.md and docs/geometry.png from them.

Run: python -m benchmarks.geometry [--fast] [--output DIR]
"""

import argparse
import importlib.util
import json
import os
import platform
import statistics
import time
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import matplotlib
import torch
from pytorch_metric_learning.distances import CosineSimilarity, LpDistance
from pytorch_metric_learning.utils.inference import CustomKNN, FaissKNN
from torch import Tensor

from benchmarks import wrapper_overhead
from benchmarks.hyperbolic_baselines import (
    Matrix,
    PlainDistance,
    geoopt_broadcast,
    hypll_matrix,
    moebius_matrix,
    plain_autograd,
)
from benchmarks.measuring import now, peak_bytes, table
from pml_ahsml import PoincareDistance, PoincareKNN
from pml_ahsml.hyperbolic import geodesic, maps

matplotlib.use("Agg")
import matplotlib.pyplot as plt

PARTS = ("timings", "accuracy", "knn", "overhead")
C, CLIP = 0.1, 2.3
CURVATURES = (0.01, 0.1, 1.0)
OURS = "PoincareDistance"
EUCLIDEAN = "LpDistance"
BROADCASTING = ("geoopt broadcast", "Möbius matrix", "hypll cdist")


def contestants(c: float = C) -> dict[str, Matrix]:
    """The ways to a distance matrix, by name."""
    ways: dict[str, Matrix | None] = {
        EUCLIDEAN: LpDistance(),
        "CosineSimilarity": CosineSimilarity(),
        OURS: PoincareDistance(c, CLIP),
        "plain autograd": plain_autograd(c, CLIP),
        "geoopt broadcast": geoopt_broadcast(c, CLIP),
        "Möbius matrix": moebius_matrix(c, CLIP),
        "hypll cdist": hypll_matrix(c, CLIP),
    }
    return {name: way for name, way in ways.items() if way is not None}


def inputs(n: int, d: int, kind: str, device: torch.device) -> Tensor:
    """Embeddings: random, in tight classes of four, or collapsed to nearly one point."""
    generator = torch.Generator().manual_seed(0)
    noise = torch.randn(n, d, generator=generator)
    if kind == "random":
        e = noise * 2 / d**0.5
    elif kind == "classes":
        centres = torch.randn(-(-n // 4), d, generator=generator).repeat_interleave(4, 0)[:n]
        e = (centres + 0.03 * noise) * 2 / d**0.5
    else:
        e = (torch.randn(1, d, generator=generator) + 1e-3 * noise) * 2 / d**0.5
    return e.to(device)


def step(matrix: Matrix, embeddings: Tensor, incoming: Tensor) -> tuple[float, float]:
    """Seconds of one forward pass, and of forward and backward."""
    embeddings = embeddings.requires_grad_()
    embeddings.grad = None
    started = now(embeddings.device)
    distances = matrix(embeddings)
    forward = now(embeddings.device)
    distances.backward(incoming)
    return forward - started, now(embeddings.device) - started


def timings(
    sizes: list[tuple[int, int, str]], rounds: int, device: torch.device, broadcast_below: int
) -> list[dict[str, Any]]:
    """Median times, and ratios to LpDistance within a round."""
    rows = []
    for n, d, kind in sizes:
        ways = contestants()
        if kind != "random":
            ways = {name: ways[name] for name in (EUCLIDEAN, OURS)}
        elif n * n * d > broadcast_below:
            ways = {name: way for name, way in ways.items() if name not in BROADCASTING}
        e = inputs(n, d, kind, device)
        incoming = torch.rand(n, n, device=device)
        for way in ways.values():
            step(way, e, incoming)  # warm-up
        times: dict[str, list[tuple[float, float]]] = {name: [] for name in ways}
        for _ in range(rounds):
            for name, way in ways.items():
                times[name].append(step(way, e, incoming))
        for name, taken in times.items():
            ratios = [
                [mine / base for mine, base in zip(a, b, strict=True)]
                for a, b in zip(taken, times[EUCLIDEAN], strict=True)
            ]
            to_ours = [a[1] / b[1] for a, b in zip(taken, times[OURS], strict=True)]
            rows.append(
                {
                    "n": n,
                    "d": d,
                    "kind": kind,
                    "way": name,
                    "forward_ms": 1e3 * statistics.median(t[0] for t in taken),
                    "both_ms": 1e3 * statistics.median(t[1] for t in taken),
                    "forward_ratio": statistics.median(r[0] for r in ratios),
                    "both_ratio": statistics.median(r[1] for r in ratios),
                    "ratio_to_ours": statistics.median(to_ours),
                    "memory": peak_memory(ways[name], e, n),
                }
            )
            print(
                f"{n}×{d} {kind:9} {name:17} forward {rows[-1]['forward_ms']:9.2f} ms, both "
                f"{rows[-1]['both_ms']:9.2f} ms = {rows[-1]['both_ratio']:7.2f} × LpDistance, "
                f"memory {rows[-1]['memory']:.1f} matrices",
                flush=True,
            )
    return rows


def peak_memory(matrix: Matrix, embeddings: Tensor, n: int) -> float:
    """Peak of forward and backward in N×M float32 matrices, both ends of the matrix included."""

    def both() -> None:
        embeddings.grad = None
        distances = matrix(embeddings)
        distances.backward(torch.ones_like(distances))

    both()
    embeddings.grad = None
    return peak_bytes(both, embeddings.device) / (4 * n * n)


def accuracy(rows: int, d: int) -> list[dict[str, Any]]:
    """Largest relative errors in float32 against float64, of distances and of gradients.

    By the radius of points in random directions, then of pairs of near-duplicates by their
    distance. Points at the clip radius stand just inside, where the gradient is defined.
    """
    generator = torch.Generator().manual_seed(0)
    directions = torch.nn.functional.normalize(torch.randn(rows, d, generator=generator))
    results = []
    for c in CURVATURES:
        ways = contestants(c)
        for name in (EUCLIDEAN, "CosineSimilarity"):
            del ways[name]
        for radius in (0.1, 0.5, 1.0, 2.0, CLIP * (1 - 1e-6)):
            e = directions * radius
            for name, way in ways.items():
                results.append({"c": c, "case": f"radius {radius:.3g}", "way": name})
                results[-1] |= errors(way, e, c, ~torch.eye(rows, dtype=torch.bool))
        half = torch.nn.functional.normalize(directions[::2]) * torch.linspace(
            0.1, 2.25, len(directions[::2])
        ).unsqueeze(1)
        for gap in (1e-4, 1e-3, 1e-2, 1e-1):
            e = torch.stack([half, moved(half, gap, c, generator)], 1).flatten(0, 1)
            pairs = torch.zeros(len(e), len(e), dtype=torch.bool)
            pairs[torch.arange(0, len(e), 2), torch.arange(1, len(e), 2)] = True
            for name, way in ways.items():
                results.append({"c": c, "case": f"duplicates at {gap:g}", "way": name})
                results[-1] |= errors(way, e, c, pairs)
        for name in ways:
            mine = [r for r in results if r["c"] == c and r["way"] == name]
            print(
                f"c = {c:4} {name:17} largest error of a distance "
                f"{max(r['distance'] for r in mine):.0e}, of a gradient "
                f"{max(r['gradient'] for r in mine):.0e}",
                flush=True,
            )
    return results


def moved(e: Tensor, gap: float, c: float, generator: torch.Generator) -> Tensor:
    """Rows at about the geodesic distance ``gap``, in random directions."""
    e64 = e.double()
    direction = torch.nn.functional.normalize(torch.randn(e.shape, generator=generator)).double()
    speed = geodesic.pairwise_distance(e64, e64 + 1e-7 * direction, c)[:, None] / 1e-7
    return (e64 + gap * direction / speed).float()


def errors(way: Matrix, e: Tensor, c: float, pairs: Tensor) -> dict[str, float]:
    """Largest relative error of the distances of some pairs, and of the gradient in norm."""
    i, j = pairs.nonzero().unbind(1)
    e = e.requires_grad_()
    actual = way(e)[i, j]
    (gradient,) = torch.autograd.grad(actual.sum(), e)
    e64 = e.detach().double().requires_grad_()
    u = maps.clip_norm(e64, CLIP)
    exact = geodesic.pairwise_distance(u[i], u[j], c)
    (wanted,) = torch.autograd.grad(exact.sum(), e64)
    norm = wanted.norm(dim=1).clamp_min(1e-3 * float(wanted.norm(dim=1).max()))
    used = torch.cat([i, j]).unique()
    return {
        "distance": worst((actual.detach().double() - exact.detach()) / exact.detach()),
        "gradient": worst(((gradient.double() - wanted).norm(dim=1) / norm)[used]),
    }


def worst(error: Tensor) -> float:
    """Largest absolute value, inf for a nan."""
    return float(error.abs().nan_to_num(torch.inf).max())


def knn_data(kind: str, n: int, d: int) -> Tensor:
    """Points of the settings in which neighbours are compared."""
    generator = torch.Generator().manual_seed(0)
    noise = torch.randn(n, d, generator=generator)
    directions = torch.nn.functional.normalize(torch.randn(n, d, generator=generator))
    radii = torch.rand(n, 1, generator=generator) * CLIP
    if kind == "all clipped":
        return 3 * noise
    if kind == "radius U(0, 2.3)":
        return directions * radii
    spread = float(kind.rsplit(" ", 1)[1])
    clusters = max(1, n // 100)
    return (directions * radii)[torch.arange(n) % clusters] + spread * noise


KNN_KINDS = ("all clipped", "radius U(0, 2.3)", "clusters, σ = 0.02", "clusters, σ = 0.002")


def nearest_neighbours(n: int, d: int, k: int, rounds: int) -> dict[str, Any]:
    """Time of all queries against all references, agreement with float64, and recall."""
    distance = PoincareDistance(C, CLIP)
    ways: dict[str, Callable[..., tuple[Tensor, Tensor]]] = {
        "PoincareKNN": PoincareKNN(distance),
        "CustomKNN(PoincareDistance)": CustomKNN(distance, batch_size=1000),
        "CustomKNN(plain autograd)": CustomKNN(PlainDistance(C, CLIP), batch_size=1000),
    }
    if importlib.util.find_spec("faiss") is not None:
        ways["FaissKNN, Euclidean"] = FaissKNN()
    e = knn_data(KNN_KINDS[0], n, d)
    taken: dict[str, list[float]] = {name: [] for name in ways}
    with torch.no_grad():
        for _ in range(rounds):
            for name, way in ways.items():
                started = time.perf_counter()
                way(e, k, e, True)
                taken[name].append(time.perf_counter() - started)
                print(f"k-NN {n}×{n} {name}: {taken[name][-1]:.2f} s", flush=True)
    own = taken["PoincareKNN"]
    times = [
        {
            "way": name,
            "seconds": statistics.median(seconds),
            "ratio_to_ours": statistics.median(a / b for a, b in zip(seconds, own, strict=True)),
        }
        for name, seconds in taken.items()
    ]
    agreement = []
    for c in (0.1, 1.0):
        for kind in KNN_KINDS:
            e = knn_data(kind, n, d)
            exact = brute_force(e, k, c)
            row: dict[str, Any] = {"c": c, "data": kind}
            searches = {
                "identical": PoincareKNN(PoincareDistance(c, CLIP)),
                "identical_without_reranking": PoincareKNN(PoincareDistance(c, CLIP), rerank=0),
                "identical_custom": CustomKNN(PoincareDistance(c, CLIP), batch_size=1000),
            }
            with torch.no_grad():
                for name, search in searches.items():
                    row[name] = float((search(e, k, e, True)[1] == exact).all(1).double().mean())
                row |= recalls(e, k, c, exact)
            agreement.append(row)
            print(row, flush=True)
    return {"n": n, "d": d, "k": k, "times": times, "agreement": agreement}


def brute_force(e: Tensor, k: int, c: float) -> Tensor:
    """Neighbours in float64, the query left out."""
    u = maps.clip_norm(e.double(), CLIP)
    found = []
    for start in range(0, len(u), 256):
        d = geodesic.distance_matrix(u[start : start + 256], u, c)
        d[torch.arange(len(d)), torch.arange(start, start + len(d))] = torch.inf
        found.append(d.topk(k, largest=False).indices)
    return torch.cat(found)


def recalls(e: Tensor, k: int, c: float, exact: Tensor) -> dict[str, float]:
    """Share of the neighbours that approximate indices find."""
    if importlib.util.find_spec("faiss") is None:
        return {}
    import faiss

    def hnsw(metric: int) -> Callable[[int], Any]:
        def make(d: int) -> Any:
            index = faiss.IndexHNSWFlat(d, 32, metric)
            index.hnsw.efSearch = 128
            return index

        return make

    def ivf(metric: int) -> Callable[[int], Any]:
        def make(d: int) -> Any:
            index = faiss.index_factory(d, f"IVF{max(4, len(e) // 200)},Flat", metric)
            index.nprobe = max(2, len(e) // 1600)
            return index

        return make

    result = {}
    for name, make in (("HNSW", hnsw), ("IVF", ivf)):
        for metric, label in ((faiss.METRIC_L2, "L2"), (faiss.METRIC_INNER_PRODUCT, "products")):
            knn = PoincareKNN(PoincareDistance(c, CLIP), index_init_fn=make(metric))
            found = knn(e, k, e, True)[1]
            hit = (found[:, :, None] == exact[:, None]).any(2)
            result[f"recall of {name}, {label}"] = float(hit.double().mean())
    return result


def machine(device: torch.device) -> str:
    """Where the figures come from."""
    names = ["torch", "pytorch-metric-learning", "geoopt", "faiss-cpu", "hypll"]
    versions = []
    for name in names:
        try:
            versions.append(f"{name} {version(name)}")
        except PackageNotFoundError:
            versions.append(f"{name} not installed")
    where = f"{os.cpu_count()} cores, {torch.get_num_threads()} threads"
    if device.type == "cuda":
        where = torch.cuda.get_device_name(device)
    return f"Python {platform.python_version()}, {', '.join(versions)}; {where}."


def report(figures: dict[str, Any], command: str) -> str:
    """The figures as Markdown."""
    text = [
        "# Hyperbolic geometry: cost and accuracy\n",
        f"Made by `{command}`; each part names the machine it was measured on.\n",
        "## Distance matrix: time and memory\n",
        "Forward and backward of the (N, N) matrix of (N, D) embeddings in float32, "
        f"c = {C}, clip radius {CLIP}. "
        "Ratios are medians over at least seven rounds in which all ways take turns; memory is "
        "the peak of forward and backward in N×N float32 matrices, the distances and the "
        'incoming gradient included. "classes" are tight classes of four, "collapsed" is a batch '
        "that has shrunk to a thousandth of its norm. Ways that are missing at a size broadcast "
        f"over N×N×D there, or are not installed. {figures['timings']['machine']}\n",
        table(
            ["N", "D", "embeddings", "", "forward ms", "both ms", "forward / LpDistance",
             "both / LpDistance", "both / ours", "memory"],
            [
                [str(r["n"]), str(r["d"]), r["kind"], r["way"], f"{r['forward_ms']:.2f}",
                 f"{r['both_ms']:.2f}", f"{r['forward_ratio']:.2f}", f"{r['both_ratio']:.2f}",
                 f"{r['ratio_to_ours']:.2f}", f"{r['memory']:.1f}"]
                for r in figures["timings"]["rows"]
            ],
        ),
    ]  # fmt: skip
    text.append("![Time and accuracy](geometry.png)\n")
    text.append("## Accuracy in float32\n")
    text.append(
        f"Largest relative error against float64, of the distances / of the gradient in norm, "
        f"D = 64. Radii are norms of tangent vectors in random directions "
        "(2.3 is just inside the clip radius); duplicates are pairs at that distance, at radii "
        f"from .1 to 2.25. {figures['accuracy']['machine']}\n"
    )
    ways = list(dict.fromkeys(r["way"] for r in figures["accuracy"]["rows"]))
    cells = {(r["c"], r["case"], r["way"]): r for r in figures["accuracy"]["rows"]}
    text.append(
        table(
            ["c", "", *ways],
            [
                [f"{c:g}", case]
                + [
                    f"{cells[c, case, way]['distance']:.0e} / {cells[c, case, way]['gradient']:.0e}"
                    for way in ways
                ]
                for c, case in dict.fromkeys(
                    (r["c"], r["case"]) for r in figures["accuracy"]["rows"]
                )
            ],
        )
    )
    knn = figures["knn"]["rows"]
    text.append("## Nearest neighbours\n")
    text.append(
        f"{knn['n']:,} queries that are the references, D = {knn['d']}, k = {knn['k']}, all "
        f"clipped; medians over three rounds. CustomKNN is PML's brute force, in "
        "batches of 1,000 queries, with this distance and with the polar form under plain "
        "autograd; FaissKNN's Euclidean search is what PML does by default. "
        f"{figures['knn']['machine']}\n"
    )
    text.append(
        table(
            ["", "seconds", "times PoincareKNN"],
            [[r["way"], f"{r['seconds']:.2f}", f"{r['ratio_to_ours']:.2f}"] for r in knn["times"]],
        )
    )
    text.append(
        "Share of queries whose k neighbours are, in order, those of a float64 brute force; and "
        "share of those neighbours found by approximate indices (`index_init_fn`), HNSW with 32 "
        "links and efSearch 128, IVF with a cell for 200 points and an eighth of the cells "
        "probed.\n"
    )
    keys = [key for key in knn["agreement"][0] if key not in ("c", "data")]
    names = {
        "identical": "PoincareKNN",
        "identical_without_reranking": "rerank=0",
        "identical_custom": "CustomKNN",
    }
    text.append(
        table(
            ["c", "data", *(names.get(key, key) for key in keys)],
            [
                [f"{r['c']:g}", r["data"], *(f"{r[key]:.4f}" for key in keys)]
                for r in knn["agreement"]
            ],
        )
    )
    overhead = figures["overhead"]
    text.append(wrapper_overhead.report(overhead["rows"], overhead["machine"]))
    return "\n".join(text)


def plot(figures: dict[str, Any], path: Path) -> None:
    """Time against LpDistance, and errors of near-duplicates."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(11, 4.8), layout="constrained")
    rows = [r for r in figures["timings"]["rows"] if r["kind"] == "random"]
    ways = list(dict.fromkeys(r["way"] for r in rows))
    rows.sort(key=lambda r: ways.index(r["way"]))
    accuracies = [r for r in figures["accuracy"]["rows"] if r["case"].startswith("duplicates")]
    # the parts may have been measured at different times, with different packages installed
    every = dict.fromkeys((*ways, *(r["way"] for r in accuracies)))
    colours = dict(zip(every, plt.get_cmap("tab10").colors, strict=False))
    for y, row in enumerate(rows):
        ratio = row["both_ratio"]
        left.barh(y, ratio, color=colours[row["way"]])
        # clear of the line at 1
        left.text(max(ratio, 1) * 1.1, y, f"{ratio:.3g}", va="center", fontsize=8)
    labels = [f"{r['way']}, {r['n']}×{r['d']}" for r in rows]
    left.set_yticks(range(len(rows)), labels, fontsize=8)
    left.invert_yaxis()
    left.set_xscale("log")
    left.set_xlim(0.4, 4 * max(r["both_ratio"] for r in rows))
    left.axvline(1, color="k", linewidth=0.8)
    left.set_xlabel("forward and backward, times LpDistance")
    for way in dict.fromkeys(r["way"] for r in accuracies):
        for c, marker in zip(CURVATURES, ("o", "s", "^"), strict=True):
            mine = [r for r in accuracies if r["way"] == way and r["c"] == c]
            right.plot(
                [float(r["case"].split()[-1]) for r in mine],
                [min(r["distance"], 10) for r in mine],
                marker=marker,
                markersize=5,
                color=colours[way],
                linewidth=2 if way == OURS else 1,
                label=f"{way}, c = {c:g}",
            )
    right.set_xscale("log")
    right.set_yscale("log")
    right.set_xlabel("distance of near-duplicates")
    right.set_ylabel("largest relative error of a distance in float32")
    right.grid(alpha=0.3)
    figure.legend(loc="outside lower center", fontsize=7, ncols=5, frameon=False)
    figure.savefig(path, dpi=110)
    plt.close(figure)


def main(arguments: argparse.Namespace) -> dict[str, Any]:
    """Measure, then write figures, table and plot."""
    torch.manual_seed(0)
    device = torch.device(arguments.device)
    fast = arguments.fast
    sizes = [
        (512, 128, "random"), (512, 512, "random"), (1024, 512, "random"), (2048, 512, "random"),
        (1024, 512, "classes"), (1024, 512, "collapsed"),
    ]  # fmt: skip
    if arguments.threads:
        torch.set_num_threads(arguments.threads)
        if importlib.util.find_spec("faiss") is not None:
            import faiss

            faiss.omp_set_num_threads(arguments.threads)
    kept = arguments.output / "geometry.json"
    figures: dict[str, Any] = json.loads(kept.read_text()) if kept.exists() else {}
    missing = [part for part in PARTS if part not in figures]
    for part in dict.fromkeys((*arguments.parts, *missing)):
        print(f"{part}: {machine(device)}", flush=True)
        if part == "timings":
            rows = timings(
                [(32, 8, "random"), (32, 8, "collapsed")] if fast else sizes,
                1 if fast else max(7, arguments.rounds),
                device,
                512**3,
            )
        elif part == "accuracy":
            rows = accuracy(8 if fast else 128, 64)
        elif part == "overhead":
            whole = wrapper_overhead.Sizes(rounds=max(7, arguments.rounds))
            rows = wrapper_overhead.overhead(wrapper_overhead.FAST if fast else whole, device)
        else:
            n, d = (200, 8) if fast else (20_000, 128)
            rows = nearest_neighbours(n, d, 10, 1 if fast else 3)
        figures[part] = {"machine": machine(device), "rows": rows}
    arguments.output.mkdir(parents=True, exist_ok=True)
    command = "python -m benchmarks.geometry" + (" --fast" if fast else "")
    kept.write_text(json.dumps(figures, indent=1))
    (arguments.output / "geometry.md").write_text(report(figures, command))
    plot(figures, arguments.output / "geometry.png")
    return figures


def parser() -> argparse.ArgumentParser:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--output", type=Path, default=Path("docs"))
    parser.add_argument("--fast", action="store_true", help="tiny sizes, to try the command")
    parser.add_argument(
        "--parts", nargs="*", choices=PARTS, default=PARTS,
        help="measure these again and keep the others from the output folder; none to draw anew",
    )  # fmt: skip
    parser.add_argument("--threads", type=int, help="torch's choice by default")
    parser.add_argument("--rounds", type=int, default=9, help="at least 7")
    parser.add_argument("--device", default="cpu", help="for the distance matrices and the wrapper")
    return parser


if __name__ == "__main__":
    main(parser().parse_args())
