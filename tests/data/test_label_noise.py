import pytest
import torch

from pml_ahsml import inject_label_noise
from pml_ahsml.data.noise_kinds import KINDS, NoiseKind

K = 7
SIMILARITY = torch.randn(K, K, generator=torch.Generator().manual_seed(2))
OPTIONS = {
    "symmetric": {},
    "near": {"class_similarity": SIMILARITY},
    "pair": {"class_similarity": SIMILARITY},
    "small_cluster": {},
    "instance": {"embeddings": torch.randn(1000, 5, generator=torch.Generator().manual_seed(3))},
}
ROWS = torch.tensor([[0.5, 0.5, 0.0], [0.0, 1.0, 0.0], [0.1, 0.2, 0.7]])


@pytest.mark.parametrize("kind", OPTIONS)
@pytest.mark.parametrize("rate", [0.0, 0.123, 0.5])
def test_makes_the_given_share_wrong_and_reports_which(kind, rate):
    labels = torch.randint(K, (1000,))
    clean = labels.clone()
    noisy, is_noisy = inject_label_noise(labels, rate, kind, num_classes=K, **OPTIONS[kind])
    assert torch.equal(labels, clean)
    assert int(is_noisy.sum()) == round(1000 * rate)
    assert torch.equal(noisy != clean, is_noisy)
    assert int(noisy.max()) < K
    assert noisy.dtype == labels.dtype


def test_symmetric_noise_reaches_every_other_class_equally():
    labels = torch.full((60_000,), 2)
    noisy, _ = inject_label_noise(labels, 1.0, num_classes=K)
    share = torch.bincount(noisy, minlength=K) / 60_000
    assert share[2] == 0
    others = share[torch.arange(K) != 2]
    # five standard deviations of a share of 1/6 in 60,000 draws
    torch.testing.assert_close(others, torch.full((6,), 1 / 6), rtol=0, atol=0.008)


def test_near_and_pair_noise_stay_with_the_most_similar_classes():
    labels = torch.arange(K).repeat(300)
    for kind, neighbours in (("near", 5), ("pair", 1)):
        noisy, _ = inject_label_noise(labels, 1.0, kind, class_similarity=SIMILARITY)
        for k in range(K):
            others = sorted((j for j in range(K) if j != k), key=lambda j, k=k: -SIMILARITY[k, j])
            assert set(noisy[labels == k].tolist()) == set(others[:neighbours])


def test_similarity_from_embeddings_is_that_of_class_means():
    labels = torch.arange(K).repeat_interleave(20)
    embeddings = torch.randn(K, 4)[labels] + 0.3 * torch.randn(len(labels), 4)
    means = torch.stack(
        [torch.nn.functional.normalize(embeddings[labels == k]).mean(0) for k in range(K)]
    )
    cosine = torch.nn.functional.cosine_similarity(means[:, None], means, dim=2)

    def draw(**options):
        generator = torch.Generator().manual_seed(0)
        return inject_label_noise(labels, 0.5, "pair", generator=generator, **options)[0]

    assert torch.equal(draw(embeddings=embeddings), draw(class_similarity=cosine))


def test_small_clusters_are_pieces_of_dissolved_classes():
    labels = torch.arange(20).repeat_interleave(10)
    noisy, is_noisy = inject_label_noise(labels, 0.23, "small_cluster")  # 46 samples
    dissolved = labels[is_noisy].unique(return_counts=True)
    assert sorted(dissolved[1].tolist()) == [6, 10, 10, 10, 10]
    assert not set(noisy[is_noisy].tolist()) & set(dissolved[0].tolist())
    for k in dissolved[0]:
        _, sizes = noisy[is_noisy & (labels == k)].unique(return_counts=True)
        # groups of at most 4; two groups may meet in one class
        assert len(sizes) >= 2 or int(sizes.sum()) < 10


@pytest.mark.parametrize("kind", OPTIONS)
def test_is_repeatable_by_its_generator(kind):
    labels = torch.arange(1000) % K

    def draw(seed):
        generator = torch.Generator().manual_seed(seed)
        return inject_label_noise(labels, 0.4, kind, generator=generator, **OPTIONS[kind])[0]

    assert torch.equal(draw(3), draw(3))
    assert not torch.equal(draw(3), draw(4))


def test_open_set_noise_puts_whole_classes_outside():
    labels = torch.arange(20).repeat_interleave(10)
    noisy, is_noisy = inject_label_noise(labels, 0.23, "open_set")  # 4.6 classes
    outside = labels[is_noisy].unique()
    assert len(outside) == 5
    assert torch.equal(is_noisy, torch.isin(labels, outside))
    assert not torch.isin(noisy, outside).any()
    assert torch.equal(noisy[~is_noisy], labels[~is_noisy])
    # each sample for itself: 50 draws among 15 classes
    assert len(noisy[is_noisy].unique()) > 10


