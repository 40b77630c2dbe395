"""The paths and names on the page about the architecture exist."""

import re

from tests.docs.pages import ROOT

PACKAGE = ROOT / "pml_ahsml"
TEXT = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")

_PATH = re.compile(r"(?<![\w/])\w+(?:/\w+)*(?:\.py\b|/)")
_NAME = re.compile(r"`([A-Za-z_]\w*(?:\.\w+)?)(?:\(\))?`")


def missing_paths(text: str) -> list[str]:
    """The paths that do not exist.

    A path begins at the root, in the package, or beside a path before it on the same line.
    """
    missing = []
    for line in text.splitlines():
        bases = [ROOT, PACKAGE]
        for path in _PATH.findall(line):
            found = [base / path for base in bases if (base / path).exists()]
            missing += [] if found else [path]
            bases += [each if each.is_dir() else each.parent for each in found]
    return missing


def missing_names(text: str, source: str) -> list[str]:
    """The names in backticks that nothing in the source defines."""

    def is_defined(name: str) -> bool:
        last = name.rpartition(".")[2]
        return bool(re.search(rf"\b(def|class) {last}\b|^\s*{last}\s*[:=]", source, re.MULTILINE))

    names = {name for name in _NAME.findall(text) if not name.endswith(".py")}
    return sorted(name for name in names if not is_defined(name))


def test_paths_exist():
    assert len(_PATH.findall(TEXT)) > 50
    assert missing_paths(TEXT) == []


def test_names_are_defined():
    source = "\n".join(path.read_text(encoding="utf-8") for path in PACKAGE.rglob("*.py"))
    of_torch = {"eval", "state_dict"}
    assert set(missing_names(TEXT, source)) - of_torch == set()


def test_what_is_missing_is_found():
    assert missing_paths("`losses/gone.py`, `hyperbolic/polar.py` beside `geodesic.py`") == [
        "losses/gone.py"
    ]
    assert missing_paths("`geodesic.py`") == ["geodesic.py"]
    assert missing_names("`plan_batch`, `Gone.by`", "def plan_batch():") == ["Gone.by"]


def test_every_room_has_its_row():
    rooms = {path.parent.name for path in PACKAGE.glob("*/__init__.py")}
    rows = re.findall(r"`(\w+)/`", "\n".join(re.findall(r"^\| `.*$", TEXT, re.MULTILINE)))
    assert rooms - set(rows) == set()
