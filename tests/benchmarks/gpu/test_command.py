import importlib
import json

import pytest
import torch

from benchmarks.gpu.checks import GROUPS

command = importlib.import_module("benchmarks.gpu.__main__")


def parse(*words):
    return command.parser().parse_args(list(words))


def test_the_tests_of_the_gpu_run_in_a_process_of_their_own(tmp_path):
    # on the CPU: it shows that they run
    command.main(parse("checks", "--device", "cpu", "--quick", "--output", str(tmp_path)))
    figures = json.loads((tmp_path / "gpu.json").read_text())
    checks = figures["sections"]["checks"]
    assert checks["problem"] is None
    assert [row["group"] for row in checks["rows"]] == list(GROUPS)
    for row in checks["rows"]:
        assert (row["failed"], row["skipped"]) == (0, 0)
        assert row["passed"] >= 3
    assert figures["command"] == "python -m benchmarks.gpu --device cpu --quick"
    text = (tmp_path / "gpu.md").read_text()
    assert "Not measured on a GPU" in text
    assert "| TestWrapper | cpu | 8 | 0 | 0 |" in text
    assert [path.name for path in sorted(tmp_path.iterdir())] == ["gpu.json", "gpu.md"]


def test_sections_share_the_time_and_what_is_left_over(tmp_path, monkeypatch):
    given = {}

    def run_section(words, rows, seconds, folder):
        given[words[3]] = seconds
        problem = "stopped after 9 s" if words[3] == "kernel" else None
        return {"rows": [], "seconds": 0.0, "problem": problem}

    monkeypatch.setattr(command, "run_section", run_section)
    figures = command.main(parse("--device", "cpu", "--seconds", "115", "--output", str(tmp_path)))
    # no section took any time, so each got its share of all
    assert given["checks"] == pytest.approx(15, abs=2)
    assert given["kernel"] == pytest.approx(100 * 0.1 / 0.85, abs=2)
    assert given["searches"] == pytest.approx(100, abs=5)
    assert figures["sections"]["kernel"]["problem"] == "stopped after 9 s"
    assert "**Not complete: stopped after 9 s.**" in (tmp_path / "gpu.md").read_text()


def test_a_section_writes_a_row_per_line(tmp_path):
    rows = tmp_path / "rows.jsonl"
    arguments = parse("kernel", "--device", "cpu", "--quick", "--rows", str(rows), "--until", "0")
    command.write_rows("kernel", arguments)
    assert [json.loads(line) for line in rows.read_text().splitlines()] == [
        {"n": 32, "d": 8, "problem": "no time was left"}
    ]


def test_what_cannot_be_measured_is_refused(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(ValueError, match="device must be cpu where torch sees no GPU, got 'cuda'"):
        command.checked(parse())
    with pytest.raises(ValueError, match="section must be one of checks, .* got 'speed'"):
        command.checked(parse("speed", "--device", "cpu"))
    assert command.checked(parse("--device", "cpu")).sections == [*command.SECTIONS]


def test_a_run_takes_eight_minutes_at_most():
    assert parse().seconds == 480
