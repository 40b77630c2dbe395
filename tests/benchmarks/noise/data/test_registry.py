import pytest

from benchmarks.noise.data import load


def test_a_name_that_is_not_known_is_refused():
    with pytest.raises(ValueError, match="name must be one of .*'banking'.*, got 'cars'"):
        load("cars", None)
    with pytest.raises(ValueError, match="name must be one of"):
        load("synthetic_long_tailed", None)


def test_data_sets_of_the_folder(data_dir):
    sizes = {"clinc": (18000, 4500, 150), "hwu": (9960, 1076, 64), "omniglot": (3580, 1260, 179)}
    for name, (train, test, classes) in sizes.items():
        data = load(name, data_dir)
        assert (len(data.train[1]), len(data.test[1]), data.num_classes) == (train, test, classes)
        views = data.augment(data.train[0][:8])
        assert data.make_net()(views).shape == (8, 128)
