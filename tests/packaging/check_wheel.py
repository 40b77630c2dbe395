"""Imports the installed wheel, all of it, and takes one step with it.

Run by `make wheel`, with the Python of an environment that holds the wheel and what it declares,
and nothing else: python -I tests/packaging/check_wheel.py
"""

import importlib
import importlib.metadata
import importlib.util
import pkgutil
import sys
from pathlib import Path

import torch
from pytorch_metric_learning.losses import ContrastiveLoss

import pml_ahsml


def main() -> None:
    """Stop with a message at the first check that fails."""
    folder = Path(pml_ahsml.__file__).parent
    if Path(sys.prefix) not in folder.parents:
        sys.exit(f"pml_ahsml must be imported from {sys.prefix}, got it from {folder}")
    if not (folder / "py.typed").exists():
        sys.exit("py.typed must be in the wheel, got none")
    for part in ("page.html", "page.css", "start.js"):
        if not (folder / "audit" / "page_files" / part).exists():
            sys.exit(f"the page of an audit must be in the wheel, got no {part}")
    for extra in ("faiss", "matplotlib", "pytest"):
        if importlib.util.find_spec(extra) is not None:
            sys.exit(f"{extra} must not be needed, got an environment that holds it")

    modules = [info.name for info in pkgutil.walk_packages([str(folder)], "pml_ahsml.")]
    pictures = "pml_ahsml.visualization"
    for name in modules:
        if not name.startswith(pictures):
            importlib.import_module(name)
    try:
        importlib.import_module(pictures)
        sys.exit(f"{pictures} must refuse without matplotlib, got it imported")
    except ImportError as error:
        if "pml_ahsml[plot]" not in str(error):
            sys.exit(f"{pictures} must name its extra, got {error}")

    loss = pml_ahsml.AdaptiveNoiseAwareLoss(
        ContrastiveLoss(distance=pml_ahsml.PoincareDistance()), num_classes=4, embedding_size=8
    )
    embeddings = torch.randn(16, 8, requires_grad=True)
    loss(embeddings, torch.arange(16) % 4).backward()
    if not embeddings.grad.isfinite().all():
        sys.exit("the gradient must be finite")

    version = importlib.metadata.version("pml_ahsml")
    if version != pml_ahsml.__version__:
        sys.exit(f"the wheel must be of version {pml_ahsml.__version__}, got {version}")
    print(f"pml_ahsml {version}: {len(modules)} modules import, one step taken")


if __name__ == "__main__":
    main()
