"""A new witness is one class: the model learns its parameter and saves its tables."""

import pytest
import torch

from pml_ahsml import LabelNoiseModel
from pml_ahsml.labels.witnesses import (
    CentroidDistances,
    NeighbourMemory,
    Parameter,
    Witness,
    default_witnesses,
)
from pml_ahsml.labels.witnesses.witness import mean_product
from pml_ahsml.state.saved_state import Rule
from tests.labels.test_label_noise_model import K, evidence_of, world


class Oracle(Witness):
    """Knows the class of a sample by its first distance, and how many it was asked about."""

    parameter = Parameter("faith", start=1.0, lowest=0.1, highest=20.0)

    def __init__(self) -> None:
        super().__init__()
        self.register_table("asked", torch.zeros(()), Rule(lowest=0))

    def ask(self, evidence, labels):
        return (torch.nn.functional.one_hot(evidence.distances.argmin(1), K).float(),)

    def add_to(self, log_odds, evidence, answer, value):
        return log_odds + value * answer[0]

    def slope(self, surprise, evidence, answer, value):
        return value * mean_product(surprise, answer[0])

    def remember(self, points, labels, answer):
        self.asked += len(labels)
        self.count_change()


def test_a_new_witness_is_heard_learns_and_is_saved():
    divergence, samples, _ = world(spread=0.1)
    model = LabelNoiseModel(K, witnesses={"oracle": Oracle()})
    assert model.neighbours is None
    assert model.confusion_counts is None
    for _ in range(100):
        truth, distances = samples(64)
        model.update(evidence_of(distances, divergence, truth), truth)
    assert model.parameter("faith") > 5  # it is right, so it is believed
    _, distances = samples(64)
    nearest = distances.argmin(1)  # what the witness says
    evidence = evidence_of(distances, divergence, nearest)
    assert (model.posterior(evidence, nearest).max(1).values > 0.99).all()
    start = LabelNoiseModel(K, witnesses={"oracle": Oracle()}).posterior(evidence, nearest)
    assert (start.max(1).values < 0.99).all()
    resumed = LabelNoiseModel(K, witnesses={"oracle": Oracle()})
    resumed.load_state_dict(model.state_dict())
    assert resumed.oracle.asked == 6400
    assert resumed.parameter("faith") == model.parameter("faith")


def test_witnesses_are_heard_together():
    divergence, samples, _ = world()
    truth, distances = samples(8)
    evidence = evidence_of(distances, divergence, truth)
    both = LabelNoiseModel(K, witnesses={"oracle": Oracle(), "distances": CentroidDistances()})
    found = both.believe(evidence, truth).likelihood
    nearest = torch.nn.functional.one_hot(distances.argmin(1), K)
    torch.testing.assert_close(found, (nearest - distances / 0.1).softmax(1))


def test_parameters_of_the_default_witnesses_start_within_their_ranges():
    witnesses = default_witnesses(4, NeighbourMemory(4, 2))
    found = {w.parameter.name: w.parameter[1:] for w in witnesses.values() if w.parameter}
    assert found == {"vote_weight": (0.2, 0.003, 3.0), "temperature": (0.1, 0.01, 2.0)}
    assert all(0 < lowest < start < highest for start, lowest, highest in found.values())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"neighbours": NeighbourMemory(K, 2)}, "neighbours must be among the witnesses"),
        (
            {"witnesses": {"one": CentroidDistances(), "other": CentroidDistances()}},
            "parameters of different names, got noise_rate, spread, temperature, temperature",
        ),
    ],
)
def test_witnesses_that_do_not_go_together_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        LabelNoiseModel(K, **{"witnesses": {}, **options})
