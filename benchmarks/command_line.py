"""The command lines of the benchmarks."""

import argparse
import os
from pathlib import Path


def new_parser(
    module: str, description: str | None, *, has_data: bool = True
) -> argparse.ArgumentParser:
    """Make a parser that shows the docstring of a module as it is written.

    Args:
        module: name of the module, as after ``python -m``.
        description: its docstring.
        has_data: whether to add ``--data``, the folder of the benchmark files. By default it is
            that of the environment variable PML_AHSML_DATA, or ../shared/data.
    """
    parser = argparse.ArgumentParser(
        prog=f"python -m {module}",
        description=description,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    if has_data:
        folder = Path(os.environ.get("PML_AHSML_DATA", "../shared/data"))
        parser.add_argument("--data", type=Path, default=folder)
    return parser
