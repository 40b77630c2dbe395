import pytest
import torch
from pytorch_metric_learning import losses

from pml_ahsml import AdaptiveNoiseAwareLoss, Relabelling
from tests.noisy_batches import B, D, K, batch, value_and_gradient, warmed

ON = {"replay_memory": 1024, "trust_threshold": 0.8}


def switches_of(**options):
    wrapper = AdaptiveNoiseAwareLoss(losses.ContrastiveLoss(), K, D, **options)
    memory = wrapper.replay_memory
    return (
        wrapper.doubtful_samples.relabel is not None,
        0 if memory is None else len(memory.labels),
        wrapper.doubtful_samples.trust_threshold,
    )


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, (True, 1024, 0.8)),
        ({"relabel": Relabelling(0.9)}, (True, 1024, 0.8)),
        # one given, and the others as they are with or without relabelling
        ({"relabel": None}, (False, 0, None)),
        ({"replay_memory": 0}, (True, 0, 0.8)),
        ({"replay_memory": None}, (True, 0, 0.8)),
        ({"trust_threshold": None}, (True, 1024, None)),
        ({"trust_threshold": 0.5}, (True, 1024, 0.5)),
        ({"relabel": None, "replay_memory": 99}, (False, 99, None)),
        ({"relabel": None, "trust_threshold": 0.9}, (False, 0, 0.9)),
        ({"relabel": None, **ON}, (False, 1024, 0.8)),
        ({"relabel": None, "replay_memory": "auto", "trust_threshold": "auto"}, (False, 0, None)),
    ],
)
def test_three_switches(options, expected):
    assert switches_of(**options) == expected


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"replay_memory": -1}, ValueError, "replay_memory must be at least 0, got -1"),
        ({"replay_memory": "all"}, TypeError, "replay_memory must be an integer, got str"),
        ({"trust_threshold": 0.4}, ValueError, r"trust_threshold must be in \[0.5, 0.9999\], got"),
        ({"trust_threshold": "high"}, TypeError, "trust_threshold must be a number, got str"),
        ({"relabel": True}, TypeError, "relabel must be a Relabelling, got bool"),
    ],
)
def test_bad_switches_are_refused(options, error, message):
    with pytest.raises(error, match=message):
        switches_of(**options)


@pytest.mark.parametrize("replay_memory", ["auto", B])
def test_without_relabelling_it_is_the_wrapped_loss_to_the_last_bit_where_all_is_trusted(
    replay_memory,
):
    loss = losses.MultiSimilarityLoss()
    wrapper = warmed(loss, replay_memory=replay_memory)
    assert wrapper.noise_model.has_settled
    for seed in (100, 101):
        embeddings, labels, _ = batch(seed, rate=0.0)
        assert (wrapper.trust(embeddings, labels) > 0.5).all()
        value, gradient = value_and_gradient(loss, embeddings, labels)
        wrapped_value, wrapped_gradient = value_and_gradient(wrapper, embeddings, labels)
        assert torch.equal(value, wrapped_value)
        assert torch.equal(gradient, wrapped_gradient)


def test_past_samples_stand_in_without_relabelling():
    loss = losses.MultiSimilarityLoss()
    wrapper = warmed(loss, replay_memory=2 * B, collect_stats=True)
    (first, y, is_wrong), (embeddings, labels, is_noisy) = batch(100), batch(101)
    kept = loss(first[~is_wrong], y[~is_wrong])
    assert torch.equal(wrapper(first, y), kept), "nothing is remembered yet"
    assert not torch.equal(
        wrapper(embeddings, labels), loss(embeddings[~is_noisy], labels[~is_noisy])
    )
    assert wrapper.stat_share_relabelled == 0


def test_without_a_threshold_relabelling_leaves_trusted_labels_as_they_are():
    loss = losses.MultiSimilarityLoss()
    wrapper = warmed(
        loss,
        relabel=Relabelling(),
        replay_memory=0,
        trust_threshold=None,
        collect_stats=True,
    )
    embeddings, labels, is_noisy = batch(100)
    _, gradient = value_and_gradient(wrapper, embeddings, labels)
    assert (gradient[~is_noisy].abs().sum(1) > 0).all()
    assert wrapper.stat_share_relabelled > 0.1


def blurred(seed):
    """A batch in which no label is certain."""
    embeddings, labels, is_noisy = batch(seed)
    noise = torch.randn(embeddings.shape, generator=torch.Generator().manual_seed(seed))
    return embeddings + 2 * noise, labels, is_noisy


def trained(**options):
    """A wrapper after 100 batches, and the mean share of labels used in the last 20."""
    wrapper = AdaptiveNoiseAwareLoss(
        losses.ContrastiveLoss(), K, D, relabel=None, margins=None, collect_stats=True, **options
    )
    shares = []
    for seed in range(100):
        embeddings, labels, _ = blurred(seed)
        wrapper(embeddings.requires_grad_(), labels)
        shares.append(wrapper.stat_share_trusted)
    return wrapper, sum(shares[80:]) / 20


@pytest.mark.parametrize("options", [{}, {"trust_threshold": 0.8}])
def test_a_known_share_of_the_labels_is_left_out(options):
    untold, found = trained(**options)
    assert found > 0.6
    told, share = trained(noise_rate=0.5, **options)
    assert share == pytest.approx(0.5, abs=0.05)
    assert told.noise_rate >= 0.5
    # the least trusted
    embeddings, labels, _ = blurred(200)
    trust = told.trust(embeddings, labels)
    _, gradient = value_and_gradient(told, embeddings, labels)
    used = gradient.abs().sum(1) > 0
    assert trust[used].min() > trust[~used].max()
    assert untold.noise_rate < 0.4


def test_a_known_share_below_what_is_found_changes_nothing():
    assert trained(noise_rate=0.1)[1] == pytest.approx(trained()[1], abs=0.01)


def test_past_samples_below_the_known_share_do_not_stand_in():
    wrapper, _ = trained(noise_rate=0.5, replay_memory=2 * B)
    least = wrapper.noise_model.trust_needed
    assert 0.5 < least < 1
    trust = torch.tensor([least / 2, 0.9 * least, least, 1.0])
    doubtful = wrapper.doubtful_samples
    assert doubtful.may_stand_in(trust, least).tolist() == [False, False, True, True]
    embeddings, labels, _ = blurred(200)
    judge = wrapper._judge()
    believed = judge.believe(embeddings, labels)
    stand_in = judge.may_stand_in(believed)
    assert torch.equal(stand_in, (believed.trust > 0.5) & (believed.trust >= least))
    assert stand_in.sum() < (believed.trust > 0.5).sum()


@pytest.mark.parametrize(
    ("options", "name", "expected"),
    [
        ({"memory_size": 64}, "replay_memory", (True, 64, 0.8)),
        ({"memory_size": 0}, "replay_memory", (True, 0, 0.8)),
        ({"trust_threshold": 0.6}, "trust_threshold", (True, 1024, 0.6)),
    ],
)
def test_options_that_were_of_the_relabelling_work_with_a_warning(options, name, expected):
    (old,) = options
    with pytest.warns(DeprecationWarning, match=f"{old} of Relabelling is .* give {name} to") as w:
        relabel = Relabelling(**options)
    assert w[0].filename == __file__
    assert switches_of(relabel=relabel) == expected
    with pytest.raises(ValueError, match=f"{name} must be given to AdaptiveNoiseAwareLoss alone"):
        switches_of(relabel=relabel, **{name: ON[name]})
