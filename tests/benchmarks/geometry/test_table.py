import json

from benchmarks.geometry.table import report
from tests.docs.pages import ROOT


def test_the_page_of_the_docs_is_that_of_its_figures():
    figures = json.loads((ROOT / "docs" / "geometry.json").read_text(encoding="utf-8"))
    page = (ROOT / "docs" / "geometry.md").read_text(encoding="utf-8")
    assert report(figures, "python -m benchmarks.geometry") == page
