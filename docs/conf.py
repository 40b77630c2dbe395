"""Sphinx configuration; `make docs` builds the site from this folder into docs/_build/html."""

import re
import sys
from importlib.resources import files
from pathlib import Path
from typing import Any

from docutils import nodes

import pml_ahsml

_DOCS = Path(__file__).parent
sys.path.insert(0, str(_DOCS))
from site_links import for_the_site

project = "pml_ahsml"
author = "the pml_ahsml authors"
copyright = author  # noqa: A001
version = release = pml_ahsml.__version__

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.mathjax",
    "sphinx.ext.napoleon",
]
autosummary_generate = False
exclude_patterns = ["_build"]

html_theme = "furo"
html_title = f"pml_ahsml {release}"
html_show_sphinx = False

# MathJax is a file of the site, so formulas need no network. The package holds the official release
# 3.2.2; this build of it has its fonts and all TeX extensions in one file.
mathjax_path = "tex-svg-full.js"
html_css_files = ["site.css"]
html_static_path = [
    "static",
    str(files("sphinx-mathjax-offline") / "static" / "mathjax" / mathjax_path),
]

# GitHub too renders ```math fences and $…$, and gives these anchors to headings.
myst_fence_as_directive = ["math"]
myst_enable_extensions = ["dollarmath"]
myst_heading_anchors = 4

# Arguments stand in the docstrings with their shapes and ranges, __init__ in those of the class.
autodoc_member_order = "bysource"
autodoc_typehints = "none"
autoclass_content = "class"
napoleon_google_docstring = True
napoleon_numpy_docstring = False
napoleon_use_rtype = False
napoleon_custom_sections = ["Source"]

nitpicky = True
# torch's pages are not at hand when the site is built
nitpick_ignore = [
    ("py:class", "torch.nn.modules.module.Module"),
    # a first sentence that autosummary repeats outside of its module
    ("py:func", "dendrogram_purity"),
]


def _list_returns(_app: Any, _what: str, _name: str, _of: Any, _options: Any, lines: Any) -> None:
    """Make a list of a Returns section that names several values: napoleon knows one value only."""
    if "Returns:" not in lines:
        return
    start = lines.index("Returns:")
    end = lines.index("", start) if "" in lines[start:] else len(lines)
    listed = [":returns:"]
    for line in lines[start + 1 : end]:
        named = re.fullmatch(r"    (\w+): (.*)", line)
        if named is None and not line.startswith(" " * 8):
            return
        listed.append(f"    * **{named[1]}**: {named[2]}" if named else f"      {line.strip()}")
    lines[start:end] = listed


def _keep_short_code_whole(_app: Any, page: Any, _name: str) -> None:
    """Tell the style sheet which code in a text fits into a line of a telephone."""
    for code in page.findall(nodes.literal):
        if len(code.astext()) <= 40:
            code["classes"].append("short")


def _read_page(app: Any, page: str, content: list[str]) -> None:
    """Lead the links of a page of the site."""
    content[0] = for_the_site(content[0], (Path(app.srcdir) / page).parent)


def _read_included(_app: Any, path: Path, _page: str, content: list[str]) -> None:
    """Lead the links of a page of the repository that a page of the site shows."""
    content[0] = for_the_site(content[0], (_DOCS / path).resolve().parent)


def setup(app: Any) -> None:
    """Register the functions above."""
    app.connect("autodoc-process-docstring", _list_returns, priority=100)
    app.connect("doctree-resolved", _keep_short_code_whole)
    app.connect("source-read", _read_page)
    app.connect("include-read", _read_included)
