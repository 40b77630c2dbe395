import inspect

import pytest
from pytorch_metric_learning import losses

from pml_ahsml import AdaptiveNoiseAwareLoss
from pml_ahsml.losses.renamed_keywords import renamed_keywords
from tests.noisy_batches import D, K


def wrapped(**options):
    return AdaptiveNoiseAwareLoss(losses.ContrastiveLoss(), K, D, **options)


def test_the_old_name_of_the_neighbour_memory_works_with_a_warning():
    with pytest.warns(DeprecationWarning, match="give neighbour_memory_size$") as caught:
        old = wrapped(neighbour_memory=300)
    assert [str(w.filename) for w in caught] == [__file__]
    assert len(old.noise_model.neighbours.labels) == 300
    with pytest.warns(DeprecationWarning, match="^neighbour_memory is deprecated"):
        assert wrapped(neighbour_memory=0).noise_model.neighbours is None
    assert len(wrapped(neighbour_memory_size=300).noise_model.neighbours.labels) == 300


# also where the new one is what it is by default
@pytest.mark.parametrize("size", [300, 1024])
def test_both_names_at_once_are_refused(size):
    message = "neighbour_memory must be left out where neighbour_memory_size is given, got both"
    with pytest.raises(ValueError, match=message):
        wrapped(neighbour_memory=300, neighbour_memory_size=size)


def test_the_signature_is_that_of_the_function():
    names = list(inspect.signature(AdaptiveNoiseAwareLoss).parameters)
    assert "neighbour_memory_size" in names
    assert "neighbour_memory" not in names

    @renamed_keywords(old="new")
    def function(new, other=2):
        """What it does."""
        return new, other

    assert function(1, other=3) == (1, 3)
    assert function.__doc__ == "What it does."
    with pytest.raises(TypeError, match="unexpected keyword"):
        function(older=1)
