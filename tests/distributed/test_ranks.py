"""Two and four gloo processes against one process on the same global batch."""

import math
import multiprocessing
import time

import pytest
import torch

from tests.distributed.faults import FAULTS
from tests.distributed.grown import WARMUP, grown, tables_of
from tests.distributed.scenarios import ROUND, SCENARIOS, SIZE, by_one_process, run_rank

# Ranks that wait for each other would wait for ever.
DEADLINE = 180.0


@pytest.fixture(scope="module", params=[2, 4], ids=["two ranks", "four ranks"])
def ranks(request, tmp_path_factory):
    """What each rank has come to, in all scenarios and after all faults."""
    folder = tmp_path_factory.mktemp("ranks")
    torch.save(grown(), folder / "grown.pt")
    # one process imports, the ranks are forked from it
    multiprocessing.set_forkserver_preload(["tests.distributed.scenarios"])
    context = torch.multiprocessing.start_processes(
        run_rank,
        (request.param, str(folder)),
        nprocs=request.param,
        join=False,
        start_method="forkserver",
    )
    start = time.monotonic()
    while not context.join(timeout=5.0):
        if time.monotonic() - start > DEADLINE:
            for process in context.processes:
                process.kill()
            pytest.fail(f"the ranks were not done after {DEADLINE} seconds")
    return [torch.load(folder / f"{rank}.pt", weights_only=True) for rank in range(request.param)]


@pytest.mark.parametrize("scenario", SCENARIOS, ids=str)
def test_ranks_learn_what_one_process_learns(scenario, ranks):
    torch.set_num_threads(1)
    results = [rank[str(scenario)] for rank in ranks]
    expected = by_one_process(scenario, len(ranks), grown())
    assert len(expected["gradients"]) == scenario.num_steps
    for step, gradient in enumerate(expected["gradients"]):
        assert gradient.abs().max() > 0
        for rank, result in enumerate(results):
            torch.testing.assert_close(result["gradients"][step], gradient, rtol=1e-6, atol=1e-6)
            assert torch.equal(result["judged"][step], expected["judged"][step][rank])
    states = [tables_of(result["state"]) for result in results]
    for name, table in tables_of(expected["state"]).items():
        for state in states:
            torch.testing.assert_close(state[name], table, rtol=1e-6, atol=1e-6)
            if scenario.way != "gathered":
                assert torch.equal(state[name], states[0][name])
    # the scenarios are what they are called
    trusted = [[rows[:, 0] > 0 for rows in step] for step in expected["judged"]]
    late = [rows for step in trusted[WARMUP + 1 :] for rows in step]
    if scenario.data == "distrusted":
        assert any(not rows.any() for rows in late[:: len(ranks)])
    if scenario.data == "even":
        assert any(not rows.all() for rows in late)
    if scenario.has_ids:
        logs = expected["state"]["noise_model.second_opinion.earlier.logs"]
        # a class is possible for each sample that was visited
        assert int((logs.amax(1) > -10).sum()) == len(ranks) * ROUND * SIZE
    for result in results if scenario.is_grown else []:
        at_work = result["at_work"]
        assert at_work["votes"] > 0
        assert at_work["strength"] < math.inf
        assert at_work["floor"] > 0.5
        if scenario.way != "efficient":  # where PML has formed the pairs
            assert at_work["relabelled"] > 0
            assert at_work["stand_ins"] > 0


@pytest.mark.parametrize("name", FAULTS)
def test_an_error_on_one_rank_is_an_error_on_all_and_changes_nothing(name, ranks):
    fault, last = FAULTS[name], len(ranks) - 1
    faulty = [0, last] if fault.on_first_too else [last]
    for rank, results in enumerate(ranks):
        result = results["faults"][name]
        kind, message = result["error"]
        if rank in faulty or fault.is_of_all:
            assert kind == fault.kind
            assert fault.message in message
        else:
            assert kind == "RuntimeError"
            assert f"rank {', '.join(map(str, faulty))} raised an error" in message
        assert result["is_unchanged"]
        assert result["learns_on"]
