"""Beliefs, noise rates and the loop of expectation and maximisation."""

import math

import pytest
import torch

from pml_ahsml.audit.judging.beliefs import taken_as_given
from pml_ahsml.audit.judging.judgement import Judgement, judge
from tests.audit.judging.made import soft_beliefs

N, K, C = 80, 7, 4


def made(seed=0, sharpness=2.0, shift=0.0):
    generator = torch.Generator().manual_seed(seed)
    classes = soft_beliefs(N, K, C, seed).classes
    labels = classes[torch.arange(N), torch.randint(C, (N,), generator=generator)]
    own = classes == labels[:, None]
    evidence = sharpness * torch.randn(N, C, generator=generator) + 3 * own
    confusions = torch.rand(N, C, generator=generator).log() + own
    return Judgement(classes, labels, evidence.log_softmax(1), confusions, shift)


def naive(judgement, power):
    """q_ik ∝ p_ik·T_{k,y_i}^λ·exp(shift·[k = y_i])."""
    found = torch.zeros(N, C, dtype=torch.float64)
    for i in range(N):
        for c in range(C):
            own = judgement.classes[i, c] == judgement.labels[i]
            p = math.exp(float(judgement.log_evidence[i, c]))
            t = math.exp(float(judgement.log_confusions[i, c]))
            found[i, c] = p * t**power * (math.exp(judgement.shift) if own else 1)
        found[i] /= found[i].sum()
    return found


def naive_trust(judgement, power=0.5):
    return naive(judgement, power)[judgement.classes == judgement.labels[:, None]]


