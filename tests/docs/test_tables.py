"""The benchmark that writes a table into a page leaves the rest of the page alone."""

from benchmarks.poincare_losses import HEAD, metric_losses, write_table
from tests.docs.pages import ROOT

PAGE = ROOT / "docs" / "poincare_losses.md"


def test_table_is_replaced_and_text_is_kept(tmp_path):
    text = PAGE.read_text(encoding="utf-8")
    copy = tmp_path / "page.md"
    copy.write_text(text, encoding="utf-8")
    write_table(["| ALoss | works | 1 | 1 |"], copy)
    before, _, _ = text.partition(HEAD)
    assert copy.read_text(encoding="utf-8") == before + HEAD + "| ALoss | works | 1 | 1 |\n"


def test_table_lists_every_loss():
    lines = PAGE.read_text(encoding="utf-8").partition(HEAD)[2].splitlines()
    assert [line.split("|")[1].strip() for line in lines] == [c.__name__ for c in metric_losses()]
