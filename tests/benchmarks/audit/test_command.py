import math

import pytest

from benchmarks.audit.__main__ import main, parser
from benchmarks.audit.rows import ROWS, Row, row
from benchmarks.audit.table import found_table, rates_table
from benchmarks.csv_rows import read_rows


@pytest.fixture(scope="module")
def rows():
    """Digits with labels of their nearest class, and with right labels."""
    return [row(("digits", noise), None) for noise in ("pair:0.2", "none:0")]


def test_the_command_writes_the_rows_it_prints(tmp_path, capsys):
    options = parser().parse_args(
        ["--datasets", "digits", "--output", str(tmp_path), "--processes", "1"]
    )
    main(options)
    printed = capsys.readouterr().out
    rows = read_rows(tmp_path / "audit.csv", Row)
    assert [(one.data, one.noise) for one in rows] == [c for c in ROWS if c[0] == "digits"]
    assert printed == f"{found_table(rows)}\n{rates_table(rows)}\n"


def test_a_row_finds_wrong_labels_of_digits(rows):
    noisy, clean = rows
    assert noisy.wrong == pytest.approx(0.2, abs=0.01)
    assert noisy.ours > max(noisy.classifier, noisy.classifier_in_order, noisy.neighbours)
    assert noisy.precision > 0.9
    assert noisy.lowest < noisy.wrong < noisy.highest
    assert clean.wrong == 0
    assert clean.doubted < 0.02
    assert math.isnan(clean.ours)


def test_tables_have_means_of_rows_with_wrong_labels_and_errors_of_all():
    def made(**changes):
        values = dict.fromkeys(Row.__dataclass_fields__, 0.5)
        return Row(**{**values, "data": "digits", "noise": "pair:0.2", "samples": 9, **changes})

    first = made(ours=0.9, wrong=0.2, noise_rate=0.3, lowest=0.1, highest=0.4)
    second = made(ours=0.7, wrong=0.6, noise_rate=0.5, lowest=0.4, highest=0.5)
    clean = made(ours=math.nan, wrong=0.0, noise_rate=0.0, lowest=0.0, highest=0.1)
    assert "| mean |  | .800 | .500 | .500 | .500 |  | .50 |" in found_table([first, second, clean])
    assert found_table([first, second, clean]).count("digits") == 2
    assert "| mean |  | off by .067 |  | 2 of 3 | .50 |" in rates_table([first, second, clean])
