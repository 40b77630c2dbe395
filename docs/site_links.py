"""Where the links of a page lead when the site shows it.

The site shows README, the changelog and CONTRIBUTING by pages of its own. Other files of the
repository lie outside of it: links to them lead to the repository where PML_AHSML_URL says its
address, or else to a page about it.
"""

import os
import re
from pathlib import Path

_DOCS = Path(__file__).parent
_SHOWN_BY = {
    "README.md": "index.md",
    "CHANGELOG.md": "changelog.md",
    "CONTRIBUTING.md": "contributing.md",
}
_LINK = re.compile(r"\]\((?![a-z]+:|#|/)([^)\s#]+)(#[^)\s]*)?\)")


def for_the_site(text: str, folder: Path) -> str:
    """The text of a page that stands in ``folder``, with links as the site needs them."""

    def lead(found: re.Match[str]) -> str:
        target = (folder / found[1]).resolve()
        anchor = found[2] or ""
        if target.is_relative_to(_DOCS):
            return f"](/{target.relative_to(_DOCS).as_posix()}{anchor})"
        path = target.relative_to(_DOCS.parent).as_posix()
        if path in _SHOWN_BY:
            return f"](/{_SHOWN_BY[path]}{anchor})"
        url = os.environ.get("PML_AHSML_URL")
        return f"]({url}/blob/main/{path}{anchor})" if url else "](/repository.md)"

    return _LINK.sub(lead, text)
