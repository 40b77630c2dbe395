"""Names as one readable line."""

import pytest

from pml_ahsml.audit.names import one_line, shortened
from tests.audit.made import HOSTILE


@pytest.mark.parametrize("name", HOSTILE, ids=range(len(HOSTILE)))
def test_every_name_is_one_printable_line(name):
    line = one_line(name, 24)
    assert len(line) <= 24
    assert line.isprintable()


def test_what_can_be_printed_stays():
    assert one_line("café 42 שלום", 24) == "café 42 שלום"
    assert one_line("\x1b[31mred", 24) == r"\x1b[31mred"


def test_shortened():
    assert shortened("abcdef", 6) == "abcdef"
    assert shortened("abcdefg", 6) == "abcde…"
