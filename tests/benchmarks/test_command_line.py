from pathlib import Path

import pytest

from benchmarks.command_line import new_parser


def test_the_data_are_where_the_environment_says(monkeypatch):
    monkeypatch.setenv("PML_AHSML_DATA", "elsewhere")
    parser = new_parser("benchmarks.some", "What it does.")
    assert parser.parse_args([]).data == Path("elsewhere")
    assert parser.parse_args(["--data", "here"]).data == Path("here")


def test_a_benchmark_without_data_does_not_ask_for_them():
    with pytest.raises(SystemExit):
        new_parser("benchmarks.some", None, has_data=False).parse_args(["--data", "here"])


def test_help_shows_the_docstring_as_it_is_written():
    text = new_parser("benchmarks.some", "First line.\n\n- an item\n- another").format_help()
    assert text.startswith("usage: python -m benchmarks.some ")
    assert "First line.\n\n- an item\n- another\n" in text
