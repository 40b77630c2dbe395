import pytest
import torch

from benchmarks.noise.data import load


@pytest.mark.parametrize(("name", "classes"), [("digits", 10), ("synthetic", 5000)])
def test_data_sets_that_need_no_folder(name, classes):
    data = load(name, None)
    inputs, labels = data.train
    assert data.num_classes == classes
    views = data.augment(inputs[:8])
    assert views.shape == inputs[:8].shape
    assert not torch.equal(views, inputs[:8])
    assert data.make_net()(views).shape == (8, 128)
    assert len(labels) == len(inputs)
