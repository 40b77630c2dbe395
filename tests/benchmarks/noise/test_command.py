import importlib
from dataclasses import replace

import pytest

from benchmarks.noise.results import append_result
from benchmarks.noise.suites import SUITES, Choice, jobs_of
from tests.benchmarks.noise.made_results import result

command = importlib.import_module("benchmarks.noise.__main__")


def parse(*words):
    return command.parser().parse_args(words)


def test_the_command_beside_a_table_chooses_its_rows():
    words = ["--suite", "full", "--noise", "near:0.4", "pair:0.2", "--seeds", "1", "2"]
    words += ["--longer", "3"]
    arguments = parse(*words, "--output", "elsewhere")
    assert command.command(arguments) == "python -m benchmarks.noise " + " ".join(words)


def test_longer_trainings_have_files_of_their_own():
    names = [command.stem(parse("--longer", n)) for n in ("1", "3", "4")]
    assert names == ["noise_quick", "noise_quick_3_times", "noise_quick_4_times"]
    with pytest.raises(ValueError, match="longer must be at least 1, got 0"):
        command.main(parse("--longer", "0"))


@pytest.mark.parametrize("option", ["--suite", "--datasets", "--losses", "--runs"])
def test_names_that_are_not_known_are_refused(option, capsys):
    with pytest.raises(SystemExit):
        parse(option, "unknown")
    assert f"argument {option}: invalid choice: 'unknown'" in capsys.readouterr().err


def test_runs_in_the_file_are_not_repeated(tmp_path, capsys):
    jobs = jobs_of(SUITES["words"], Choice(losses=["SupCon"], seeds=[0], noise=["near:0.4"]))
    for n, job in enumerate(jobs):
        made = replace(result(job.run, 0.5 + n / 10), data="banking")
        append_result(tmp_path / "noise_words.csv", made)
    words = ["--suite", "words", "--losses", "SupCon", "--noise", "near:0.4", "--seeds", "0"]
    command.main(parse(*words, "--output", str(tmp_path), "--data", str(tmp_path / "missing")))
    assert "0 runs to make, 4 made before" in capsys.readouterr().out
    text = (tmp_path / "noise_words.md").read_text()
    assert text.startswith(f"Made by `python -m benchmarks.noise {' '.join(words)}`. Python 3.")
    assert "| banking | SupCon | near:0.4 | 0.500 | 0.600 | 0.700 | 0.800 | 0.67 |" in text
    assert (tmp_path / "noise_words.png").stat().st_size > 1000
