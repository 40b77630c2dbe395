"""Puts the tables of a CSV file into their page.

Run: python -m benchmarks.hyperbolic.page
"""

from pathlib import Path

from benchmarks.hyperbolic.results import read_results
from benchmarks.hyperbolic.table import report

START, END = "<!-- tables -->\n", "<!-- end of tables -->\n"


def with_tables(page: str, tables: str) -> str:
    """The page with these tables in the place of its own."""
    before, _, rest = page.partition(START)
    return before + START + "\n" + tables + "\n" + END + rest.partition(END)[2]


def main(docs: Path) -> None:
    """Rewrite docs/hyperbolic.md from docs/hyperbolic.csv."""
    page = docs / "hyperbolic.md"
    text = page.read_text(encoding="utf-8")
    tables = report(read_results(docs / "hyperbolic.csv"))
    page.write_text(with_tables(text, tables), encoding="utf-8")


if __name__ == "__main__":
    main(Path("docs"))
