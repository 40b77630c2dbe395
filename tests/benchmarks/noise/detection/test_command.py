from benchmarks.csv_rows import read_rows
from benchmarks.noise.detection import __main__ as command
from benchmarks.noise.detection.rows import Row
from benchmarks.noise.pages.detection import auroc_table, found_table, predicted_table


class HerePool:
    """Calls in this process, where the patched names are known."""

    def __init__(self, _):
        pass

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass

    def map(self, function, cells, chunksize):
        return [function(cell) for cell in cells]


def made(cell, data_dir):
    """A row without a training."""
    return Row(*cell, 0, 0.4, *(0.1 * n for n in range(1, 11)))


def test_the_command_writes_the_rows_it_prints(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(command, "row", made)
    monkeypatch.setattr(
        command.multiprocessing, "get_context", lambda _: type("", (), {"Pool": HerePool})
    )
    options = ["--datasets", "trec", "cifar10n", "--output", str(tmp_path)]
    command.main(command.parser().parse_args(options))
    rows = read_rows(tmp_path / "detection.csv", Row)
    assert [(one.data, one.noise) for one in rows] == [
        ("trec", "given:majority"),
        ("cifar10n", "given:worst"),
        ("cifar10n", "given:random1"),
    ]
    assert capsys.readouterr().out == (
        f"{found_table(rows)}\n{auroc_table(rows)}\n{predicted_table(rows)}\n"
    )
