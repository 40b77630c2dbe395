"""docs/contract.md says what happens, row by row."""

import importlib.util

import pytest

from tests.contract.document import PATH, SECTIONS, document
from tests.contract.outcome import BrokenContractError, attempt, ensure, refusal

pytestmark = [
    # PML indexes with a list, which torch will read differently one day
    pytest.mark.filterwarnings("ignore:Using a non-tuple sequence for multidimensional indexing"),
    # what it does in several processes is a test of its own
    pytest.mark.filterwarnings("ignore:DistributedLossWrapper is being used in a non-distributed"),
]

ADVICE = "python -m tests.contract.document writes docs/contract.md anew; look at the difference"
LACKING = [
    name for name in ("record_keeper", "tensorboard") if importlib.util.find_spec(name) is None
]


def _rows():
    return [
        pytest.param(
            section,
            row,
            id=f"{section.title}-{row if isinstance(row, str) else row.__name__}",
        )
        for section in SECTIONS
        for row in section.rows
    ]


@pytest.fixture(scope="module")
def committed() -> str:
    return PATH.read_text(encoding="utf-8")


@pytest.mark.parametrize(("section", "row"), _rows())
def test_a_class_does_at_each_door_what_the_document_says(section, row, committed):
    if row == "HookContainer" and LACKING:
        pytest.skip(f"HookContainer needs {' and '.join(LACKING)}, which is not installed")
    start = committed.index(f"## {section.title}\n")
    end = committed.find("\n## ", start)
    assert section.line(row) in committed[start:end].splitlines(), ADVICE


def test_the_document_holds_nothing_else(committed):
    if LACKING:
        pytest.skip(f"HookContainer needs {' and '.join(LACKING)}, which is not installed")
    assert document() == committed, ADVICE


def test_a_broken_contract_does_not_count_as_a_refusal():
    def broken():
        ensure(False, "the gradient is wrong")

    with pytest.raises(BrokenContractError, match="the gradient is wrong"):
        attempt(int, broken)


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (ValueError("k must be positive, got int"), "refused: k must be positive"),
        (AssertionError("int requires a float; see there"), "refused: requires a float"),
        (AssertionError(), "refused: without a message"),
        (IndexError("index 387 is out of bounds"), "fails: IndexError"),
    ],
)
def test_refusals_are_shortened(error, said):
    assert refusal(error, int) == said
