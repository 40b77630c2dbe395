"""Puts the tables of the CSV files into their page.

Run: python -m benchmarks.hyperbolic.page
"""

from pathlib import Path

from benchmarks.csv_rows import read_rows
from benchmarks.hyperbolic.ahsml_table import ahsml_table
from benchmarks.hyperbolic.radius import Result as RadiusResult
from benchmarks.hyperbolic.radius_table import radius_tables
from benchmarks.hyperbolic.results import read_results
from benchmarks.hyperbolic.table import report
from benchmarks.noise import results as noise_results


def with_tables(page: str, tables: str, name: str = "tables") -> str:
    """The page with these tables in the place of those that it has between two comments.

    Args:
        page: Markdown.
        tables: Markdown.
        name: of the comments; the page must have both.
    """
    start, end = f"<!-- {name} -->\n", f"<!-- end of {name} -->\n"
    before, _, rest = page.partition(start)
    return before + start + "\n" + tables + "\n" + end + rest.partition(end)[2]


def rewritten(page: str, docs: Path) -> str:
    """The page with the tables of the CSV files in this folder."""
    page = with_tables(page, report(read_results(docs / "hyperbolic.csv")))
    parts = noise_results.read_results(docs / "ahsml_ablation.csv")
    page = with_tables(page, ahsml_table(parts), "ahsml")
    radii = read_rows(docs / "hyperbolic_radius.csv", RadiusResult)
    return with_tables(page, radius_tables(radii), "radius")


def main(docs: Path) -> None:
    """Rewrite docs/hyperbolic.md from its CSV files."""
    page = docs / "hyperbolic.md"
    page.write_text(rewritten(page.read_text(encoding="utf-8"), docs), encoding="utf-8")


if __name__ == "__main__":
    main(Path("docs"))
