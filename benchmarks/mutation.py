"""Mutation testing: how many small faults do the tests notice?

``python -m benchmarks.mutation`` draws a sample of faults and puts one at a time into a copy of the
project: ``-`` for ``+``, ``<=`` for ``<``, a number one higher, a negated condition, a removed
decorator. It then runs the tests until one fails: the doctests of the file, the tests at its path,
then those of the same folder. The faults come from cosmic-ray, without those that nearly any test
notices: in annotations, and bit operators in place of arithmetic.

It may be stopped at any time and continues from ``--output``. A fault that was noticed is not tried
again until its file changes; any other not until a source file or a test changes.
"""

import argparse
import ast
import difflib
import hashlib
import json
import os
import shutil
import signal
import sys
import tempfile
import traceback
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import suppress
from importlib import import_module, util
from pathlib import Path
from types import ModuleType
from typing import NamedTuple

import pytest
from cosmic_ray.ast import ast_nodes, get_ast
from cosmic_ray.mutating import mutate_code
from cosmic_ray.plugins import get_operator, operator_names

ROOT = Path(__file__).parent.parent
FOLDERS = ["hyperbolic", "classes", "labels", "labels/witnesses", "state", "losses", "miners",
           "inference", "data"]  # fmt: skip
# Imported once, before the forks. The project itself must not be: each fork imports its copy.
WARM = ["faiss", "geoopt", "scipy.stats", "sklearn.metrics", "torch._dynamo",
        "pytorch_metric_learning.losses", "pytorch_metric_learning.testers"]  # fmt: skip
# Operators are replaced by others of their family.
FAMILIES = ({"Add", "Sub", "Mul", "Div", "FloorDiv", "Mod", "Pow"}, {"BitAnd", "BitOr", "BitXor"},
            {"Eq", "NotEq", "Lt", "LtE", "Gt", "GtE"}, {"Is", "IsNot"})  # fmt: skip


def digest(*texts: str) -> str:
    """Return a short hash of the texts."""
    return hashlib.sha256("\0".join(texts).encode()).hexdigest()[:16]


class Mutant(NamedTuple):
    """A fault: an operator of cosmic-ray, at one of its places in a file.

    ``line`` holds the column and the text of the line.
    """

    path: str
    line: str
    operator: str
    occurrence: int

    def code(self) -> str:
        """Return the source of the file with the fault."""
        source = (ROOT / self.path).read_text()
        return mutate_code(source, get_operator(self.operator)(), self.occurrence)

    def diff(self) -> str:
        """Return the fault as a diff."""
        lines = (ROOT / self.path).read_text().splitlines(), self.code().splitlines()
        return "\n".join(difflib.unified_diff(*lines, self.path, self.operator, n=1, lineterm=""))


def is_tried(operator: str) -> bool:
    """Tell whether an operator either replaces no operators, or replaces them within a family."""
    kind, *replaced = operator.split("_")
    replaces = kind.endswith(("BinaryOperator", "ComparisonOperator"))
    like_by_like = any(set(replaced) <= family for family in FAMILIES)
    return not get_operator(operator).arguments() and (like_by_like or not replaces)


def mutants_by_place(path: str) -> list[list[Mutant]]:
    """List the possible faults of a file, grouped by their place in it."""
    source, places = (ROOT / path).read_text(), {}
    nodes, lines = list(ast_nodes(get_ast(source))), source.splitlines()
    written = [vars(node) for node in ast.walk(ast.parse(source))]
    annotations = [node[x] for node in written for x in ("annotation", "returns") if node.get(x)]
    spans = [((a.lineno, a.col_offset), (a.end_lineno, a.end_col_offset)) for a in annotations]
    for name in filter(is_tried, operator_names()):
        positions = get_operator(name)().mutation_positions
        found = (start for node in nodes for start, _ in positions(node))
        for occurrence, start in enumerate(found):
            if not any(first <= start < last for first, last in spans):
                line = f"{start[1]} {lines[start[0] - 1]}"
                places.setdefault(start, []).append(Mutant(path, line, name, occurrence))
    return [places[start] for start in sorted(places)]


def sample(places: list[list[Mutant]], count: int, seed: int) -> list[Mutant]:
    """Draw one fault at each of ``count`` places, by a hash of their lines.

    Larger files get proportionally more faults. If a line changes, only the faults of that line
    change in the sample, so the outcomes of the others stay valid.
    """
    drawn = []
    for place in places:
        number = int(digest(str(seed), place[0].path, place[0].line), 16)
        drawn.append((number, place[number % len(place)]))
    return [mutant for _, mutant in sorted(drawn)[:count]]


def tests_of(path: str) -> tuple[list[str], list[str]]:
    """List the tests of a file, then the others of its folder, those that mention it first."""
    folder, stem = Path("tests", *Path(path).parts[1:-1]), Path(path).stem
    tests = list((ROOT / folder).glob("test_*.py"))
    tests.sort(key=lambda t: (t.stem != f"test_{stem}", stem not in t.read_text(), t.name))
    own, *others = [str(test.relative_to(ROOT)) for test in tests]
    # not the doctests first: pytest would import the file beside the package, as a second module
    return [own, path], others