def test_open_classes_can_be_given():
    labels = torch.arange(K).repeat(300)
    generator = torch.Generator().manual_seed(0)
    noisy, is_noisy = inject_label_noise(
        labels, None, "open_set", open_classes=torch.tensor([5, 1]), generator=generator
    )
    assert torch.equal(is_noisy, (labels == 5) | (labels == 1))
    share = torch.bincount(noisy[is_noisy], minlength=K) / 600
    assert share[[5, 1]].sum() == 0
    # five standard deviations of a share of 1/5 in 600 draws
    assert ((share[[0, 2, 3, 4, 6]] - 0.2).abs() < 0.082).all()


def test_instance_noise_gives_ambiguous_samples_their_nearest_other_class():
    labels = torch.arange(4).repeat_interleave(250)
    embeddings = 2 * torch.eye(4, 8)[labels] + torch.randn(1000, 8)
    noisy, is_noisy = inject_label_noise(labels, 0.3, "instance", embeddings=embeddings)
    rows = torch.nn.functional.normalize(embeddings)
    means = torch.nn.functional.normalize(
        torch.stack([rows[labels == k].mean(0) for k in range(4)])
    )
    cosine = rows @ means.T
    for i in range(1000):
        others = [k for k in range(4) if k != labels[i]]
        nearest = max(others, key=lambda k, i=i: cosine[i, k])
        assert noisy[i] == (nearest if is_noisy[i] else labels[i])
    lead = cosine.scatter(1, labels[:, None], -2).max(1).values - cosine[range(1000), labels]
    assert lead[is_noisy].mean() > lead[~is_noisy].mean() + 0.5 * lead.std()
    assert is_noisy[lead > 0].float().mean() < 1  # it is a chance, not a threshold


def test_instance_noise_draws_by_its_weights():
    labels = torch.tensor([0, 0, 0, 1, 1, 1])
    angles = torch.tensor([0.0, 0.2, 0.7, 1.5, 1.3, 0.9])
    embeddings = torch.stack([angles.cos(), angles.sin()], 1)
    means = torch.nn.functional.normalize(
        torch.stack([embeddings[:3].sum(0), embeddings[3:].sum(0)])
    )
    cosine = embeddings @ means.T
    lead = torch.where(labels == 0, cosine[:, 1] - cosine[:, 0], cosine[:, 0] - cosine[:, 1])
    expected = (lead / lead.std(unbiased=False)).softmax(0)
    draws, generator = 3000, torch.Generator().manual_seed(0)
    counts = sum(
        inject_label_noise(labels, 1 / 6, "instance", embeddings=embeddings, generator=generator)[1]
        for _ in range(draws)
    )
    # five standard deviations of a share
    assert ((counts / draws - expected).abs() < 5 * (expected / draws).sqrt()).all()


def test_transition_noise_follows_the_rows_of_its_matrix():
    labels = torch.arange(3, dtype=torch.int32).repeat(10_000)
    noisy, is_noisy = inject_label_noise(labels, None, "transition", transition_matrix=ROWS)
    assert noisy.dtype == torch.int32
    assert torch.equal(noisy != labels, is_noisy)
    for k in range(3):
        share = torch.bincount(noisy[labels == k], minlength=3) / 10_000
        torch.testing.assert_close(share, ROWS[k], rtol=0, atol=0.025)  # five standard deviations
        assert (share[ROWS[k] == 0] == 0).all()

    def draw(seed):
        generator = torch.Generator().manual_seed(seed)
        return inject_label_noise(
            labels, None, "transition", transition_matrix=ROWS, generator=generator
        )[0]

    assert torch.equal(draw(3), draw(3))
    assert not torch.equal(draw(3), draw(4))


def test_empty_labels_stay_empty():
    empty = torch.zeros(0, dtype=torch.long)
    options = {
        **{kind: {} for kind in ("symmetric", "small_cluster", "open_set")},
        "instance": {"embeddings": torch.zeros(0, 2)},
        "near": {"class_similarity": torch.eye(3)},
    }
    for kind, given in options.items():
        noisy, is_noisy = inject_label_noise(empty, 0.5, kind, num_classes=3, **given)
        assert noisy.shape == is_noisy.shape == (0,)
    noisy, _ = inject_label_noise(empty, None, "transition", num_classes=3, transition_matrix=ROWS)
    assert noisy.shape == (0,)


