"""Write the tables between the markers of the pages, and two pictures, from the CSV files.

A marker is ``<!-- table: NAME -->``; the table goes on to ``<!-- end of table -->``. To measure
anew is ``python -m benchmarks.noise``; copy its CSV file to ``docs`` first.

Run: python -m benchmarks.noise.pages
"""

import argparse
import re
from pathlib import Path

from benchmarks.end_to_end.curve import plot_curve, read_curve
from benchmarks.noise.pages.contents import CONTENTS
from benchmarks.noise.pages.selection import DOCS
from benchmarks.noise.pages.summary import plot_summary

PICTURE = DOCS / "results" / "summary.png"
CURVE = DOCS / "end_to_end.png"
_MARKED = re.compile(
    r"(?P<start><!-- table: (?P<name>[^>]+) -->\n).*?(?P<end><!-- end of table -->)", re.DOTALL
)


def pages() -> list[Path]:
    """The pages that may hold tables."""
    return [DOCS.parent / "README.md", *sorted(DOCS.rglob("*.md"))]


def names(text: str) -> list[str]:
    """The tables that a page asks for."""
    return [found["name"] for found in _MARKED.finditer(text)]


def filled(text: str) -> str:
    """A page with its tables as the files have them now."""

    def fill(found: re.Match[str]) -> str:
        name = found["name"]
        if name not in CONTENTS:
            raise ValueError(f"table must be one of {sorted(CONTENTS)}, got {name!r}")
        # (Markdown wants an empty line between a comment and a table)
        return f"{found['start']}\n{CONTENTS[name]()}\n{found['end']}"

    return _MARKED.sub(fill, text)


def main() -> None:
    """Write all of them."""
    for page in pages():
        text = page.read_text(encoding="utf-8")
        if (new := filled(text)) != text:
            page.write_text(new, encoding="utf-8")
            print(f"wrote {page}")
    plot_summary(PICTURE)
    print(f"wrote {PICTURE}")
    plot_curve(read_curve(DOCS / "end_to_end_curve.csv"), CURVE)
    print(f"wrote {CURVE}")


if __name__ == "__main__":
    argparse.ArgumentParser(description=__doc__).parse_args()
    main()