@pytest.mark.parametrize("power", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("shift", [0.0, -1.5])
def test_beliefs_follow_bayes_rule(power, shift):
    judgement = made(shift=shift)
    found = judgement.beliefs(power)
    assert found.classes is judgement.classes
    torch.testing.assert_close(
        found.weights.double(), naive(judgement, power), rtol=1e-5, atol=1e-7
    )


def test_confusions_count_by_half():
    judgement = made()
    assert torch.equal(judgement.beliefs().weights, judgement.beliefs(0.5).weights)


def test_noise_rate_is_the_mean_doubt_and_lies_in_its_interval():
    judgement = made()
    assert judgement.noise_rate == pytest.approx(
        float((1 - naive_trust(judgement)).mean()), rel=1e-5
    )
    low, high = judgement.noise_rate_interval
    almost_wrong = float((naive_trust(judgement, 1.0) < 0.1).double().mean())
    not_right = float((naive_trust(judgement, 0.0) < 0.9).double().mean())
    assert low == pytest.approx(
        almost_wrong - 1.64 * (almost_wrong * (1 - almost_wrong) / N) ** 0.5
    )
    assert high == pytest.approx(not_right + 1.64 * (not_right * (1 - not_right) / N) ** 0.5)
    assert low < judgement.noise_rate < high


def test_the_interval_is_widened_to_the_noise_rate():
    # all labels are a little in doubt, and none much
    classes = torch.arange(2).expand(N, -1)
    labels = torch.zeros(N, dtype=torch.long)
    evidence = torch.tensor([0.95, 0.05]).log().expand(N, -1)
    judgement = Judgement(classes, labels, evidence, torch.zeros(N, 2))
    assert judgement.noise_rate == pytest.approx(0.05, rel=1e-5)
    assert judgement.noise_rate_interval == (0.0, judgement.noise_rate)


def test_labels_without_evidence_are_believed_and_do_not_count():
    judgement = made()
    judgement.log_evidence[judgement.classes == judgement.labels[:, None]] = torch.where(
        torch.arange(N) < 10, -torch.inf, judgement.log_evidence[:, 0]
    )
    assert judgement.is_judged.tolist() == [False] * 10 + [True] * (N - 10)
    assert judgement.beliefs().of(judgement.labels)[:10].tolist() == [1] * 10
    expected = float((1 - naive_trust(judgement)[10:]).mean())
    assert judgement.noise_rate == pytest.approx(expected, rel=1e-5)


def test_if_nothing_is_judged_nothing_is_known_to_be_wrong():
    judgement = made()
    judgement.log_evidence[:] = -torch.inf
    assert not judgement.is_judged.any()
    assert judgement.noise_rate == 0
    assert judgement.noise_rate_interval == (0, 0)
    assert judgement.with_noise_rate(0.5).noise_rate == 0


@pytest.mark.parametrize("rate", [0.0, 0.01])
def test_a_known_noise_rate_never_makes_labels_more_trusted(rate):
    judgement = made()
    assert judgement.noise_rate > rate
    assert judgement.with_noise_rate(rate) is judgement


@pytest.mark.parametrize("sharpness", [0.5, 2.0, 400.0])
@pytest.mark.parametrize("rate", [0.8, 0.9, 0.99])
def test_a_known_noise_rate_is_reached_by_doubting_all_labels_more(sharpness, rate):
    judgement = made(sharpness=sharpness)
    found = judgement.with_noise_rate(rate)
    # the shift is found to 1e-4, and the rate falls by at most ¼ of it; a lead of 1,000 has 1e-4 of
    # rounding, too
    assert found.noise_rate == pytest.approx(rate, abs=1e-4)
    before, after = (j.beliefs().of(j.labels) for j in (judgement, found))
    assert (after <= before + 1e-6).all()
    twice = found.with_noise_rate((1 + rate) / 2)
    assert twice.noise_rate == pytest.approx((1 + rate) / 2, abs=1e-4)
    low, high = found.noise_rate_interval
    assert low <= found.noise_rate <= high


def test_a_rate_that_cannot_be_reached_doubts_all_that_can_be_doubted():
    judgement = made()
    others = judgement.classes != judgement.labels[:, None]
    judgement.log_evidence[others & (torch.arange(N)[:, None] < N // 2)] = -torch.inf
    found = judgement.with_noise_rate(0.8)
    trust = found.beliefs().of(found.labels)
    assert trust[: N // 2].tolist() == [1] * (N // 2)
    assert trust[N // 2 :].max() < 1e-6
    assert found.noise_rate == pytest.approx(0.5, abs=1e-6)


def silent(stage, done, total):
    pass


def asked(evidence):
    return lambda beliefs: [evidence]


def test_a_witness_that_knows_the_truth_is_believed():
    generator = torch.Generator().manual_seed(0)
    truth = torch.arange(600) % 3
    wrong = torch.rand(600, generator=generator) < 0.2
    labels = torch.where(wrong, (truth + 1) % 3, truth)
    classes = torch.arange(3).expand(600, -1)
    evidence = 4.0 * (classes == truth[:, None]) + torch.rand(600, 3, generator=generator)
    found = judge(asked(evidence), classes, labels, 3, 0, silent)
    assert torch.equal(found.beliefs().of(labels) < 0.5, wrong)
    assert found.noise_rate == pytest.approx(float(wrong.double().mean()), abs=0.03)
    # a fifth of every class has the label of the next one, and none that of the last
    of_next = found.log_confusions[truth == 0][labels[truth == 0] == 1][0, 0].exp()
    assert float(of_next) == pytest.approx(float(wrong[truth == 0].double().mean()), abs=0.02)


def test_a_witness_that_knows_nothing_gets_no_weight():
    generator = torch.Generator().manual_seed(0)
    labels = torch.arange(300) % 3
    classes = torch.arange(3).expand(300, -1)
    # it speaks against every label
    evidence = torch.rand(300, 3, generator=generator) - 5.0 * (classes == labels[:, None])
    found = judge(asked(evidence), classes, labels, 3, 0, silent)
    torch.testing.assert_close(found.log_evidence.exp(), torch.full((300, 3), 1 / 3))


def test_a_label_that_cannot_be_judged_at_first_is_not_judged_later():
    labels = torch.tensor([0] * 10 + [1] * 10 + [2])
    classes = torch.arange(3).expand(21, -1)
    believed = []

    def ask(beliefs):
        evidence = 3.0 * taken_as_given(classes, labels).weights
        if not believed:
            evidence[-1, 2] = -torch.inf
        believed.append(beliefs)
        return [evidence]

    found = judge(ask, classes, labels, 3, 0, silent)
    assert found.is_judged.tolist() == [True] * 20 + [False]
    assert len(believed) == 2
    assert believed[1].of(labels)[-1] == 1


def test_progress_is_told_to_the_last_step():
    steps = []
    labels = torch.arange(20) % 2
    classes = torch.arange(2).expand(20, -1)
    evidence = taken_as_given(classes, labels).weights
    judge(asked(evidence), classes, labels, 2, 0, lambda *step: steps.append(step))
    assert steps == [("labels", n + 1, len(steps)) for n in range(len(steps))]
