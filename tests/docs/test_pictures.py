"""The pictures of the guides show what is said beside them."""

import runpy

import pytest

from tests.docs.pages import ROOT


@pytest.fixture(scope="module")
def script():
    return runpy.run_path(str(ROOT / "docs" / "pictures.py"))


@pytest.fixture(scope="module")
def trained(script):
    return {name: script["train"](labels) for name, labels in script["states"]().items()}


def test_a_healthy_training_finds_the_rate_and_stays_there(trained):
    history, trust, _ = trained["healthy"]
    assert history["stat_noise_rate"][-1] == pytest.approx(0.2, abs=0.03)
    late = history["stat_noise_rate"][100:]
    assert max(late) - min(late) < 0.05
    assert sum(history["stat_share_trusted"][-50:]) / 50 == pytest.approx(0.8, abs=0.05)
    assert ((trust > 0.1) & (trust < 0.9)).float().mean() < 0.1


def test_without_noise_the_rate_falls_and_nothing_is_relabelled(trained):
    history, trust, _ = trained["no_noise"]
    assert history["stat_noise_rate"][-1] < 0.02
    assert max(history["stat_share_relabelled"]) == 0
    assert (trust > 0.5).float().mean() > 0.99


def test_shuffled_labels_make_the_rate_climb_and_trust_fall(trained):
    history, trust, _ = trained["collapsed"]
    rates = history["stat_noise_rate"]
    assert rates[-1] > rates[150] > rates[30]
    assert (trust > 0.5).float().mean() < 0.2


def test_writes_the_suspects(script, tmp_path):
    script["draw_suspects"](tmp_path / "suspects.png")
    assert (tmp_path / "suspects.png").read_bytes().startswith(b"\x89PNG")
