"""Sphinx configuration; `make docs` builds the site from this folder into docs/_build/html."""

import re
from importlib.resources import files
from typing import Any

import pml_ahsml

project = "pml_ahsml"
author = "the pml_ahsml authors"
copyright = author  # noqa: A001
version = release = pml_ahsml.__version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.mathjax", "sphinx.ext.napoleon"]
exclude_patterns = ["_build"]

html_theme = "furo"
html_title = f"pml_ahsml {release}"
html_show_sphinx = False

# MathJax is a file of the site, so formulas need no network. The package holds the official release
# 3.2.2; this build of it has its fonts and all TeX extensions in one file.
mathjax_path = "tex-svg-full.js"
html_static_path = [str(files("sphinx-mathjax-offline") / "static" / "mathjax" / mathjax_path)]

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
nitpick_ignore = [("py:class", "torch.nn.modules.module.Module")]


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


def setup(app: Any) -> None:
    """Register the function above."""
    app.connect("autodoc-process-docstring", _list_returns, priority=100)
