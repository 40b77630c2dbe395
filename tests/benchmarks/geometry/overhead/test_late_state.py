import pytest
import torch

from benchmarks.geometry.overhead.late_state import (
    class_centres,
    embeddings_of,
    late_wrapper,
    state_bytes,
)

CPU = torch.device("cpu")


@pytest.mark.parametrize("num_classes", [60, 1200])
def test_a_late_wrapper_has_seen_all_classes_and_doubts_labels(num_classes):
    wrapper = late_wrapper(num_classes, 8, CPU)
    centres = class_centres(num_classes, 8, CPU)
    statistics, model = wrapper.class_statistics, wrapper.noise_model
    assert statistics.seen.all()
    nearest = statistics.distances(centres).argmin(1)
    # directions alone count, which some classes of many nearly share
    assert (nearest == torch.arange(num_classes)).float().mean() > 0.9
    assert model.is_warm
    assert model.has_settled
    trust = wrapper.trust(*embeddings_of(centres, 0))
    assert trust.min() < 0.1
    assert 0.3 < (trust > 0.5).float().mean() < 0.7
    # a row of means is D + 1 float32 numbers
    assert state_bytes(wrapper) > num_classes * 9 * 4


def test_it_takes_a_step():
    wrapper = late_wrapper(60, 8, CPU)
    embeddings, labels = embeddings_of(class_centres(60, 8, CPU), 0)
    before = wrapper.noise_model.batches
    wrapper(embeddings, labels).backward()
    assert embeddings.grad.any()
    assert wrapper.noise_model.batches == before + 1