def start(copy: Path, groups: Iterable[list[str]], timeout: int) -> int:
    """Start a process that runs groups of tests in a copy until one fails; return its id."""
    if pid := os.fork():
        return pid
    code = int(pytest.ExitCode.USAGE_ERROR)
    try:
        os.setsid()
        signal.alarm(timeout)
        log = os.open(copy / "log", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(log, 1), os.dup2(log, 2)
        os.chdir(copy)
        sys.dont_write_bytecode = True
        sys.modules["__main__"] = ModuleType("__main__")  # processes of a test must not import this
        sys.path[:] = [str(copy), *(p for p in sys.path if p not in ("", str(ROOT)))]
        found = util.find_spec("pml_ahsml").origin
        if not Path(found).is_relative_to(copy):
            raise ImportError(f"pml_ahsml must be imported from {copy}, got {found}")
        for tests in filter(None, groups):
            code = int(pytest.ExitCode.USAGE_ERROR)
            if not (pid := os.fork()):
                os._exit(int(pytest.main(["-x", "-q", "-p", "no:cacheprovider", *tests])))
            code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
            if code:
                break
    except BaseException:
        traceback.print_exc()
        sys.stderr.flush()
    os._exit(code if code >= 0 else 1)  # a signal counts as a failure


def outcome(pid: int, status: int, copy: Path) -> str:
    """Read the outcome from the exit status, and stop everything the process has started."""
    with suppress(ProcessLookupError):
        os.killpg(pid, signal.SIGKILL)
    if os.WIFSIGNALED(status):
        return "timed out" if os.WTERMSIG(status) == signal.SIGALRM else "killed"
    code = os.waitstatus_to_exitcode(status)
    if code in (pytest.ExitCode.USAGE_ERROR, pytest.ExitCode.NO_TESTS_COLLECTED):
        raise RuntimeError(f"tests do not run: {(copy / 'log').read_text()}")
    return "survived" if code == 0 else "killed"


def outcomes(mutants: list[Mutant], copies: list[Path], timeout: int) -> Iterator:
    """Try the faults, one in each copy at a time, and yield each with its outcome."""
    waiting, running = list(mutants), {}
    try:
        while waiting or running:
            if waiting and copies:
                mutant, copy = waiting.pop(0), copies.pop()
                source = (ROOT / mutant.path).read_text()
                (copy / mutant.path).write_text(mutant.code())
                running[start(copy, tests_of(mutant.path), timeout)] = mutant, copy, source
                continue
            pid, status = os.wait()
            mutant, copy, source = running.pop(pid)
            (copy / mutant.path).write_text(source)
            copies.append(copy)
            yield mutant, outcome(pid, status, copy)
    finally:
        for pid in running:
            os.killpg(pid, signal.SIGKILL)


def read(output: Path, tree: str) -> dict[str, str]:
    """Read the outcomes of earlier runs that still hold, by the hash of the file with the fault."""
    rows = map(json.loads, output.read_text().splitlines() if output.exists() else [])
    return {r["key"]: r["outcome"] for r in rows if r["outcome"] == "killed" or r["tree"] == tree}


def main() -> None:
    """Draw faults, try those whose outcome is unknown, and print those that were not noticed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--count", type=int, default=240, help="faults to try")
    parser.add_argument(
        "--paths",
        nargs="+",
        default=[f"pml_ahsml/{x}" for x in FOLDERS],
        help="files or folders to mutate",
    )
    parser.add_argument("--workers", type=int, default=2, help="tests that run side by side")
    parser.add_argument("--timeout", type=int, default=300, help="seconds for the tests of a fault")
    parser.add_argument("--output", type=Path, default=ROOT / "benchmark_results/mutation.jsonl")
    options = parser.parse_args()
    files = [
        f for path in options.paths for f in sorted((ROOT / path).glob("*.py")) or [ROOT / path]
    ]
    places = [place for f in files for place in mutants_by_place(str(f.relative_to(ROOT)))]
    mutants = {digest(m.path, m.code()): m for m in sample(places, options.count, options.seed)}
    everything = sorted([*ROOT.glob("pml_ahsml/**/*.py"), *ROOT.glob("tests/**/*.py")])
    tree = digest(*(file.read_text() for file in everything))
    known = read(options.output, tree)
    keys = {m: key for key, m in mutants.items() if key not in known}
    print(f"{len(mutants)} of {len(places)} places, {len(mutants) - len(keys)} known", flush=True)
    for name in WARM:
        import_module(name)
    options.output.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder, options.output.open("a") as output:
        copies = [Path(folder).resolve() / str(i) for i in range(options.workers)]
        for copy in copies:
            for name in ("pml_ahsml", "tests"):
                shutil.copytree(ROOT / name, copy / name)
            shutil.copy(ROOT / "pyproject.toml", copy)
        for source in sorted({Path(m.path).parent for m in keys}):
            groups = [tests_of(m.path) for m in keys if Path(m.path).parent == source]
            files = sorted({f for group in groups for tests in group for f in tests}, reverse=True)
            pid = start(copies[0], [files], 3600)
            if outcome(pid, os.waitpid(pid, 0)[1], copies[0]) != "survived":
                raise RuntimeError(f"fails without a fault: {(copies[0] / 'log').read_text()}")
        for number, (mutant, what) in enumerate(outcomes([*keys], copies, options.timeout), 1):
            known[keys[mutant]] = what
            row = {"key": keys[mutant], "tree": tree, "outcome": what, "diff": mutant.diff()}
            print(json.dumps(row), file=output, flush=True)
            print(f"{number}/{len(keys)} {what} {mutant.path}", flush=True)
    for key, mutant in mutants.items():
        if known[key] != "killed":
            print(f"\n{known[key]}\n{mutant.diff()}")
    counts = Counter(known[key] for key in mutants)
    print(f"{dict(counts)}: {100 - 100 * counts['survived'] / len(mutants):.1f} % noticed")


if __name__ == "__main__":
    main()
