from types import SimpleNamespace

from benchmarks.gpu.checks import GROUPS, TESTS, Outcomes


def report(when, outcome, longrepr=None):
    return SimpleNamespace(when=when, outcome=outcome, longrepr=longrepr, nodeid="a.py::T::test_b")


def test_a_test_counts_once_by_its_call():
    outcomes = Outcomes()
    for when in ("setup", "call", "teardown"):
        outcomes.pytest_runtest_logreport(report(when, "passed"))
    assert outcomes.counts == {"passed": 1, "failed": 0, "skipped": 0}
    assert not outcomes.reasons


def test_what_did_not_pass_has_its_reason():
    outcomes = Outcomes()
    crash = SimpleNamespace(reprcrash=SimpleNamespace(message="AssertionError: not close\nat 3"))
    outcomes.pytest_runtest_logreport(report("call", "failed", crash))
    outcomes.pytest_runtest_logreport(report("setup", "failed", "no fixture\nhere"))
    outcomes.pytest_runtest_logreport(report("setup", "skipped", ("a.py", 3, "Skipped: no GPU")))
    assert outcomes.counts == {"passed": 0, "failed": 2, "skipped": 1}
    assert outcomes.reasons == [
        "test_b: AssertionError: not close", "test_b: no fixture", "test_b: Skipped: no GPU"
    ]  # fmt: skip


def test_every_group_is_a_class_of_the_tests():
    classes = [line for line in TESTS.read_text().splitlines() if line.startswith("class Test")]
    assert classes == [f"class {name}:" for name in GROUPS]
