"""A loss with traits of its own is one entry of the table."""

import pytest
import torch
from pytorch_metric_learning import losses

from pml_ahsml import AdaptiveMargins, AdaptiveNoiseAwareLoss
from pml_ahsml.losses import loss_traits
from pml_ahsml.losses.loss_traits import TRAITS, traits_of


class Own(losses.ContrastiveLoss):
    pass


def test_a_loss_inherits_the_traits_of_its_bases_unless_it_says_otherwise():
    assert traits_of(Own()) == traits_of(losses.ContrastiveLoss())
    assert traits_of(losses.NCALoss()).is_nan_without_positives
    proxies = traits_of(losses.ProxyNCALoss(2, 4))
    assert not proxies.is_nan_without_positives
    assert not proxies.takes_margins
    assert traits_of(torch.nn.Linear(1, 1)) == loss_traits.LossTraits()


def test_an_entry_is_all_that_a_new_loss_needs(monkeypatch):
    assert AdaptiveNoiseAwareLoss(Own(), 2, 4).margins is not None
    monkeypatch.setitem(TRAITS, Own, {"gains_by_margins": False, "takes_margins": False})
    assert AdaptiveNoiseAwareLoss(Own(), 2, 4).margins is None
    with pytest.raises(ValueError, match="margins must be None or 'auto'.*got them for Own"):
        AdaptiveNoiseAwareLoss(Own(), 2, 4, margins=AdaptiveMargins())
    monkeypatch.setitem(TRAITS, Own, {"refusal": "be another, got {}"})
    with pytest.raises(ValueError, match="loss must be another, got Own"):
        AdaptiveNoiseAwareLoss(Own(), 2, 4)


def test_every_entry_is_of_a_loss_and_names_traits():
    for cls, traits in TRAITS.items():
        assert issubclass(cls, torch.nn.Module)
        loss_traits.LossTraits(**traits)
    assert loss_traits.names_with("gains_by_margins") == (
        "ContrastiveLoss, SupConLoss, TripletMarginLoss"
    )
