"""The Markdown pages: README, those beside it and those under docs/ and research/."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGES = sorted(
    [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "research").glob("*.md")]
)

_FENCE = re.compile(r"^```(?P<language>\S*)[^\n]*\n(?P<code>.*?)^```$", re.MULTILINE | re.DOTALL)
_NOT_RUN = re.compile(r"<!-- not run: (?P<reason>.+) -->\n\Z")


def name(page: Path) -> str:
    """What a page is called in a report."""
    return page.relative_to(ROOT).as_posix()


def runnable(text: str) -> list[tuple[str, int, str]]:
    """(language, line, code) of the blocks of Python that are not marked as left out."""
    blocks = []
    for fence in _FENCE.finditer(text):
        if fence["language"] in ("python", "pycon") and not _NOT_RUN.search(text[: fence.start()]):
            line = text.count("\n", 0, fence.start("code"))
            blocks.append((fence["language"], line, fence["code"]))
    return blocks


def prose(text: str) -> str:
    """The text without code and comments."""
    for pattern in (_FENCE.pattern, r"<!--.*?-->", r"`[^`\n]*`"):
        text = re.sub(pattern, "`code`", text, flags=re.MULTILINE | re.DOTALL)
    return text


def links(text: str) -> list[str]:
    """Targets of the links and pictures that do not lead to the network."""
    targets = re.findall(r"\]\(\s*<?([^)\s>]+)>?[^)]*\)", prose(text))
    return [target for target in targets if not re.match(r"[a-z]+:", target)]


def anchors(text: str) -> set[str]:
    """The anchors that GitHub, and MyST with it, give to the headings."""
    found: set[str] = set()
    without_code = re.sub(_FENCE.pattern, "", text, flags=re.MULTILINE | re.DOTALL)
    for heading in re.findall(r"^#+ +(.+?) *$", without_code, re.MULTILINE):
        plain = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading)
        slug = re.sub(r"[^\w\- ]", "", plain.lower()).replace(" ", "-")
        count = 0
        while (unique := f"{slug}-{count}" if count else slug) in found:
            count += 1
        found.add(unique)
    return found
