"""Imports run one way between the rooms of the package: docs/architecture.md has the picture."""

import ast
from pathlib import Path

import pml_ahsml

ROOT = Path(pml_ahsml.__file__).parent

# what each room may import besides itself
BASE = {"checks", "precision"}
GEOMETRY = BASE | {"hyperbolic", "state"}
CLASSES = GEOMETRY | {"distances", "classes"}
MAY_IMPORT = {
    "checks": set(),
    "precision": set(),
    "hyperbolic": BASE,
    "state": BASE,
    "distances": GEOMETRY,
    "classes": GEOMETRY | {"distances"},
    "labels": CLASSES,
    "losses": CLASSES | {"labels", "audit"},
    "miners": CLASSES,
    "inference": GEOMETRY | {"distances"},
    "visualization": CLASSES | {"labels", "inference"},
    "data": BASE,
    "audit": CLASSES | {"labels"},
    "__main__": {"audit"},
}


def imported_rooms(path: Path) -> set[str]:
    """The rooms that a file imports from, functions included."""
    package = path.relative_to(ROOT).parts[:-1]
    rooms = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else ()
            parts = [*base, *(node.module or "").split(".")]
            if node.level or parts[0] == "pml_ahsml":
                parts = [part for part in parts if part not in ("", "pml_ahsml")]
                rooms |= {parts[0]} if parts else {alias.name for alias in node.names}
    return rooms


def test_imports_run_one_way():
    seen = set()
    for path in ROOT.rglob("*.py"):
        room = path.relative_to(ROOT).parts[0].removesuffix(".py")
        if room != "__init__":
            seen.add(room)
            assert imported_rooms(path) <= MAY_IMPORT[room] | {room}, path
    assert seen == set(MAY_IMPORT)


def test_no_file_is_longer_than_three_hundred_lines():
    lengths = {path: len(path.read_text().splitlines()) for path in ROOT.rglob("*.py")}
    assert len(lengths) > 80
    assert {path: length for path, length in lengths.items() if length > 300} == {}
