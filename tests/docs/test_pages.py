"""What the pages show works: their Python runs, and their links lead somewhere."""

import doctest
import runpy
import socket
from pathlib import Path

import pytest
import torch.distributed as dist

from tests.docs.pages import PAGES, ROOT, anchors, links, name, runnable
from tests.ecosystem.with_lightning import QUIET_LIGHTNING

WITH_CODE = [page for page in PAGES if runnable(page.read_text(encoding="utf-8"))]


@pytest.fixture
def one_process():
    """A process group of one, for blocks about distributed training."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    dist.init_process_group("gloo", init_method=f"tcp://127.0.0.1:{port}", rank=0, world_size=1)
    yield
    dist.destroy_process_group()


# PML's progress bar formats a tensor that carries a gradient
@pytest.mark.filterwarnings("ignore:Converting a tensor with requires_grad=True", *QUIET_LIGHTNING)
@pytest.mark.parametrize("page", WITH_CODE, ids=name)
def test_code_runs(page, one_process, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    namespace = runpy.run_path(str(Path(__file__).with_name("training_script.py")))
    for language, line, code in runnable(page.read_text(encoding="utf-8")):
        if language == "python":
            # as many empty lines in front as make the line numbers of an error those of the page
            exec(compile("\n" * line + code, str(page), "exec"), namespace)
            continue
        example = doctest.DocTestParser().get_doctest(code, namespace, name(page), str(page), line)
        report: list[str] = []
        doctest.DocTestRunner().run(example, out=report.append, clear_globs=False)
        assert not report, "".join(report)
        namespace = example.globs


def test_pages_show_code():
    """Guards against a search for blocks that finds nothing."""
    assert {name(page) for page in WITH_CODE} >= {
        "README.md",
        "docs/evaluation.md",
        "docs/guides/combine.md",
        "docs/guides/start.md",
        "docs/guides/audit.md",
        "docs/poincare_losses.md",
    }


def test_links_are_found():
    """Guards against a search for links that finds nothing."""
    text = (
        "[a](b.md#c) ![d](e.png) [f](https://g.h) `[i](j)`\n```python\n[k](l)\n```\n## M (n), o\n"
    )
    assert links(text) == ["b.md#c", "e.png"]
    assert anchors(text) == {"m-n-o"}


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_links_resolve(page):
    broken = []
    for link in links(page.read_text(encoding="utf-8")):
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        if not target.exists() or ROOT not in (target, *target.parents):
            broken.append(f"{link}: no such file")
        elif anchor and anchor not in anchors(target.read_text(encoding="utf-8")):
            broken.append(f"{link}: no such heading")
    assert not broken, f"{name(page)}: " + "; ".join(broken)


def test_every_page_of_the_site_is_linked_from_a_text():
    """Or only the sidebar knows it."""
    shown_by = {"README.md": "docs/index.md"}
    shown_by |= {f"{page}.md": f"docs/{page.lower()}.md" for page in ("CHANGELOG", "CONTRIBUTING")}
    linked = set()
    for page in PAGES:
        for link in links(page.read_text(encoding="utf-8")):
            target = (page.parent / link.partition("#")[0]).resolve()
            if target != page and target.is_relative_to(ROOT):
                linked.add(shown_by.get(name(target), name(target)))
    site = {name(page) for page in PAGES if ROOT / "docs" in page.parents}
    # the page about links that lead out of the site is reached by these
    assert site - linked - {"docs/index.md"} == {"docs/repository.md"}


def test_readme_is_short():
    assert len((ROOT / "README.md").read_text(encoding="utf-8").splitlines()) <= 110
