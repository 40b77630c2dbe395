import pytest

from benchmarks.noise.data import NAMES
from benchmarks.noise.losses import LOSSES
from benchmarks.noise.methods import METHODS, OURS
from benchmarks.noise.suites import SUITES, Choice, jobs_of


def jobs(suite, **choice):
    return jobs_of(SUITES[suite], Choice(**choice))


@pytest.mark.parametrize("suite", SUITES)
def test_every_job_is_possible_and_unique(suite):
    made = jobs(suite)
    assert len(set(made)) == len(made)
    assert {job.data for job in made} <= set(NAMES)
    assert {job.loss for job in made} <= set(LOSSES)
    assert {job.run for job in made} <= set(METHODS)


def test_the_full_suite_has_the_promised_rows():
    full = jobs("full")
    main = {
        (job.data, job.loss, job.noise)
        for job in full
        if job.data in ("clinc", "hwu")
        and job.noise in ("symmetric:0.2", "symmetric:0.5", "near:0.4", "pair:0.2")
    }
    assert len(main) == 24
    assert {job.seed for job in full} == {0, 1, 2}
    assert not any(job.noise == "none:0" and job.run == "clean_only" for job in full)


def test_a_choice_drops_all_other_runs():
    few = jobs("full", losses=["SupCon"], noise=["near:0.4"], seeds=[5])
    assert {(job.loss, job.noise, job.seed) for job in few} == {("SupCon", "near:0.4", 5)}
    assert [job.run for job in few if job.data == "hwu"] == list(SUITES["full"].runs)
    assert {job.run for job in jobs("full", datasets=["hwu"], runs=["ours"])} == {"ours"}


def test_losses_outside_a_suite_can_be_chosen():
    assert {job.loss for job in jobs("words", losses=["Margin"])} == {"Margin"}


def test_the_losses_suite_has_all_losses():
    made = jobs("losses", seeds=[0])
    assert {job.loss for job in made} == set(LOSSES)
    assert [job.run for job in made if job.loss == "ArcFace"] == ["plain", "ours", "clean_only"]


def test_the_ablation_has_every_run_that_a_loss_can_have():
    runs = {
        loss: {job.run for job in jobs("ablation") if job.loss == loss}
        for loss in ("Triplet", "SupCon")
    }
    assert runs["SupCon"] == {"plain", "clean_only", *OURS}
    assert runs["SupCon"] - runs["Triplet"] == {"ours_views_all_margins", "ahsml_views_all_margins"}


def test_suites_of_other_data():
    made = jobs("long_tailed", seeds=[0])
    assert {job.data for job in made} == {"clinc_long_tailed", "hwu_long_tailed"}
    assert "ours_class_counts" in {job.run for job in made}
    assert len(jobs("measurements", seeds=[0])) == 6 * 3 * (2 * 5 + 3)
    assert len(jobs("words", seeds=[0])) == 3 * (4 * 4 + 2)
