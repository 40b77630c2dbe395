from benchmarks.gpu.table import report

MACHINE = {"is_gpu": True, "card": "Some Card", "cuda": "12.4", "cores": 8, "packages": "torch 2.6"}


def page(machine=MACHINE, **sections):
    figures = {"command": "python -m benchmarks.gpu", "seconds": 300.0, "machine": machine}
    return report(figures | {"sections": sections})


def section(*rows, problem=None):
    return {"rows": list(rows), "seconds": 9.0, "problem": problem}


def test_the_card_stands_above_the_tables():
    text = page()
    assert "**Some Card**, torch 2.6; CUDA 12.4, 8 CPU cores." in text
    assert "Not measured on a GPU" not in text
    assert "Not measured on a GPU" in page(MACHINE | {"is_gpu": False})


def test_a_row_without_figures_says_why():
    row = {"n": 16_384, "d": 128, "problem": "OutOfMemoryError: CUDA | 9 GiB"}
    assert "| 16,384 | 128 | – | – | – | – | – | – | OutOfMemoryError: CUDA \\| 9 GiB |" in page(
        kernel=section(row)
    )


def test_counts_stand_alone_and_wrapped():
    row = {"loss": "L", "classes": 100, "wrong": 0.5, "ids": "no", "alone_operations": 51,
           "wrapped_operations": 945, "alone_waits": 5, "wrapped_waits": 9}  # fmt: skip
    assert "| L | 100 | 50% | no | 51 / 945 | – | 5 / 9 | – |  |" in page(waits=section(row))
    row |= {"alone_syncs": 3, "wrapped_syncs": 0}
    assert "| 5 / 9 | 3 / 0 |" in page(waits=section(row))


def test_a_section_that_was_stopped_keeps_its_rows():
    row = {"group": "TestWrapper", "device": "cuda", "passed": 8, "failed": 0, "skipped": 0}
    text = page(checks=section(row, problem="stopped after 70 s"))
    assert "**Not complete: stopped after 70 s.**" in text
    assert "| TestWrapper | cuda | 8 | 0 | 0 |  |" in text
