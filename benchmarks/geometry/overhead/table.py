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
        f"{BATCH_SIZE}, with the loss alone and in an AdaptiveNoiseAwareLoss:\n\n"
    )
    notes = (
        "\n- The wrapper has default options and is past its warm-up. With up to 102 classes it "
        "asks neighbours, too.\n"
        "- A wrong label is any other class, at random.\n"
        "- *rows*: what the wrapped loss is called with, past samples among them.\n"
        "- Ratios are medians over rounds in which both take turns.\n"
        f"- {machine}\n"
    )
    figures = table(
        ["loss", "classes", "wrong labels", "alone ms", "wrapped ms", "wrapped / alone", "rows"],
        [
            [r["loss"], str(r["classes"]), f"{100 * r['wrong']:.0f} %", f"{r['alone_ms']:.2f}",
             f"{r['wrapped_ms']:.2f}", f"{r['ratio']:.2f}", f"{r['rows']:.0f}"]
            for r in rows
        ],
    )  # fmt: skip
    return text + figures + notes


def _proxies(rows: list[dict[str, Any]]) -> str:
    text = (
        "### Many classes\n\n"
        f"Forward and backward of {BATCH_SIZE} embeddings: the wrapper's own part (around a "
        "ContrastiveLoss, less that loss) beside a ProxyAnchorLoss with as many proxies:\n\n"
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
    text = "A wrapped ContrastiveLoss with very many classes, D = 128, forward and backward:\n\n"
    notes = (
        "\n- *state*: what the wrapper keeps. It grows with K·D.\n"
        "- *step*: the most that a step holds beyond the state. For comparison, the last column is "
        "one float32 table of the batch against all classes.\n"
    )
    figures = table(
        ["K", "ms a step", "state MB", "step MB", "a table of 128 × K, MB"],
        [
            [f"{r['classes']:,}", f"{r['ms']:.0f}", f"{r['state_mb']:.0f}",
             f"{r['peak_mb']:.0f}", f"{r['table_mb']:.0f}"]
            for r in rows
        ],
    )  # fmt: skip
    return text + figures + notes


def _errors(by_noise: list[dict[str, Any]]) -> str:
    text = (
        "### What the shortcuts change\n\n"
        "With more than 1,000 classes lists of the nearest classes stand in for all pairs of "
        "classes (*lists*). With more than 32,768 a sample is also judged by candidate classes "
        f"only (*candidates*). Both against all pairs of {by_noise[0]['classes']:,} classes, after "
        f"{by_noise[0]['batches']} batches:\n\n"
    )
    return text + table(
        ["", "wrong labels", "error of log Z", "of the trust, mean", "of the trust, max",
         "same likeliest class", "ε off by", "τ off by", "σ off by"],
        [
            [r["way"], f"{100 * r['wrong']:.0f} %", f"{r['log_z']:.3f}",
             f"{r['trust_mean']:.1e}", f"{r['trust_max']:.1e}", f"{r['same_class']:.3f}",
             f"{r['noise_rate']:+.4f}", f"{100 * r['temperature']:+.1f} %",
             f"{100 * r['spread']:+.1f} %"]
            for of_noise in by_noise for r in of_noise["rows"]
        ],
    )  # fmt: skip