GAPS = torch.tensor([3, 7, 21, 22, 40, 41, 60])


def options_for(labels, classes):
    """What each kind needs for labels that are ``classes`` of OPTIONS' labels."""
    size = int(classes.max()) + 1
    # absent classes would be the most similar of all
    similarity = torch.full((size, size), 9.0)
    similarity[classes[:, None], classes] = SIMILARITY
    embeddings = torch.randn(K, 5, generator=torch.Generator().manual_seed(3))[labels]
    embeddings = embeddings + 0.1 * torch.randn(len(labels), 5)
    return {
        "symmetric": {},
        "small_cluster": {},
        "open_set": {},
        "near": {"class_similarity": similarity},
        "pair": {"class_similarity": similarity},
        "instance": {"embeddings": embeddings},
        "near by embeddings": {"embeddings": embeddings},
        "pair by embeddings": {"embeddings": embeddings},
    }


@pytest.mark.parametrize("classes", [torch.arange(1, K + 1), GAPS], ids=["from 1", "gaps"])
@pytest.mark.parametrize("kind", options_for(torch.arange(K), torch.arange(K)))
def test_wrong_labels_are_of_classes_that_occur(classes, kind):
    labels = torch.arange(700) % K
    compact, gaps = options_for(labels, torch.arange(K)), options_for(labels, classes)
    gaps[kind] |= {k: v for k, v in compact[kind].items() if k == "embeddings"}

    def draw(labels, options):
        generator = torch.Generator().manual_seed(0)
        return inject_label_noise(labels, 0.6, kind.split()[0], generator=generator, **options)

    noisy, is_noisy = draw(classes[labels], gaps[kind])
    assert torch.isin(noisy, classes).all()
    assert is_noisy.any()
    assert torch.equal(noisy != classes[labels], is_noisy)
    if kind not in ("open_set", "instance"):
        # the same draws as with labels without gaps
        assert torch.equal(noisy, classes[draw(labels, compact[kind])[0]])


def test_num_classes_allows_labels_of_absent_classes():
    labels = torch.tensor([3, 5]).repeat(500)
    noisy, _ = inject_label_noise(labels, 1.0, num_classes=K)
    assert noisy.unique().tolist() == list(range(K))
    noisy, _ = inject_label_noise(
        labels, 1.0, "pair", num_classes=K, class_similarity=torch.arange(K).expand(K, K).float()
    )
    assert noisy.unique().tolist() == [6]


@pytest.mark.parametrize("kind", ["near", "pair", "instance"])
def test_with_embeddings_absent_classes_get_no_samples(kind):
    # of opposite directions: a mean of nothing, 0, would be nearer than the other class
    labels = torch.tensor([3, 5]).repeat(50)
    embeddings = torch.where(labels[:, None] == 3, 1.0, -1.0) + 0.1 * torch.randn(100, 4)
    noisy, is_noisy = inject_label_noise(labels, 0.5, kind, num_classes=K, embeddings=embeddings)
    assert int(is_noisy.sum()) == 50
    assert torch.isin(noisy, labels).all()


def test_a_matrix_that_leads_to_absent_classes_needs_num_classes():
    labels = torch.tensor([0, 2]).repeat(50)
    with pytest.raises(ValueError, match="transition_matrix must lead to .* leads to class 1"):
        inject_label_noise(labels, None, "transition", transition_matrix=ROWS)
    options = {"transition_matrix": ROWS, "num_classes": 3}
    noisy, _ = inject_label_noise(labels, None, "transition", **options)
    assert noisy.unique().tolist() == [0, 1, 2]
    kept = torch.tensor([[0.5, 0.0, 0.5], [0.0, 0.5, 0.5], [0.5, 0.0, 0.5]])
    noisy, _ = inject_label_noise(labels, None, "transition", transition_matrix=kept)
    assert noisy.unique().tolist() == [0, 2]


@pytest.mark.parametrize("kind", OPTIONS)
@pytest.mark.parametrize("name", ["int8", "int16", "int32", "uint8", "uint16", "uint32", "uint64"])
def test_every_integer_dtype_gets_the_same_noise(kind, name):
    if not hasattr(torch, name):
        pytest.skip(f"this torch has no {name}")
    labels, dtype = torch.arange(1000) % K, getattr(torch, name)

    def draw(labels):
        generator = torch.Generator().manual_seed(0)
        return inject_label_noise(labels, 0.4, kind, generator=generator, **OPTIONS[kind])

    (noisy, is_noisy), (expected, expected_noisy) = draw(labels.to(dtype)), draw(labels)
    assert noisy.dtype == dtype
    assert torch.equal(noisy.long(), expected)
    assert torch.equal(is_noisy, expected_noisy)


