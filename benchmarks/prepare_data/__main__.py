"""Build a file of the noise benchmark from a checkout of its public source.

    git clone https://github.com/clinc/oos-eval
    git -C oos-eval checkout 828f8093932c8fe6ca7936c3d2e52903b1c523de
    python -m benchmarks.prepare_data clinc150 oos-eval --output data

Sentences are encoded by all-MiniLM-L6-v2, for which sentence-transformers must be installed, and
which it downloads. ``--without-encoder`` writes texts and labels only. benchmarks/prepare_data/
sources.py names repository, commit and licence of each.

The labels of the weak classifier come from the files made before, without or with vectors:

    python -m benchmarks.prepare_data annotator data --output data

Run: python -m benchmarks.prepare_data {annotator,clinc150,hwu64,omniglot8} FOLDER [--output DIR]
"""

import argparse
from collections.abc import Callable
from pathlib import Path

import numpy as np

from benchmarks.prepare_data.annotator import annotator
from benchmarks.prepare_data.omniglot import omniglot8
from benchmarks.prepare_data.sentences import Arrays, clinc150, hwu64

ENCODER = "sentence-transformers/all-MiniLM-L6-v2"
Encoder = Callable[[list[str]], np.ndarray]

# the reader of each file, and how it is called
DATA: dict[str, tuple[Callable[[Path], Arrays], str]] = {
    "annotator": (annotator, "real/annotator.npz"),
    "clinc150": (clinc150, "clinc150_minilm.npz"),
    "hwu64": (hwu64, "hwu64_minilm.npz"),
    "omniglot8": (omniglot8, "omniglot8.npz"),
}


def minilm(texts: list[str]) -> np.ndarray:
    """(N, 384) vectors of norm 1."""
    from sentence_transformers import SentenceTransformer

    return np.asarray(SentenceTransformer(ENCODER).encode(texts, normalize_embeddings=True))


def build(name: str, folder: Path, output: Path, encode: Encoder | None = minilm) -> Path:
    """Write the file; sentences without an encoder have no vectors."""
    read, file_name = DATA[name]
    arrays = read(folder)
    if "texts" in arrays and encode is not None:
        arrays["emb"] = encode(arrays["texts"].tolist()).astype(np.float16)
    path = output / file_name
    path.parent.mkdir(parents=True, exist_ok=True)
    np.savez_compressed(path, **arrays)
    return path


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.prepare_data",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("name", choices=DATA)
    parser.add_argument("folder", type=Path, help="checkout of the source, or built files")
    parser.add_argument("--output", type=Path, default=Path("data"))
    parser.add_argument("--without-encoder", action="store_true")
    arguments = parser.parse_args()
    encode = None if arguments.without_encoder else minilm
    print(f"wrote {build(arguments.name, arguments.folder, arguments.output, encode)}")


if __name__ == "__main__":
    main()
