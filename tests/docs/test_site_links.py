"""Links of the pages lead to pages of the site, or out of it to where the repository is."""

import runpy

import pytest

from tests.docs.pages import ROOT

DOCS = ROOT / "docs"


@pytest.fixture
def for_the_site():
    return runpy.run_path(str(DOCS / "site_links.py"))["for_the_site"]


def test_links_of_readme_start_at_the_site(for_the_site):
    assert for_the_site("![a](docs/b.png) [c](docs/d.md#e)", ROOT) == "![a](/b.png) [c](/d.md#e)"
    assert for_the_site("[a](CHANGELOG.md)", ROOT) == "[a](/changelog.md)"


def test_links_between_pages_stay(for_the_site):
    assert for_the_site("[a](../api.md#b)", DOCS / "guides") == "[a](/api.md#b)"
    assert for_the_site("[a](#b) [c](https://d.e)", DOCS) == "[a](#b) [c](https://d.e)"
    assert for_the_site("[a](../../README.md#b)", DOCS / "guides") == "[a](/index.md#b)"


def test_links_out_of_the_site_lead_to_the_repository(for_the_site, monkeypatch):
    link = "[a](../research/log.md#b)"
    monkeypatch.delenv("PML_AHSML_URL", raising=False)
    assert for_the_site(link, DOCS) == "[a](/repository.md)"
    monkeypatch.setenv("PML_AHSML_URL", "https://example.org/x")
    assert for_the_site(link, DOCS) == "[a](https://example.org/x/blob/main/research/log.md#b)"
