"""Two and four gloo processes against one process on the same global batch."""

import multiprocessing
import time

import pytest
import torch

from tests.distributed.scenarios import SCENARIOS, STEPS, WARMUP, by_one_process, run_rank

# Ranks that wait for each other would wait for ever.
DEADLINE = 90.0


@pytest.fixture(scope="module", params=[2, 4], ids=["two ranks", "four ranks"])
def ranks(request, tmp_path_factory):
    """What each rank has come to, in all scenarios."""
    folder = tmp_path_factory.mktemp("ranks")
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
def test_ranks_come_to_what_one_process_comes_to(scenario, ranks):
    torch.set_num_threads(1)
    results = [rank[str(scenario)] for rank in ranks]
    expected = by_one_process(scenario, len(ranks))
    for step, gradient in enumerate(expected["gradients"]):
        assert gradient.abs().max() > 0
        for result in results:
            torch.testing.assert_close(result["gradients"][step], gradient, rtol=1e-6, atol=1e-6)
    for name, value in expected["state"].items():
        tables = value.items() if isinstance(value, dict) else [("", value)]
        for table, content in tables:
            for result in results:
                found = result["state"][name][table] if table else result["state"][name]
                torch.testing.assert_close(found, content, rtol=1e-6, atol=1e-6)
                if scenario.way != "gathered":
                    own = results[0]["state"][name]
                    assert torch.equal(found, own[table] if table else own)
    # the scenarios are what they are called
    late = [rows for rows in expected["trusted"][WARMUP + 1 :] for rows in rows]
    if scenario.data == "distrusted":
        assert any(not rows.any() for rows in late[:: len(ranks)])
    if scenario.data == "even":
        assert any(not rows.all() for rows in late)
    assert len(expected["gradients"]) == STEPS
