from dataclasses import replace

import pytest

from benchmarks import miners
from benchmarks.noise.results import append_result
from benchmarks.noise.rows import rows_of
from tests.benchmarks.noise.made_results import result
from tests.docs.pages import ROOT

PAGE = "text\n<!-- miners: results -->\nold\n<!-- end of table -->\n" + (
    "more\n<!-- miners: pairs -->\n<!-- end of table -->\nend\n"
)


def test_the_page_has_the_tables_of_its_files(tmp_path):
    for name in ("miners.md", "miners.csv", "miners_pairs.csv"):
        (tmp_path / name).write_bytes((ROOT / "docs" / name).read_bytes())
    page = tmp_path / "miners.md"
    before = page.read_text(encoding="utf-8")
    miners.write_tables(page)
    assert page.read_text(encoding="utf-8") == before
    assert before.count("| hwu |") == 6
    assert before.count("| none:0 |") >= len(miners.MINERS)


def test_a_row_is_the_mean_over_the_seeds_that_all_runs_have():
    made = [result(run, 0.5, seed) for run in miners.RUNS for seed in (0, 1)]
    made += [result("hierarchical_miner", 0.9, 2), result("plain", 0.7, 3)]
    made[0] = replace(made[0], map_at_r=0.6, precision_at_1=0.8)
    table = miners.results_table(rows_of(made)).splitlines()
    assert table[0].startswith("| data | loss | noise | seeds | no miner | MultiSimilarityMiner |")
    assert table[2] == "| clinc | SupCon | near:0.4 | 2 | 0.550 (0.850) |" + 4 * " 0.500 (0.900) |"
    assert len(table) == 3


def test_a_row_that_lacks_a_run_waits():
    made = [result(run, 0.5) for run in miners.RUNS[:-1]]
    assert len(miners.results_table(rows_of(made)).splitlines()) == 2


def test_tables_are_replaced_and_text_is_kept(tmp_path):
    page = tmp_path / "page.md"
    page.write_text(PAGE)
    for run in miners.RUNS:
        append_result(tmp_path / "miners.csv", result(run, 0.5))
    miners.write_tables(page)
    once = page.read_text()
    miners.write_tables(page)
    assert page.read_text() == once
    assert "old" not in once
    lines = once.splitlines()
    assert [line for line in lines if not line.startswith(("|", "<")) and line] == [
        "text",
        "more",
        "end",
    ]
    assert sum(line.startswith("| clinc ") for line in lines) == 1


def test_counts_are_those_of_the_batches_and_are_made_once(small, tmp_path, monkeypatch):
    monkeypatch.setattr(miners, "STEPS", (0, 5))
    path = tmp_path / "miners_pairs.csv"
    miners.count_missing(path, tmp_path)
    counts = miners.read_counts(path)
    assert [count.step for count in counts] == [0, 5] * 2 * len(miners.MINERS)
    of = {count.run: count for count in counts if count.noise == "none:0" and count.step == 0}
    easy_hard = of["easy_hard_miner"]
    assert (easy_hard.positives, easy_hard.negatives) == pytest.approx((1, 1), abs=0.1)
    assert 0 < of["hierarchical_miner"].positives <= 3
    assert 0 < of["hierarchical_miner"].negatives < 124
    assert f"{of['hierarchical_miner'].positives:.2f}, " in miners.counts_table(counts)
    monkeypatch.setattr(miners, "trained", None)
    miners.count_missing(path, tmp_path)
    assert miners.read_counts(path) == counts


def test_command_line():
    arguments = miners.parser().parse_args(["--datasets", "hwu", "--seeds", "1", "2"])
    assert (arguments.datasets, arguments.seeds) == (["hwu"], [1, 2])
    assert miners.TITLES.keys() == set(miners.RUNS)
