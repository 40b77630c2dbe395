"""The page as a file: one, closed, and with the data as data."""

import base64
import hashlib
import json
import re
from html.parser import HTMLParser

import numpy as np
import pytest

from tests.audit.made import HOSTILE, made_audit


class Reader(HTMLParser):
    """The tags of a page, and what stands in its scripts and styles."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.contents, self.title = [], {"script": [], "style": []}, ""
        self.inside = None
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        self.inside = tag
        if tag in self.contents:
            self.contents[tag].append("")

    def handle_endtag(self, tag):
        self.inside = None

    def handle_data(self, data):
        if self.inside in self.contents:
            self.contents[self.inside][-1] += data
        if self.inside == "title":
            self.title += data


@pytest.fixture
def page(tmp_path):
    def read_page(audit, **options):
        audit.to_html(tmp_path / "audit.html", **options)
        return (tmp_path / "audit.html").read_text(encoding="utf-8")

    return read_page


def hostile_audit(**changes):
    return made_audit(
        len(HOSTILE), len(HOSTILE), class_names=HOSTILE, sample_names=HOSTILE, **changes
    )


def test_names_are_neither_tags_nor_ends_of_scripts(page):
    text = page(hostile_audit(), texts=HOSTILE)
    plain = Reader(page(made_audit(len(HOSTILE), len(HOSTILE)), texts=["a"] * len(HOSTILE)))
    reader = Reader(text)
    # the same tags, whatever the names
    assert [tag for tag, _ in reader.tags] == [tag for tag, _ in plain.tags]
    data, script = reader.contents["script"]
    assert not set("<>&\u2028\u2029") & set(data)
    assert data.isascii()
    assert json.loads(data)["class_names"] == list(HOSTILE)
    assert script == plain.contents["script"][1]


@pytest.mark.parametrize("title", HOSTILE, ids=range(len(HOSTILE)))
def test_a_title_is_text(page, title):
    title = title.replace("\r\n", "\n").replace("\x00", "")  # as parsers read it
    reader = Reader(page(made_audit(), title=title))
    assert reader.title[:190] == title[:190]
    assert [tag for tag, _ in reader.tags].count("script") == 2


def test_the_policy_allows_what_is_there_and_nothing_else(page):
    reader = Reader(page(hostile_audit()))
    policy = next(
        attrs["content"]
        for tag, attrs in reader.tags
        if attrs.get("http-equiv") == "Content-Security-Policy"
    )
    rules = dict(rule.split(" ", 1) for rule in policy.split("; "))

    def hashed(text):
        return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"

    assert rules == {
        "default-src": "'none'",
        "script-src": hashed(reader.contents["script"][1]),
        "style-src": hashed(reader.contents["style"][0]),
        "img-src": "data:",
        "base-uri": "'none'",
        "form-action": "'none'",
    }


def test_nothing_is_loaded_from_elsewhere(page):
    text = page(made_audit())
    reader = Reader(text)
    for tag, attrs in reader.tags:
        for name in ("src", "href", "action", "srcset"):
            assert attrs.get(name, "#").startswith(("#", "data:")), (tag, attrs)
        assert not any(name.startswith("on") or name == "style" for name in attrs)
    # the name of a language of tags is no address
    addresses = set(re.findall(r"(?:https?:)?//[^\s\"'`;]+\.[^\s\"'`;]+", text))
    assert addresses == {"http://www.w3.org/2000/svg"}
    assert "@import" not in text
    assert "url(" not in text


def test_the_script_makes_no_markup(page):
    script = Reader(page(made_audit())).contents["script"][1]
    for way in (
        "innerHTML",
        "outerHTML",
        "insertAdjacentHTML",
        "document.write",
        "eval(",
        "Function(",
    ):
        assert way not in script


def test_arguments_are_checked_before_anything_is_written(tmp_path):
    audit, path = made_audit(), tmp_path / "audit.html"
    for options, error, message in (
        ({"images": ["a.png"]}, ValueError, "images must have 60 entries, got 1"),
        ({"texts": ["a"] * 61}, ValueError, "texts must have 60 entries, got 61"),
        ({"texts": "a" * 60}, TypeError, "texts must be a sequence, got str"),
        ({"images": 3}, TypeError, "images must be a sequence, got int"),
        ({"images": [3] * 60}, TypeError, r"images\[\d+\] must be a path"),
        ({"limit": -1}, ValueError, "limit must be at least 0, got -1"),
    ):
        with pytest.raises(error, match=message):
            audit.to_html(path, **options)
    assert not path.exists()


def test_a_column_of_pandas_is_read_by_its_rows(page):
    class Column:
        """Has the index of a table whose rows were shuffled."""

        def __len__(self):
            return 60

        def __getitem__(self, key):
            raise KeyError(key)

        def to_numpy(self):
            return np.array([f"text {i}" for i in range(60)], dtype=object)

    data = json.loads(Reader(page(made_audit(), texts=Column())).contents["script"][0])
    assert all(sample["text"] == f"text {i}" for i, sample in data["samples"].items())
