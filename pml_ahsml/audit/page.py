"""An audit as one HTML page that needs nothing else: no network, no other file."""

import base64
import hashlib
import html
import json
from collections.abc import Sequence
from importlib.resources import files
from os import PathLike
from pathlib import Path
from string import Template
from typing import TYPE_CHECKING, Any

from .names import shortened
from .page_data import page_data

if TYPE_CHECKING:
    from .label_audit import LabelAudit

# in this order: each uses what stands before it
_SCRIPTS = ("dom.js", "verdicts.js", "overview.js", "class_tree.js", "cards.js", "start.js")


def to_html(
    audit: "LabelAudit",
    path: str | PathLike[str],
    images: Any,
    texts: Sequence[str] | None,
    limit: int,
    title: str,
) -> None:
    """Write the page; ``LabelAudit.to_html`` describes it."""
    images = _checked("images", images, len(audit.labels))
    texts = _checked("texts", texts, len(audit.labels))
    # made before the file is opened, so that an error leaves the old file as it was
    page = filled(page_data(audit, images, texts, limit), title)
    Path(path).write_text(page, encoding="utf-8", errors="xmlcharrefreplace", newline="\n")


def _checked(name: str, values: Any, length: int) -> Any:
    """The values, if they are so many that can be read by their rows."""
    if values is None:
        return None
    if isinstance(values, str) or not hasattr(values, "__getitem__"):
        raise TypeError(f"{name} must be a sequence, got {type(values).__name__}")
    if len(values) != length:
        raise ValueError(f"{name} must have {length} entries, got {len(values)}")
    # a column of pandas is read by its index, which may be another than the rows
    return values.to_numpy() if hasattr(values, "to_numpy") else values


def filled(data: dict[str, Any], title: str) -> str:
    """The page with its data.

    A policy in the page lets nothing run but the script that stands in it, by its hash, and nothing
    load but pictures that stand in it. So even a name that got into the page as a tag could do no
    harm.
    """
    style = _part("page.css")
    script = '"use strict";\n(() => {\n' + "\n".join(map(_part, _SCRIPTS)) + "})();\n"
    policy = (
        f"default-src 'none'; script-src {_hash(script)}; style-src {_hash(style)}; "
        "img-src data:; base-uri 'none'; form-action 'none'"
    )
    return Template(_part("page.html")).substitute(
        policy=policy,
        title=html.escape(shortened(title, 200)),
        style=style,
        script=script,
        data=_as_script_data(data),
    )


def _part(name: str) -> str:
    # read as text, in which every end of a line is "\n": the hashes are those of the browser
    return (files(__package__) / "page_files" / name).read_text(encoding="utf-8")


def _hash(text: str) -> str:
    digest = hashlib.sha256(text.encode()).digest()
    return f"'sha256-{base64.b64encode(digest).decode('ascii')}'"


def _as_script_data(data: dict[str, Any]) -> str:
    """JSON that cannot end the element it stands in: ASCII, without <, > and &."""
    text = json.dumps(data, allow_nan=False, separators=(",", ":"))
    for character in "<>&":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return text
