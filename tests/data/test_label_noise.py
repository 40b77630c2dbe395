import pytest
import torch

from pml_ahsml import inject_label_noise

K = 7
SIMILARITY = torch.randn(K, K, generator=torch.Generator().manual_seed(2))
OPTIONS = {
    "symmetric": {},
    "near": {"class_similarity": SIMILARITY},
    "pair": {"class_similarity": SIMILARITY},
    "small_cluster": {},
}


@pytest.mark.parametrize("kind", OPTIONS)
@pytest.mark.parametrize("rate", [0.0, 0.123, 0.5])
def test_makes_the_wanted_share_wrong_and_says_which(kind, rate):
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
    labels = torch.arange(100) % K

    def draw(seed):
        generator = torch.Generator().manual_seed(seed)
        return inject_label_noise(labels, 0.4, kind, generator=generator, **OPTIONS[kind])[0]

    assert torch.equal(draw(3), draw(3))
    assert not torch.equal(draw(3), draw(4))


FOUR = torch.arange(4)


@pytest.mark.parametrize(
    ("arguments", "options", "error", "message"),
    [
        ((FOUR, 1.5), {}, ValueError, r"rate must be in \[0.0, 1.0\], got 1.5"),
        ((FOUR, 0.5, "nearly"), {}, ValueError, "kind must be 'symmetric', .* got 'nearly'"),
        ((torch.zeros(4).long(), 0.5), {}, ValueError, "num_classes must be at least 2, got 1"),
        ((torch.arange(4.0), 0.5), {}, TypeError, "integer dtype"),
        (([0, 1], 0.5), {}, TypeError, "labels must be a tensor, got list"),
        ((FOUR, 0.5, "near"), {}, ValueError, "embeddings must be given for kind='near'"),
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
    ],
)
def test_bad_arguments_are_refused(arguments, options, error, message):
    with pytest.raises(error, match=message):
        inject_label_noise(*arguments, **options)
