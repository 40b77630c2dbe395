import pytest
import torch

from pml_ahsml import inject_label_noise


@pytest.mark.parametrize("rate", [0.0, 0.123, 0.5, 1.0])
def test_makes_the_wanted_share_wrong_and_says_which(rate):
    labels = torch.randint(7, (1000,))
    clean = labels.clone()
    noisy, is_noisy = inject_label_noise(labels, rate)
    assert torch.equal(labels, clean)
    assert int(is_noisy.sum()) == round(1000 * rate)
    assert torch.equal(noisy != clean, is_noisy)
    assert int(noisy.max()) < 7
    assert noisy.dtype == labels.dtype


def test_symmetric_noise_reaches_every_other_class_equally():
    labels = torch.full((60_000,), 2)
    noisy, _ = inject_label_noise(labels, 1.0, num_classes=7)
    share = torch.bincount(noisy, minlength=7) / 60_000
    assert share[2] == 0
    others = share[torch.arange(7) != 2]
    # five standard deviations of a share of 1/6 in 60,000 draws
    torch.testing.assert_close(others, torch.full((6,), 1 / 6), rtol=0, atol=0.008)


def test_is_repeatable_by_its_generator():
    labels = torch.arange(100) % 5

    def draw(seed):
        return inject_label_noise(labels, 0.4, generator=torch.Generator().manual_seed(seed))[0]

    assert torch.equal(draw(3), draw(3))
    assert not torch.equal(draw(3), draw(4))


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ((torch.arange(4), 1.5), ValueError, r"rate must be in \[0.0, 1.0\], got 1.5"),
        ((torch.arange(4), 0.5, "near"), ValueError, "kind must be 'symmetric', got 'near'"),
        ((torch.zeros(4).long(), 0.5), ValueError, "num_classes must be at least 2, got 1"),
        ((torch.zeros(4), 0.5), ValueError, "num_classes must be at least 2"),
        ((torch.arange(4.0), 0.5), TypeError, "integer dtype"),
        (([0, 1], 0.5), TypeError, "labels must be a tensor, got list"),
    ],
)
def test_bad_arguments_are_refused(arguments, error, message):
    with pytest.raises(error, match=message):
        inject_label_noise(*arguments)
