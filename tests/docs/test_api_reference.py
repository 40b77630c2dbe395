"""The API reference lists every public name."""

import importlib
import pkgutil
import re
from typing import Any

import pml_ahsml
from tests.docs.pages import ROOT

_DIRECTIVE = re.compile(r"^\.\. auto(?:class|function):: (pml_ahsml\.\S+)$", re.MULTILINE)


def _listed() -> dict[str, Any]:
    names = _DIRECTIVE.findall((ROOT / "docs" / "api.md").read_text(encoding="utf-8"))
    # attributes of their package: a function may have the name of the module that it comes from
    parts = {name: name.rpartition(".") for name in names}
    return {
        name: getattr(importlib.import_module(package), attribute)
        for name, (package, _, attribute) in parts.items()
    }


def _public() -> dict[str, Any]:
    packages = ["pml_ahsml"]
    packages += [
        f"pml_ahsml.{module.name}"
        for module in pkgutil.iter_modules(pml_ahsml.__path__)
        if module.ispkg
    ]
    return {
        f"{package}.{name}": getattr(module, name)
        for package in packages
        for module in [importlib.import_module(package)]
        for name in getattr(module, "__all__", ())
    }


def test_every_public_name_is_listed():
    listed = list(_listed().values())
    missing = [name for name, thing in _public().items() if not any(thing is one for one in listed)]
    assert not missing, f"docs/api.md must list {', '.join(missing)}"


def test_nothing_is_listed_twice():
    listed = _listed()
    assert len({id(thing) for thing in listed.values()}) == len(listed) > 0


def test_listed_under_a_public_name():
    assert set(_listed()) <= set(_public())


def test_the_tables_in_front_list_what_follows():
    text = (ROOT / "docs" / "api.md").read_text(encoding="utf-8")
    in_tables = re.findall(r"^   (pml_ahsml\.\S+)$", text, re.MULTILINE)
    assert in_tables == list(_listed())
