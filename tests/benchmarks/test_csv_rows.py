import math
from dataclasses import dataclass

from benchmarks.csv_rows import read_rows, write_rows


@dataclass(frozen=True)
class Row:
    name: str
    count: int
    score: float


def test_rows_come_back_with_their_types(tmp_path):
    rows = [Row("a, b", 3, 1 / 3), Row("", -1, 1e-300)]
    path = tmp_path / "new folder" / "rows.csv"
    write_rows(path, rows)
    assert read_rows(path, Row) == rows


def test_what_is_not_a_number_comes_back(tmp_path):
    write_rows(tmp_path / "rows.csv", [Row("a", 1, math.nan)])
    assert math.isnan(read_rows(tmp_path / "rows.csv", Row)[0].score)


def test_a_file_is_replaced(tmp_path):
    write_rows(tmp_path / "rows.csv", [Row("a", 1, 0.5), Row("b", 2, 0.5)])
    write_rows(tmp_path / "rows.csv", [Row("c", 3, 0.5)])
    assert [row.name for row in read_rows(tmp_path / "rows.csv", Row)] == ["c"]


def test_a_missing_file_has_no_rows(tmp_path):
    assert read_rows(tmp_path / "missing.csv", Row) == []
