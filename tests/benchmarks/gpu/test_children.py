import sys
import time

import pytest

from benchmarks.gpu.children import run_section

WRITES = """
import sys, time
file = open(sys.argv[1], "a")
file.write('{"n": 1}\\n{"n": 2}\\n{"n":')
file.flush()
"""


@pytest.fixture
def run(tmp_path):
    def run(then, seconds=60.0):
        rows = tmp_path / "rows.jsonl"
        rows.write_text('{"n": 0, "of": "an earlier run"}\n')
        command = [sys.executable, "-c", WRITES + then, str(rows)]
        result = run_section(command, rows, seconds, tmp_path)
        assert not rows.exists()
        # the third was cut off
        assert result["rows"] == [{"n": 1}, {"n": 2}]
        return result

    return run


def test_rows_are_read(run):
    assert run("")["problem"] is None


def test_what_hangs_is_stopped_and_its_rows_are_kept(run):
    started = time.time()
    result = run("time.sleep(100)", seconds=5.0)
    assert time.time() - started < 50
    assert result["problem"] == "stopped after 5 s"
    assert result["seconds"] == pytest.approx(5, abs=10)


def test_an_error_is_named_by_its_last_line(run):
    assert run("raise RuntimeError('no GPU')")["problem"] == "ended with 1: RuntimeError: no GPU"
    assert run("import os; os.abort()")["problem"].startswith("ended with -6")


def test_the_soft_deadline_is_before_the_end(run):
    check = "left = float(sys.argv[2]) - time.time(); sys.exit(0 if 40 < left < 52 else str(left))"
    assert run(check, seconds=60.0)["problem"] is None
