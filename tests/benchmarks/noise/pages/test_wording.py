import pytest

from benchmarks.noise.pages.wording import data_name, figure, loss_name, noise_name


@pytest.mark.parametrize(
    ("value", "digits", "text"),
    [
        (0.7453, 3, ".745"),
        (1.0, 3, "1.000"),
        (-0.02, 2, "−.02"),
        (-1.224, 2, "−1.22"),
        (-0.001, 2, ".00"),
        (float("nan"), 3, ""),
    ],
)
def test_figures_are_short(value, digits, text):
    assert figure(value, digits) == text


def test_names_are_words():
    assert noise_name("given:worst") == "people, worst of three"
    assert noise_name("near:0.4") == "near 40 %"
    assert noise_name("none:0") == "none"
    assert data_name("cifar10n") == "CIFAR-10N"
    assert data_name("letter") == "letter"
    assert loss_name("Triplet") == "TripletMargin"
