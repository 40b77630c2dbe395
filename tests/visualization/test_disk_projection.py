import numpy as np
import pytest
import torch

from pml_ahsml import PoincareDistance
from pml_ahsml.hyperbolic import maps
from pml_ahsml.visualization import DiskProjection


def clusters(count: int, size: int = 8) -> tuple[torch.Tensor, torch.Tensor]:
    labels = torch.arange(count).repeat_interleave(20)
    centres = torch.nn.functional.normalize(torch.randn(count, size))
    radius = torch.linspace(0.3, 3.0, 20).repeat(count)[:, None]
    noise = 0.05 * torch.randn(len(labels), size)
    return radius * torch.nn.functional.normalize(centres[labels] + noise), labels


def angle(flat: np.ndarray) -> np.ndarray:
    return np.arctan2(flat[:, 1], flat[:, 0])


@pytest.mark.parametrize("method", ["pca", "tsne"])
def test_the_distance_to_the_origin_is_kept(method):
    e, _ = clusters(3)
    distance = PoincareDistance(0.7, clip_radius=2.0)
    flat = torch.as_tensor(DiskProjection(distance, method=method).fit_transform(e))
    origin = torch.zeros(1, 2, dtype=torch.float64)
    wanted = distance(e.double(), torch.zeros(1, 8, dtype=torch.float64))
    torch.testing.assert_close(distance(flat, origin), wanted, rtol=1e-9, atol=1e-12)
    assert wanted.max() == pytest.approx(4.0)  # 2r: some are clipped


def test_points_on_the_ball_are_seen_as_their_tangent_vectors():
    e, _ = clusters(3)
    e = 0.7 * e  # inside the clip radius
    on_ball = PoincareDistance(embedding_space="ball")
    points = maps.expmap0(e.double(), 0.1)
    np.testing.assert_allclose(
        DiskProjection(on_ball).fit_transform(points), DiskProjection().fit_transform(e), atol=1e-6
    )


def test_two_dimensions_are_left_as_they_are():
    e = torch.tensor([[0.3, -0.4], [3.0, 4.0], [0.0, 0.0]])
    projection = DiskProjection()
    flat = projection.fit_transform(e.numpy())
    np.testing.assert_allclose(flat, [[0.3, -0.4], [0.6 * 2.3, 0.8 * 2.3], [0, 0]], rtol=1e-6)
    assert projection.explained == 1
    assert projection.caption == ""


def test_the_plane_is_that_of_the_widest_spread():
    angles = torch.linspace(0, 2 * torch.pi, 50)[:-1]
    e = torch.stack([0.1 * torch.randn(49), 2 * angles.cos(), angles.sin()], 1)
    projection = DiskProjection(PoincareDistance(clip_radius=9.0))
    flat = projection.fit_transform(e)
    assert projection.explained > 0.95
    assert f"{projection.explained:.0%} of the variance" in projection.caption
    # the axes may be mirrored, the neighbours stay neighbours
    steps = np.abs(np.angle(np.exp(1j * np.diff(angle(flat)))))
    assert steps.max() < 0.4
    assert np.array_equal(flat, projection.fit_transform(e))


def test_samples_on_one_ray_have_one_angle_whatever_is_shown_with_them():
    e, _ = clusters(4)
    projection, tangent = DiskProjection(), 0.7 * e.double()
    alone = projection.project(tangent)
    flat = projection.project(tangent, 0.5 * tangent[:30])
    np.testing.assert_allclose(flat[: len(e)], alone)
    np.testing.assert_allclose(flat[len(e) :], alone[:30] / 2, atol=1e-9)


def test_tsne_keeps_more_classes_apart_than_a_plane():
    e, labels = clusters(25)
    e, labels = 1.5 * torch.nn.functional.normalize(e[::2]), labels[::2]
    found = {}
    for method in ("pca", "tsne"):
        a = angle(DiskProjection(method=method).fit_transform(e))
        apart = np.abs(np.angle(np.exp(1j * (a[:, None] - a))))
        np.fill_diagonal(apart, np.inf)
        found[method] = float((labels[apart.argmin(1)] == labels).float().mean())
    assert found["tsne"] > found["pca"] + 0.1
    same, other = (DiskProjection(method="tsne", seed=s).fit_transform(e[:20]) for s in (0, 1))
    assert np.array_equal(same, DiskProjection(method="tsne").fit_transform(e[:20]))
    assert not np.allclose(same, other)


@pytest.mark.parametrize("method", ["pca", "tsne"])
@pytest.mark.parametrize("count", [1, 2, 3])
def test_few_samples_and_the_origin_can_be_projected(method, count):
    e = torch.zeros(count, 4)
    e[0, 0] = 1.5
    flat = DiskProjection(method=method).fit_transform(e)
    np.testing.assert_allclose(np.linalg.norm(flat, axis=1), e.norm(dim=1), atol=1e-12)


def test_normalised_embeddings_cause_a_warning_unless_intended():
    e = torch.nn.functional.normalize(torch.randn(6, 4))
    with pytest.warns(UserWarning, match="all embeddings have norm 1"):
        DiskProjection().fit_transform(e)
    meant = DiskProjection(PoincareDistance(normalize_embeddings=True)).fit_transform(5 * e)
    np.testing.assert_allclose(np.linalg.norm(meant, axis=1), 1, rtol=1e-6)


def test_bad_arguments_are_refused():
    with pytest.raises(
        TypeError, match="distance must be a PoincareDistance or a LorentzSimilarity, got int"
    ):
        DiskProjection(3)
    with pytest.raises(ValueError, match=r"method must be one of .* got 'umap'"):
        DiskProjection(method="umap")
    with pytest.raises(ValueError, match="seed must be at least 0, got -1"):
        DiskProjection(seed=-1)
    projection = DiskProjection()
    for shape in [(3,), (0, 4), (3, 1)]:
        with pytest.raises(ValueError, match=r"embeddings must be of shape \(N, D\)"):
            projection.fit_transform(torch.zeros(shape))
    with pytest.raises(TypeError, match="must be of a floating point dtype, got torch.int64"):
        projection.fit_transform(torch.zeros(3, 2, dtype=torch.long))
    with pytest.raises(ValueError, match="embeddings must be finite"):
        projection.fit_transform(torch.full((3, 2), torch.nan))
