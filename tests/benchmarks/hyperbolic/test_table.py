import pytest

from benchmarks.hyperbolic.ahsml_table import TITLES
from benchmarks.hyperbolic.page import rewritten, with_tables
from benchmarks.hyperbolic.results import read_results
from benchmarks.hyperbolic.table import gain, report, rows_of
from tests.benchmarks.hyperbolic.made_results import made
from tests.docs.pages import ROOT


def test_a_row_compares_the_seeds_that_both_ways_have():
    results = [
        made("own", 0, map_at_r=0.5),
        made("own", 1, map_at_r=0.7),
        made("own", 2, map_at_r=0.1),
        made("lorentz", 0, map_at_r=0.6),
        made("lorentz", 1, map_at_r=0.7),
        made("own", 0, loss="Triplet"),
    ]
    rows = rows_of(results)
    assert list(rows) == [("hwu", "SupCon", "none:0", 128)]
    (row,) = rows.values()
    assert gain(row, "map_at_r") == pytest.approx(0.05)
    line = "| hwu | SupCon | none | 128 | 2 | 0.600 | 0.650 | +0.050 | 0.700 | 0.90 |"
    assert line in report(results).splitlines()


def test_small_sizes_and_wrapped_losses_have_tables_of_their_own():
    results = [
        made(way, 0, size=size, is_wrapped=wrapped, precision_at_1=0.9 + gained)
        for way, gained in (("own", 0.0), ("lorentz", -0.02), ("flat", 0.01))
        for size, wrapped in ((8, 0), (4, 0))
    ]
    text = report(results)
    assert "MAP@R" not in text
    assert "| 4 | -0.020 | -0.020 |" in text
    assert "| 4 | 1 | 0.900 | 0.880 | -0.020 | 0.800 | 0.90 | 0.910 |" in text
    wrapped = [made(way, 0, is_wrapped=1, noise="near:0.4") for way in ("cosine", "lorentz")]
    assert "Inside AdaptiveNoiseAwareLoss" in report(wrapped)


def test_tables_take_the_place_of_those_in_the_page():
    page = "before\n<!-- tables -->\nold\n<!-- end of tables -->\nafter\n"
    other = "<!-- ahsml -->\nold\n<!-- end of ahsml -->\n"
    once = with_tables(page + other, "new\n")
    assert once == page.replace("old\n", "\nnew\n\n") + other
    assert with_tables(once, "new\n") == once
    assert with_tables(other, "new\n", "ahsml") == other.replace("old\n", "\nnew\n\n")


def test_the_page_shows_the_committed_results():
    docs = ROOT / "docs"
    page = (docs / "hyperbolic.md").read_text(encoding="utf-8")
    assert len(read_results(docs / "hyperbolic.csv")) > 20
    assert page == rewritten(page, docs)
    assert all(page.count(f"| hwu | {title} |") == 1 for title in TITLES.values())
