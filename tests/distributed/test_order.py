"""What is learnt must not depend on the order of the rows: each rank may have its own."""

import pytest
import torch
from pytorch_metric_learning import losses

from pml_ahsml import PoincareDistance
from tests.distributed import grown
from tests.distributed.grown import AtWork, tables_of

_SIZE, _STEPS = 60, 6


def _replayed(loss):
    """The rows of the replay memory, sorted."""
    labels = loss.replay_memory.labels_by_age
    vectors, labels = loss.replay_memory.of_age((labels >= 0).nonzero().squeeze(1))
    rows = torch.cat([vectors, labels[:, None].to(vectors)], 1)
    return rows[rows[:, 0].argsort()]


@pytest.mark.parametrize("has_dead_unit", [False, True], ids=["", "dead unit"])
@pytest.mark.parametrize("distance", [None, PoincareDistance()], ids=["cosine", "poincare"])
def test_the_order_of_rows_does_not_show(distance, has_dead_unit):
    torch.set_num_threads(1)
    start = grown.grown()
    network = grown.network()
    network.load_state_dict(start["network"])
    wrapped = losses.ContrastiveLoss(**({} if distance is None else {"distance": distance}))
    pair = []
    for _ in range(2):
        # with a memory that forgets no row: which of a batch go first is up to its order
        loss = grown.wrapper(wrapped, replay_memory=_SIZE * _STEPS)
        loss.noise_model.load_state_dict(start["noise_model"])
        loss.class_statistics.load_state_dict(start["class_statistics"], strict=False)
        pair.append(loss)
    at_work = AtWork(pair[0])
    for step in range(_STEPS):
        inputs, labels = grown.batch(step, _SIZE)
        embeddings = network(inputs).detach()
        if has_dead_unit:
            embeddings[:, -1] = 0
        order = torch.randperm(_SIZE, generator=torch.Generator().manual_seed(step))
        trusts = [
            pair[0].trust(embeddings, labels),
            pair[1].trust(embeddings[order], labels[order]),
        ]
        assert torch.equal(trusts[0][order] > 0.5, trusts[1] > 0.5)
        pair[0](embeddings, labels)
        at_work.look()
        pair[1](embeddings[order], labels[order])
        assert pair[0].stat_share_relabelled == pair[1].stat_share_relabelled
    assert at_work.report()["votes"] > 0
    for part in ("noise_model", "class_statistics"):
        one, other = (tables_of(getattr(loss, part).state_dict()) for loss in pair)
        for name, table in one.items():
            torch.testing.assert_close(other[name], table, rtol=1e-6, atol=1e-6, msg=name)
    torch.testing.assert_close(*map(_replayed, pair), rtol=1e-6, atol=1e-6)
