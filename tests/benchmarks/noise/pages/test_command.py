"""The tables of the pages are those of the files beside them."""

import importlib

import pytest

from benchmarks.noise.pages.contents import CONTENTS
from tests.docs.pages import name

command = importlib.import_module("benchmarks.noise.pages.__main__")
MARKED = [page for page in command.pages() if command.names(page.read_text(encoding="utf-8"))]


@pytest.mark.parametrize("page", MARKED, ids=name)
def test_pages_have_the_tables_of_the_files(page):
    text = page.read_text(encoding="utf-8")
    assert text == command.filled(text), "python -m benchmarks.noise.pages writes the tables anew"


def test_every_marker_is_closed():
    for page in command.pages():
        text = page.read_text(encoding="utf-8")
        assert text.count("<!-- table: ") == len(command.names(text)), name(page)


def test_every_table_stands_on_one_page():
    shown = [n for page in MARKED for n in command.names(page.read_text(encoding="utf-8"))]
    assert sorted(shown) == sorted(CONTENTS)


def test_text_around_a_table_is_kept(monkeypatch):
    monkeypatch.setitem(CONTENTS, "readme", lambda: "| new |\n")
    before = "a\n<!-- table: readme -->\n| old |\n<!-- end of table -->\nb\n"
    after = "a\n<!-- table: readme -->\n\n| new |\n\n<!-- end of table -->\nb\n"
    assert command.filled(before) == after
    assert command.filled(after) == after


def test_a_table_that_nobody_knows_is_refused():
    with pytest.raises(ValueError, match="table must be one of .*, got 'other'"):
        command.filled("<!-- table: other -->\n<!-- end of table -->\n")


def test_the_pictures_are_drawn(tmp_path, monkeypatch):
    monkeypatch.setattr(command, "pages", list)
    for of in ("PICTURE", "CURVE"):
        monkeypatch.setattr(command, of, tmp_path / f"{of}.png")
    command.main()
    for of in ("PICTURE", "CURVE"):
        assert (tmp_path / f"{of}.png").read_bytes().startswith(b"\x89PNG")
