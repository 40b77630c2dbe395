import numpy as np
import pytest
import torch

from benchmarks.prepare_data.encoders import components, network_input


def test_images_are_enlarged_and_scaled():
    black, white = torch.zeros(1, 32, 32, 3), torch.full((1, 32, 32, 3), 255)
    made = network_input(torch.cat([black, white]).to(torch.uint8))
    assert made.shape == (2, 3, 128, 128)
    assert made[0].unique().tolist() == pytest.approx([-0.498 / 0.502])
    assert made[1].mean().item() == pytest.approx(1, abs=1e-6)


def test_colours_do_not_overshoot_at_an_edge():
    half = torch.zeros(1, 32, 32, 3, dtype=torch.uint8)
    half[:, 16:] = 255
    made = network_input(half)
    assert made.min().item() == pytest.approx(-0.498 / 0.502)
    assert made.max().item() == pytest.approx(1)


def test_channels_stay_apart():
    red = torch.zeros(1, 32, 32, 3, dtype=torch.uint8)
    red[..., 0] = 255
    assert (network_input(red).mean((2, 3))[0] > 0).tolist() == [True, False, False]


def test_components_are_those_of_the_fitted_rows():
    random = np.random.default_rng(0)
    features = random.normal(size=(60, 5)) * [9, 4, 1, 0.1, 0.1] + 3
    fitted = np.arange(60) < 40
    made = components(features, fitted, size=3)
    assert made[fitted].mean(0) == pytest.approx(0, abs=1e-9)
    assert (made[fitted] ** 2).mean() == pytest.approx(1)
    covariance = made[fitted].T @ made[fitted]
    assert covariance == pytest.approx(np.diag(np.diag(covariance)), abs=1e-9)
    assert (np.diff(np.diag(covariance)) < 0).all()
    # the length of a row does not count
    scaled = components(features * random.uniform(1, 9, (60, 1)), fitted, size=3)
    assert np.abs(scaled) == pytest.approx(np.abs(made))
