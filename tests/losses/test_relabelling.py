import pytest
import torch

from pml_ahsml.losses.relabelling import Relabelling

DIVERGENCE = 2 * (1 - torch.eye(3))  # the spacing of the classes is 2


@pytest.mark.parametrize(
    ("posterior", "distances", "label", "relabelled"),
    [
        ([0.02, 0.95, 0.03], [3.0, 1.0, 3.0], 0, True),
        ([0.15, 0.85, 0.00], [3.0, 1.0, 3.0], 0, False),  # not certain
        ([0.02, 0.95, 0.03], [1.9, 1.0, 3.0], 0, False),  # nearer by less than half the spacing
        ([0.02, 0.95, 0.03], [3.0, 1.0, 3.0], 1, False),  # the given label
    ],
)
def test_needs_certainty_and_distance(posterior, distances, label, relabelled):
    decision, guesses = Relabelling(0.9, 0.5).decide(
        torch.tensor([posterior]), torch.tensor([distances]), DIVERGENCE, torch.tensor([label])
    )
    assert decision.tolist() == [relabelled]
    assert guesses.tolist() == [1]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"confidence": 0.3}, r"confidence must be in \[0.5, 1.0\], got 0.3"),
        ({"warmup": -1}, "warmup must be at least 0, got -1"),
        ({"gap": -1.0}, r"gap must be in \[0.0, inf\], got -1.0"),
    ],
)
def test_bad_options_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        Relabelling(**options)