def test_the_default_device_and_dtype_do_not_matter():
    labels = torch.arange(1000) % K
    expected = {
        kind: inject_label_noise(
            labels, 0.4, kind, generator=torch.Generator().manual_seed(0), **options
        )[0]
        for kind, options in OPTIONS.items()
    }
    torch.set_default_dtype(torch.float64)
    try:
        for kind, options in OPTIONS.items():
            generator = torch.Generator().manual_seed(0)
            with torch.device("meta"):
                noisy, _ = inject_label_noise(labels, 0.4, kind, generator=generator, **options)
            assert torch.equal(noisy, expected[kind])
    finally:
        torch.set_default_dtype(torch.float32)


def test_the_diagonal_of_a_similarity_is_ignored():
    labels, similarity = torch.arange(1000) % K, SIMILARITY.clone().fill_diagonal_(torch.nan)

    def draw(similarity):
        generator = torch.Generator().manual_seed(0)
        return inject_label_noise(
            labels, 0.4, "near", class_similarity=similarity, generator=generator
        )[0]

    assert torch.equal(draw(similarity), draw(SIMILARITY))


def to_the_last(task, open_classes):
    """A toy kind of noise: the first samples of some classes get the last class."""
    noisy = task.clean.clone()
    rows = torch.isin(task.clean, open_classes).nonzero().squeeze(1)[: task.count]
    noisy[rows] = task.classes[-1]
    return noisy


def test_a_kind_is_a_function_and_an_entry(monkeypatch):
    labels = torch.tensor([0, 1, 2, 0, 4], dtype=torch.int16)
    with pytest.raises(ValueError, match="kind must be one of .*, got 'to_the_last'"):
        inject_label_noise(labels, 0.4, "to_the_last")
    # all that adding one takes: its name, rate and options are checked by the entry
    monkeypatch.setitem(KINDS, "to_the_last", NoiseKind(to_the_last, one_of=("open_classes",)))
    wanted = {"open_classes": torch.tensor([0])}
    noisy, is_noisy = inject_label_noise(labels, 0.4, "to_the_last", **wanted)
    assert torch.equal(noisy, torch.tensor([4, 1, 2, 4, 4], dtype=torch.int16))
    assert is_noisy.tolist() == [True, False, False, True, False]
    noisy, _ = inject_label_noise(labels, 0.2, "to_the_last", num_classes=7, **wanted)
    assert noisy.tolist() == [6, 1, 2, 0, 4]
    with pytest.raises(ValueError, match="got 'nearly'") as error:
        inject_label_noise(labels, 0.4, "nearly")
    assert "'to_the_last'" in str(error.value)
    with pytest.raises(ValueError, match=r"rate must be in \[0.0, 1.0\], got 2"):
        inject_label_noise(labels, 2, "to_the_last", **wanted)
    with pytest.raises(ValueError, match="open_classes must be given for kind='to_the_last'"):
        inject_label_noise(labels, 0.4, "to_the_last")
    with pytest.raises(ValueError, match="embeddings must be left out for kind='to_the_last'"):
        inject_label_noise(labels, 0.4, "to_the_last", embeddings=torch.ones(5, 2))


def test_every_kind_is_described():
    for kind in KINDS:
        assert f'- "{kind}": ' in inject_label_noise.__doc__


FOUR = torch.arange(4)
HOLE = torch.eye(4).index_fill(0, torch.tensor([2]), torch.nan)


