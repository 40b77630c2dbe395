import torch

from benchmarks.device_work import DeviceWork


def test_reads_and_masks_are_waits_and_views_are_nothing():
    x = torch.arange(6.0)
    with DeviceWork() as work:
        x.view(2, 3).t()
        assert work.num_operations == 0
        y = x + 1
        assert (work.num_operations, work.num_waits) == (1, 0)
        float(y.sum())
        y[y > 2]
        y.tolist()
    assert work.waits == {"_local_scalar_dense": 1, "index": 1, "tolist": 1}
    y.tolist()
    assert work.num_waits == 3
