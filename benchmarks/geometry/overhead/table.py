"""Formats what the wrapper costs as Markdown."""

from typing import Any

from benchmarks.geometry.overhead.sizes import BATCH_SIZE
from benchmarks.measuring import table


def report(figures: dict[str, Any], machine: str) -> str:
    """Make the section of the page."""
    parts = (
        _steps(figures["steps"], machine),
        _proxies(figures["proxies"]),
        _many(figures["many"]),
        _errors(figures["errors"]),
    )
    return "\n".join(parts)


def _steps(rows: list[dict[str, Any]], machine: str) -> str:
    text = (
        "## What the wrapper costs\n\n"
        "A training step (forward, backward, AdamW) of a network 384→512→128 on batches of "
        f"{BATCH_SIZE}, with a loss alone and wrapped in an "
        "AdaptiveNoiseAwareLoss with default options, past its warm-up; wrong labels are other "
        "classes at random. With up to 102 classes neighbours are asked. Ratios are medians over "
        "the rounds in which both take turns. "
        '"Rows" are what the wrapped loss is called with, remembered samples among them. '
        f"{machine}\n\n"
    )
    return text + table(
        ["loss", "classes", "wrong labels", "alone ms", "wrapped ms", "wrapped / alone", "rows"],
        [
            [r["loss"], str(r["classes"]), f"{100 * r['wrong']:.0f} %", f"{r['alone_ms']:.2f}",
             f"{r['wrapped_ms']:.2f}", f"{r['ratio']:.2f}", f"{r['rows']:.0f}"]
            for r in rows
        ],
    )  # fmt: skip


def _proxies(rows: list[dict[str, Any]]) -> str:
    text = (
        "The wrapper's own cost (with a ContrastiveLoss inside, less that loss) against a "
        f"ProxyAnchorLoss with as many proxies, forward and backward of {BATCH_SIZE} "
        "embeddings:\n\n"
    )
    return text + table(
        ["K", "D", "own ms", "ProxyAnchorLoss ms", "own / ProxyAnchorLoss"],
        [
            [f"{r['classes']:,}", str(r["embedding_size"]), f"{r['own_ms']:.1f}",
             f"{r['proxies_ms']:.1f}", f"{r['ratio']:.2f}"]
            for r in rows
        ],
    )  # fmt: skip


def _many(rows: list[dict[str, Any]]) -> str:
    text = (
        "With very many classes, D = 128, forward and backward of a wrapped ContrastiveLoss. "
        "Memory is the state, which grows with K·D, and the most that a step holds beyond it; for "
        "comparison one float32 table of the batch against all classes:\n\n"
    )
    return text + table(
        ["K", "ms a step", "state MB", "step MB", "a table of 128 × K, MB"],
        [
            [f"{r['classes']:,}", f"{r['ms']:.0f}", f"{r['state_mb']:.0f}",
             f"{r['peak_mb']:.0f}", f"{r['table_mb']:.0f}"]
            for r in rows
        ],
    )  # fmt: skip


def _errors(by_noise: list[dict[str, Any]]) -> str:
    text = (
        "With more than 1,000 classes the confusion prior is estimated from lists of neighbours, "
        "with more than 32,768 a sample is also judged by candidate classes only. Their errors "
        f"against all pairs of {by_noise[0]['classes']:,} classes, after "
        f"{by_noise[0]['batches']} batches: of log Z in the mean, of the trust in a label "
        "in the mean and at most, how often the likeliest class is the same, and of ε, τ and "
        "σ.\n\n"
    )
    return text + table(
        ["", "wrong labels", "log Z", "trust, mean", "trust, max", "same class", "ε", "τ", "σ"],
        [
            [r["way"], f"{100 * r['wrong']:.0f} %", f"{r['log_z']:.3f}",
             f"{r['trust_mean']:.1e}", f"{r['trust_max']:.1e}", f"{r['same_class']:.3f}",
             f"{r['noise_rate']:+.4f}", f"{100 * r['temperature']:+.1f} %",
             f"{100 * r['spread']:+.1f} %"]
            for of_noise in by_noise for r in of_noise["rows"]
        ],
    )  # fmt: skip