@pytest.mark.parametrize(
    ("arguments", "options", "error", "message"),
    [
        ((FOUR, 1.5), {}, ValueError, r"rate must be in \[0.0, 1.0\], got 1.5"),
        ((FOUR, None), {}, TypeError, "rate must be a number, got NoneType"),
        (
            (FOUR, 0.5, "nearly"),
            {},
            ValueError,
            "kind must be one of 'symmetric', .*, got 'nearly'",
        ),
        ((torch.zeros(4).long(), 0.5), {}, ValueError, "num_classes must be at least 2, got 1"),
        ((torch.full((4,), 5), 0.5), {}, ValueError, "labels must hold at least 2 classes.* got 1"),
        ((torch.tensor(3), 0.5), {}, ValueError, r"labels must be of shape \(N,\), got \(\)"),
        (
            (torch.arange(4, dtype=torch.int8), 0.5),
            {"num_classes": 129},
            ValueError,
            "labels must be of a dtype that holds 129 classes, got torch.int8",
        ),
        ((FOUR.to("meta"), 0.5), {}, ValueError, "labels must be a tensor with values"),
        ((FOUR.to_sparse(), 0.5), {}, TypeError, "labels must be a dense tensor"),
        ((FOUR, 0.5), {"num_classes": 4.0}, TypeError, "num_classes must be an integer, got float"),
        ((FOUR, 0.5), {"generator": 3}, TypeError, "generator must be a torch.Generator, got int"),
        ((FOUR, 0.5, ["pair"]), {}, ValueError, "kind must be one of"),
        (
            (FOUR, 0.5, "pair"),
            {"class_similarity": HOLE},
            ValueError,
            "class_similarity must be finite, got nan or inf in 1 of 4 rows",
        ),
        (
            (FOUR, 0.5, "near"),
            {"class_similarity": [[0.0]]},
            TypeError,
            "class_similarity must be a tensor, got list",
        ),
        (
            (FOUR, 0.5, "near"),
            {"embeddings": HOLE},
            ValueError,
            "embeddings must be finite, got nan or inf in 1 of 4 rows",
        ),
        (
            (FOUR, 0.5, "instance"),
            {"embeddings": HOLE},
            ValueError,
            "embeddings must be finite, got nan or inf in 1 of 4 rows",
        ),
        (
            (FOUR, None, "transition"),
            {"transition_matrix": HOLE},
            ValueError,
            "transition_matrix must be finite, got nan or inf in 1 of 4 rows",
        ),
        (
            (torch.zeros(4).long(), 0.5, "pair"),
            {"embeddings": torch.ones(4, 2), "num_classes": 2},
            ValueError,
            "labels must hold at least 2 classes",
        ),
        ((torch.arange(4.0), 0.5), {}, TypeError, "integer dtype"),
        (([0, 1], 0.5), {}, TypeError, "labels must be a tensor, got list"),
        ((FOUR, 0.5, "near"), {}, ValueError, "embeddings must be given .*'near', got none"),
        ((FOUR, 0.5), {"embeddings": torch.ones(4, 2)}, ValueError, "must be left out"),
        (
            (FOUR, 0.5, "pair"),
            {"class_similarity": torch.eye(3)},
            ValueError,
            r"class_similarity must be of shape \(4, 4\), got \(3, 3\)",
        ),
        (
            (FOUR, 0.5, "pair"),
            {"embeddings": torch.ones(3, 2)},
            ValueError,
            r"embeddings must be of shape \(4, D\), got \(3, 2\)",
        ),
        ((FOUR, 1.0, "small_cluster"), {}, ValueError, "rate must leave a class .* got 4 of 4"),
        (
            (FOUR.repeat(4), 0.07, "open_set"),
            {},
            ValueError,
            "rate must amount to at least half a class .* got 1 of 16",
        ),
        ((FOUR, 1.0, "open_set"), {}, ValueError, "must leave a class"),
        (
            (FOUR, 0.5, "open_set"),
            {"open_classes": torch.tensor([1])},
            ValueError,
            "rate must be None because open_classes determines it, got 0.5",
        ),
        (
            (FOUR, None, "open_set"),
            {"open_classes": torch.tensor([4])},
            ValueError,
            r"open_classes must lie in \[0, 4\)",
        ),
        (
            (FOUR, None, "open_set"),
            {"open_classes": FOUR},
            ValueError,
            "open_classes must leave a class",
        ),
        ((FOUR, 0.5, "instance"), {}, ValueError, "embeddings must be given for kind='instance'"),
        (
            (torch.zeros(4).long(), 0.5, "instance"),
            {"embeddings": torch.ones(4, 2), "num_classes": 2},
            ValueError,
            "labels must hold at least 2 classes",
        ),
        (
            (FOUR, 0.5, "near"),
            {"embeddings": torch.ones(4, 2), "class_similarity": torch.eye(4)},
            ValueError,
            "class_similarity or embeddings must be given .* got class_similarity and embeddings",
        ),
        ((FOUR, None, "transition"), {}, ValueError, "transition_matrix must be given"),
        (
            (FOUR, 0.5, "transition"),
            {"transition_matrix": torch.eye(4)},
            ValueError,
            "rate must be None because transition_matrix determines it",
        ),
        (
            (FOUR, None, "transition"),
            {"transition_matrix": torch.eye(4) / 2},
            ValueError,
            "transition_matrix must have rows .* sums from 0.5 to 0.5",
        ),
        (
            (FOUR, None, "transition"),
            {"transition_matrix": torch.eye(4) * 2 - 0.25},
            ValueError,
            "transition_matrix must have rows .* values from -0.25",
        ),
    ],
)
def test_bad_arguments_are_refused(arguments, options, error, message):
    with pytest.raises(error, match=message):
        inject_label_noise(*arguments, **options)
