"""Sphinx configuration; `make docs` builds the site from this folder into docs/_build/html."""

import re
from typing import Any

from docutils import nodes
from docutils.utils.math import MathError, latex2mathml
from sphinx.util import logging

import pml_ahsml

project = "pml_ahsml"
author = "the pml_ahsml authors"
copyright = author  # noqa: A001
version = release = pml_ahsml.__version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
exclude_patterns = ["_build"]

html_theme = "furo"
html_title = f"pml_ahsml {release}"
html_show_sphinx = False
html_static_path = ["_static"]
html_css_files = ["mathematics.css"]

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


def _math(translator: Any, node: nodes.Element) -> None:
    """Write mathematics as MathML, which browsers show without a script and without a network."""
    block = isinstance(node, nodes.math_block)
    try:
        translator.body.append(latex2mathml.tex2mathml(node.astext(), as_block=block))
    except MathError as error:
        logging.getLogger(__name__).warning("mathematics: %s", error, location=node)
    raise nodes.SkipNode


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
    """Register the functions above."""
    app.connect("autodoc-process-docstring", _list_returns, priority=100)
    app.add_html_math_renderer(
        "mathml", inline_renderers=(_math, None), block_renderers=(_math, None)
    )


html_math_renderer = "mathml"
