import json
import os
import subprocess
import sys

import pytest

pytest.importorskip("cosmic_ray", reason="the mutation tester is for the tested set")

from benchmarks import mutation

ROOT = mutation.ROOT

SOURCE = '''"""Two functions, of which one is tested."""


def half(x: int | None) -> float:
    return (x or 0) / 2


def double(x: float) -> float:
    return x * 2
'''
TESTS = """from pml_ahsml.data.numbers import half


def test_half():
    assert [half(None), half(4)] == [0, 2]
"""


@pytest.fixture
def project(tmp_path, monkeypatch):
    files = {
        "pyproject.toml": '[tool.pytest.ini_options]\naddopts = "--import-mode=importlib"',
        "pml_ahsml/__init__.py": "",
        "pml_ahsml/data/__init__.py": "",
        "pml_ahsml/data/numbers.py": SOURCE,
        "tests/data/test_numbers.py": TESTS,
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    monkeypatch.setattr(mutation, "ROOT", tmp_path)
    return tmp_path


def run(project, *options):
    """The command, on the project."""
    program = (
        "import pathlib, sys; from benchmarks import mutation; mutation.WARM = []; "
        "mutation.ROOT = pathlib.Path(sys.argv.pop(1)); mutation.main()"
    )
    command = [sys.executable, "-c", program, project, "--paths", "pml_ahsml/data", *options]
    return subprocess.run(
        [*map(str, command)], cwd=ROOT, capture_output=True, text=True, timeout=120,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
    )  # fmt: skip


def test_faults_lie_in_running_code_and_stay_in_their_family(project):
    places = mutation.mutants_by_place("pml_ahsml/data/numbers.py")
    codes = [[mutant.code() for mutant in place] for place in places]
    assert all(SOURCE not in place for place in codes)
    assert all("(x: int | None) -> float" in code for place in codes for code in place)
    # or, 0, /, 2 of the first function; * and 2 of the second
    assert [len(place) for place in codes] == [1, 2, 6, 2, 6, 2]
    assert not any(sign in code for place in codes for code in place for sign in (">>", "^", "&"))


def test_the_sample_depends_on_the_seed_and_on_changed_lines_only():
    places = [
        [mutation.Mutant("path", f"0 line {i}", "operator", j) for j in (0, 1)] for i in range(100)
    ]
    drawn = mutation.sample(places, 20, seed=0)
    assert drawn == mutation.sample(places[::-1], 20, seed=0)
    assert len({mutant.line for mutant in drawn}) == 20
    assert {mutant.occurrence for mutant in drawn} == {0, 1}
    assert drawn != mutation.sample(places, 20, seed=1)
    # with some lines less the others of the sample are in it as before
    kept = {f"0 line {i}" for i in range(10, 100)}
    fewer = mutation.sample([place for place in places if place[0].line in kept], 20, seed=0)
    assert {mutant for mutant in drawn if mutant.line in kept} <= set(fewer)
    assert len(mutation.sample(places, 500, seed=0)) == 100


def test_finds_untested_code_and_changes_no_file(project):
    before = {path: path.read_text() for path in project.rglob("*.*") if path.is_file()}
    output = project / "results" / "mutation.jsonl"
    result = run(project, "--output", output)
    assert result.returncode == 0, result.stderr
    rows = [json.loads(line) for line in output.read_text().splitlines()]
    assert len(rows) == 6
    for row in rows:
        assert row["outcome"] == ("survived" if "-    return x * 2" in row["diff"] else "killed")
    assert result.stdout.endswith("{'killed': 4, 'survived': 2}: 66.7 % noticed\n")
    assert result.stdout.count("-    return x * 2") == 2
    assert all(path.read_text() == text for path, text in before.items())
    # those that were not noticed are tried again once there is a new test
    tree = rows[0]["tree"]
    assert mutation.read(output, tree) == {row["key"]: row["outcome"] for row in rows}
    more = TESTS.replace("import half", "import double, half") + "    assert double(3) == 6\n"
    (project / "tests/data/test_numbers.py").write_text(more)
    better = run(project, "--output", output)
    assert "6 of 6 places, 4 known" in better.stdout
    assert "{'killed': 6}: 100.0 % noticed" in better.stdout


def test_tests_that_fail_without_a_fault_are_an_error(project):
    (project / "tests/data/test_numbers.py").write_text(TESTS.replace("[0, 2]", "[0, 3]"))
    result = run(project, "--output", project / "mutation.jsonl")
    assert result.returncode != 0
    assert "fails without a fault" in result.stderr
    assert "assert [0.0, 2.0] == [0, 3]" in result.stderr
    assert (project / "mutation.jsonl").read_text() == ""
