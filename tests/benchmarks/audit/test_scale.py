"""What an audit of many samples takes."""

import torch

from benchmarks.audit import scale


def test_a_fifth_of_the_labels_is_wrong_and_half_of_these_are_of_the_nearest_class():
    points, labels, is_wrong = scale.made(20_000, 50, 8, 0.1)
    assert points.shape == (20_000, 8)
    # five standard deviations; one of 50 labels drawn at random is right
    expected, deviation = 0.1 + 0.1 * 49 / 50, (0.2 * 0.8 / 20_000) ** 0.5
    assert abs(float(is_wrong.double().mean()) - expected) < 5 * deviation
    means = torch.stack([points[(labels == k) & ~is_wrong].mean(0) for k in range(50)])
    truth = torch.cdist(points, means).argmin(1)
    assert torch.equal(truth != labels, is_wrong)
    nearest = torch.cdist(means, means).fill_diagonal_(torch.inf).argmin(1)
    share = (labels[is_wrong] == nearest[truth[is_wrong]]).double().mean()
    assert 0.45 < share < 0.58


def test_cost_is_that_of_an_audit(capsys):
    found = scale.cost(400, 4, 8, 0.3, verbose=True)
    assert found.average_precision > 0.9
    assert 0 < found.seconds < 60
    assert found.processor_seconds > 0
    assert found.gigabytes > 0.01
    assert "labels 16/16" in capsys.readouterr().out
    scale.cost(400, 4, 8, 0.3, verbose=False)
    assert not capsys.readouterr().out
