"""What is published leads to where it is published."""

import configparser
import runpy
from pathlib import Path

import pytest

from tests.docs.pages import ROOT, links

URL, TAG = "https://example.org/owner/name", "v1.2.3"


@pytest.fixture(scope="module")
def script():
    return runpy.run_path(str(ROOT / "tools" / "release.py"))


def test_links_and_pictures_become_absolute(script):
    text = "![a](docs/b.png) [c](docs/d.md#e) [f](https://g.h) [i](#j)"
    assert script["with_absolute_links"](text, URL, TAG) == (
        f"![a]({URL}/raw/{TAG}/docs/b.png) [c]({URL}/blob/{TAG}/docs/d.md#e) "
        "[f](https://g.h) [i](#j)"
    )


def test_readme_has_no_relative_link_then(script):
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert links(text)
    assert not links(script["with_absolute_links"](text, URL, TAG))


def test_setup_gets_the_addresses(script):
    text = (ROOT / "setup.cfg").read_text(encoding="utf-8")
    parser = configparser.ConfigParser()
    parser.read_string(script["with_addresses"](text, URL, TAG))
    urls = parser["metadata"]["project_urls"]
    assert f"Source = {URL}\n" in urls
    assert f"Changes = {URL}/blob/{TAG}/CHANGELOG.md\n" in urls
    assert "Paper = " in urls
    with pytest.raises(ValueError, match="setup.cfg must have project_urls, got none"):
        script["with_addresses"]("[metadata]\n", URL, TAG)


def test_one_version_stands_everywhere(script):
    version = script["version"]()
    citation = (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    changes = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert f"\nversion: {version}\n" in citation
    assert f"\n## [{version}] - " in changes


def test_what_the_package_imports_is_declared():
    parser = configparser.ConfigParser()
    parser.read(ROOT / "setup.cfg")
    required = parser["options"]["install_requires"]
    plot = parser["options.extras_require"]["plot"]
    sources = {path: path.read_text() for path in (ROOT / "pml_ahsml").rglob("*.py")}
    for module, name in (("sklearn", "scikit-learn"), ("scipy", "scipy")):
        importing = [
            path
            for path, text in sources.items()
            if any(
                line.startswith((f"from {module}", f"import {module}"))
                for line in text.splitlines()
            )
        ]
        only_pictures = all("visualization" in path.parts for path in importing)
        assert name in required or (only_pictures and name in plot), importing


def test_the_workflow_runs_the_commands_of_the_makefile():
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    workflow = Path(ROOT / ".github" / "workflows" / "check.yml").read_text(encoding="utf-8")
    targets = [
        line.split("make ")[1].split()[0] for line in workflow.splitlines() if "run: make " in line
    ]
    assert set(targets) >= {"check", "test-lowest", "wheel", "docs"}
    for target in targets:
        assert f"\n{target}:" in makefile
