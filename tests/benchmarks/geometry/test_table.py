import json

from benchmarks.geometry.table import report
from tests.docs.pages import ROOT


def test_the_docs_page_matches_its_figures():
    figures = json.loads((ROOT / "docs" / "geometry.json").read_text(encoding="utf-8"))
    page = (ROOT / "docs" / "geometry.md").read_text(encoding="utf-8")
    assert report(figures, "python -m benchmarks.geometry") == page
