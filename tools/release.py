"""Build sdist and wheel for the place where the repository is published, and check them.

The repository links its pages by relative paths and does not know its own address. PyPI needs both:
in a copy of the last commit the links of README become absolute, and setup.cfg gets the addresses.

Run: python tools/release.py https://github.com/OWNER/NAME    (needs build and twine; writes dist/)
"""

import argparse
import io
import re
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[1]
_LINK = re.compile(r"(?P<is_image>!?)\[(?P<text>[^\]]*)\]\((?![a-z]+:|#)(?P<path>[^)\s]+)\)")
_VERSION = re.compile(r'__version__ = "([^"]+)"')


def with_absolute_links(text: str, url: str, tag: str) -> str:
    """A page whose relative links and pictures lead to the repository, at a tag."""

    def lead(found: re.Match[str]) -> str:
        kind = "raw" if found["is_image"] else "blob"
        return f"{found['is_image']}[{found['text']}]({url}/{kind}/{tag}/{found['path']})"

    return _LINK.sub(lead, text)


def with_addresses(setup: str, url: str, tag: str) -> str:
    """A setup.cfg that says where things are."""
    head = "project_urls =\n"
    if head not in setup:
        raise ValueError("setup.cfg must have project_urls, got none")
    addresses = {
        "Source": url,
        "Documentation": f"{url}/blob/{tag}/docs/guides/start.md",
        "Changes": f"{url}/blob/{tag}/CHANGELOG.md",
        "Issues": f"{url}/issues",
    }
    lines = "".join(f"    {name} = {address}\n" for name, address in addresses.items())
    return setup.replace(head, head + lines)


def version() -> str:
    """Of the package."""
    found = _VERSION.search((ROOT / "pml_ahsml" / "__init__.py").read_text(encoding="utf-8"))
    if found is None:
        raise ValueError("pml_ahsml/__init__.py must have a __version__, got none")
    return found[1]


def build(url: str, output: Path) -> None:
    """Build from a copy of the last commit, and check what PyPI would show."""
    url, tag = url.rstrip("/"), f"v{version()}"
    with tempfile.TemporaryDirectory() as folder:
        archive = subprocess.run(
            ["git", "archive", "HEAD"], cwd=ROOT, check=True, capture_output=True
        ).stdout
        with tarfile.open(fileobj=io.BytesIO(archive)) as tree:
            tree.extractall(folder, filter="data")
        for name, change in (("README.md", with_absolute_links), ("setup.cfg", with_addresses)):
            path = Path(folder) / name
            path.write_text(change(path.read_text(encoding="utf-8"), url, tag), encoding="utf-8")
        subprocess.run([sys.executable, "-m", "build", "--outdir", str(output), folder], check=True)
    made = sorted(str(path) for path in output.glob(f"pml_ahsml-{version()}*"))
    subprocess.run([sys.executable, "-m", "twine", "check", "--strict", *made], check=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("url", help="address of the repository, without a slash at its end")
    parser.add_argument("--output", type=Path, default=ROOT / "dist")
    arguments = parser.parse_args()
    build(arguments.url, arguments.output)
