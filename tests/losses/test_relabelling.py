import pytest
import torch

from pml_ahsml.classes.class_distances import ClassDistances
from pml_ahsml.labels import confusion_prior as cp
from pml_ahsml.labels.label_posterior import LabelPosterior
from pml_ahsml.losses.relabelling import Relabelling
from tests.neighbourhoods import all_neighbours

DIVERGENCE = 2 * (1 - torch.eye(3))  # the spacing of the classes is 2


def decide(options, posterior, distances, label, noise_rate=0.4):
    evidence = ClassDistances(
        torch.zeros(1, 1),
        torch.tensor([distances]),
        DIVERGENCE[[label]],
        all_neighbours(DIVERGENCE),
        torch.ones(3, dtype=torch.bool),
    )
    posterior, trust = torch.tensor([posterior]), torch.tensor([posterior[label]])
    labels, unused = torch.tensor([label]), torch.full_like(posterior, torch.nan)
    normaliser = cp.Normaliser(torch.ones(3), torch.ones(3))
    belief = LabelPosterior(evidence, labels, unused, unused, posterior, trust, normaliser)
    takes_part, believed = options.decide(belief, trust > 0.8, noise_rate)
    return takes_part.item(), believed.item()


@pytest.mark.parametrize(
    ("posterior", "distances", "label", "takes_part", "believed"),
    [
        ([0.02, 0.95, 0.03], [3.0, 1.0, 3.0], 0, True, 1),
        ([0.15, 0.85, 0.00], [3.0, 1.0, 3.0], 0, False, 0),  # not certain
        ([0.02, 0.95, 0.03], [1.9, 1.0, 3.0], 0, False, 0),  # the given class is almost as near
        ([0.02, 0.95, 0.03], [3.0, 1.0, 3.0], 1, True, 1),  # trusted as given
        ([0.75, 0.25, 0.00], [1.0, 2.0, 3.0], 0, False, 0),  # trust between ½ and the threshold
    ],
)
def test_takes_part_as_given_or_as_believed(posterior, distances, label, takes_part, believed):
    options = Relabelling(0.9, 0.5)
    assert decide(options, posterior, distances, label) == (takes_part, believed)


def test_a_confidence_of_one_relabels_nothing():
    assert decide(Relabelling(1, 0), [0.0, 1.0, 0.0], [9.0, 0.0, 9.0], 0) == (False, 0)


@pytest.mark.parametrize("noise_rate", [0.0, 0.05, float("nan")])
def test_where_hardly_a_label_is_wrong_doubtful_samples_are_left_out_only(noise_rate):
    options, sure, places = Relabelling(0.9, 0.5), [0.02, 0.95, 0.03], [3.0, 1.0, 3.0]
    assert decide(options, sure, places, 0, noise_rate) == (False, 0)
    assert decide(options, sure, places, 1, noise_rate) == (True, 1)
    assert decide(options, sure, places, 0, 0.06) == (True, 1)
    always = Relabelling(0.9, 0.5, min_noise_rate=0.0)
    assert decide(always, sure, places, 0, 0.01) == (True, 1)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"confidence": 0.3}, r"confidence must be in \[0.5, 1.0\], got 0.3"),
        ({"gap": -1.0}, r"gap must be in \[0.0, inf\], got -1.0"),
        ({"trust_threshold": 0.4}, r"trust_threshold must be in \[0.5, 0.9999\], got 0.4"),
        ({"memory_size": -1}, "memory_size must be at least 0, got -1"),
        ({"min_noise_rate": 1.5}, r"min_noise_rate must be in \[0.0, 1.0\], got 1.5"),
    ],
)
def test_bad_options_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        Relabelling(**options)
