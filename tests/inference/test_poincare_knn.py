import math
from pathlib import Path

import faiss
import numpy as np
import pytest
import torch
from pytorch_metric_learning.distances import CosineSimilarity
from pytorch_metric_learning.testers import GlobalEmbeddingSpaceTester
from pytorch_metric_learning.utils.accuracy_calculator import AccuracyCalculator
from pytorch_metric_learning.utils.inference import FaissKNN

from benchmarks.measuring import peak_bytes
from pml_ahsml import LorentzSimilarity, PoincareDistance, PoincareKNN
from pml_ahsml.hyperbolic import geodesic, maps, near_pairs, nearest_candidates
from pml_ahsml.inference import poincare_knn, row_blocks
from tests import reference


@pytest.fixture(params=[True, False], ids=["faiss", "no faiss"])
def with_faiss(request, monkeypatch):
    if not request.param:
        monkeypatch.setattr(poincare_knn, "faiss", None)
    return request.param


def embeddings(kind: str, n: int, d: int) -> torch.Tensor:
    """The kinds of data of the eight settings, half queries and half references."""
    directions = torch.nn.functional.normalize(torch.randn(n, d))
    if kind == "clipped":
        return 3 * torch.randn(n, d)
    if kind == "radii":
        return directions * torch.rand(n, 1) * 2.3
    # neighbours as many as in 20,000 points of 200 clusters
    clusters, spread = {"clusters": (n // 100, 0.02), "tight": (n // 100, 0.002)}[kind]
    centres = directions[:clusters] * torch.rand(clusters, 1) * 2.3
    return centres[torch.arange(n) % clusters] + spread * torch.randn(n, d)


def brute_force(c: float, query: torch.Tensor, refs: torch.Tensor, k: int) -> torch.Tensor:
    u, v = (maps.clip_norm(x.double(), 2.3) for x in (query, refs))
    return geodesic.distance_matrix(u, v, c).sort(dim=1, stable=True).indices[:, :k]


@pytest.mark.parametrize("c", [0.1, 1.0])
@pytest.mark.parametrize("kind", ["clipped", "radii", "clusters", "tight"])
def test_rows_are_those_of_a_float64_brute_force(c, kind, with_faiss):
    e = embeddings(kind, 4000, 128)
    query, refs = e[:400], e[400:]
    distances, indices = PoincareKNN(PoincareDistance(c))(query, 10, refs)
    expected = brute_force(c, query, refs, 10)
    assert torch.equal(indices, expected)
    exact = near_pairs.pairwise_distance(
        *(maps.clip_norm(x.double(), 2.3) for x in (query, refs[expected[:, 9]])), c
    )
    torch.testing.assert_close(distances[:, 9].double(), exact, rtol=1e-6, atol=0)


@pytest.mark.parametrize("scale", [0.3, 40.0])
def test_neighbours_are_found_at_the_scale_of_the_distance(scale, with_faiss):
    e = torch.randn(60, 5) / scale
    similarity = LorentzSimilarity(0.5, scale=scale)
    distances, indices = PoincareKNN(similarity)(e[:10], 7, e[10:])
    assert torch.equal(indices, similarity(e[:10].double(), e[10:].double()).topk(7).indices)
    expected = PoincareDistance(0.5)(scale * e[:10], scale * e[10:]).gather(1, indices)
    torch.testing.assert_close(distances, expected)
    scaled = PoincareKNN(PoincareDistance(0.5, scale=scale))(e[:10], 7, e[10:])
    torch.testing.assert_close(scaled[0], expected)


def test_a_distance_that_has_seen_no_batch_warns():
    similarity, e = LorentzSimilarity(), torch.randn(9, 3)
    with pytest.warns(UserWarning, match="it has seen none"):
        PoincareKNN(similarity)(e, 1, e)
    similarity.find_scale(e)
    PoincareKNN(similarity)(e, 1, e)


def test_float32_alone_reorders_tight_clusters():
    # what re-ranking is for
    e = embeddings("tight", 4000, 128)
    knn = PoincareKNN(rerank=0)
    found = knn(e[:400], 10, e[400:])[1].sort(1).values
    expected = brute_force(0.1, e[:400], e[400:], 10).sort(1).values
    assert not torch.equal(found, expected)


@pytest.mark.parametrize("space", ["tangent", "ball"])
def test_finds_the_nearest_in_order(monkeypatch, space, with_faiss):
    monkeypatch.setattr(nearest_candidates, "_BLOCK_ELEMENTS", 100)  # several blocks
    monkeypatch.setattr(poincare_knn, "_CANDIDATES", 90)
    query, refs = torch.randn(11, 4), torch.randn(30, 4)
    expected = reference.distance_matrix(query, refs, 1.0)
    if space == "ball":
        query, refs = (maps.expmap0(x.double(), 1.0) for x in (query, refs))
    distance = PoincareDistance(1.0, 5.0, embedding_space=space)
    distances, indices = PoincareKNN(distance)(query, 4, refs)
    assert torch.equal(indices, expected.argsort(1)[:, :4])
    torch.testing.assert_close(
        distances.double(), expected.sort(1).values[:, :4], rtol=1e-5, atol=0
    )
    assert distances.dtype == query.dtype


def test_power_and_normalisation_are_those_of_the_distance():
    query, refs = torch.randn(5, 4), torch.randn(30, 4)
    distance = PoincareDistance(normalize_embeddings=True, power=2)
    distances, indices = PoincareKNN(distance)(query, 3, refs)
    expected = distance(query, refs).sort(1)
    assert torch.equal(indices, expected.indices[:, :3])
    torch.testing.assert_close(distances, expected.values[:, :3], rtol=1e-5, atol=0)


def test_leaves_the_query_out_of_its_own_neighbours(with_faiss):
    e = torch.randn(20, 4)
    e[7] = e[3]  # a duplicate is a neighbour, the query itself is not
    distances, indices = PoincareKNN()(e, 3, e, ref_includes_query=True)
    assert indices.shape == (20, 3)
    assert not (indices == torch.arange(20)[:, None]).any()
    assert indices[7, 0] == 3
    assert indices[3, 0] == 7
    assert distances[7, 0] == 0


def test_equal_references_come_in_order_and_push_out_no_query(with_faiss):
    e = torch.randn(1, 4).repeat(30, 1)
    _, indices = PoincareKNN(rerank=2)(e, 5, e, ref_includes_query=True)
    assert not (indices == torch.arange(30)[:, None]).any()
    assert (indices.diff(dim=1) > 0).all()


NORMS = {
    "1e-20": [1e-20],
    "1e-6": [1e-6],
    "1e-4": [1e-4],
    "1e-3": [1e-3],
    "1e-2": [1e-2],
    "1": [1.0],
    "clipped": [9.0],
    "mixed": [1e-20, 1e-6, 1e-4, 1e-3, 1e-2, 1.0, 9.0],
}


def exact_distances(
    c: float, query: torch.Tensor, refs: torch.Tensor, clip: float = 2.3
) -> torch.Tensor:
    """All pairs in float64, from differences."""
    (a, u), (b, v) = (
        (2 * c**0.5 * norm.clamp_max(clip), rows / norm[:, None])
        for rows in (query.double(), refs.double())
        for norm in [rows.norm(dim=1)]
    )
    gap = torch.stack([(row - v).square().sum(1) for row in u])
    p = 2 * ((a[:, None] - b) / 2).sinh().square() + a.sinh().outer(b.sinh()) * gap / 2
    return torch.log1p(p + (p * (p + 2)).sqrt()) / c**0.5


def assert_nearest(
    c: float, query: torch.Tensor, refs: torch.Tensor, k: int, *, has_ties: bool = False
) -> None:
    distances, indices = PoincareKNN(PoincareDistance(c))(query, k, refs)
    exact = exact_distances(c, query, refs)
    expected, rows = (x[:, :k] for x in exact.sort(dim=1, stable=True))
    if has_ties:
        # what float64 tells apart is in order
        torch.testing.assert_close(exact.gather(1, indices), expected, rtol=1e-13, atol=0)
    else:
        assert torch.equal(indices, rows)
    # float32 has no more digits of what is below its range
    torch.testing.assert_close(distances, expected.float(), rtol=1e-6, atol=1e-44)


@pytest.mark.parametrize("spread", [None, 0.01, 1e-4], ids=["gaussian", "clusters", "tight"])
@pytest.mark.parametrize("c", [1e-8, 1e-3, 0.1, 1.0, 10.0])
@pytest.mark.parametrize("d", [2, 16, 128])
def test_is_exact_at_every_scale(d, c, spread, with_faiss):
    directions = torch.randn(210, d, dtype=torch.float64)
    if spread is not None:
        centres = directions[:4]
        directions = centres[torch.arange(210) % 4] + spread * directions
    for name, norms in NORMS.items():
        # members of a cluster are at one radius, but for what differs between them
        lengths = torch.tensor(norms, dtype=torch.float64)[torch.arange(210) // 4 % len(norms)]
        e = (directions * lengths[:, None] / d**0.5).float()
        # beside a norm of 1 one of 1e-20 is none
        assert_nearest(c, e[:10], e[10:], 10, has_ties=name == "mixed")


def test_is_exact_among_many_near_the_origin(with_faiss):
    e = torch.nn.functional.normalize(torch.randn(2050, 16))
    for c, norm in ((0.1, 1e-3), (0.1, 1e-4), (1e-8, 1.1)):
        assert_nearest(c, norm * e[:50], norm * e[50:], 10)


def test_is_exact_where_float32_cannot_tell(with_faiss):
    # from next to the origin all references, at one radius, are equally far in seven digits
    query, refs = 1e-6 * torch.randn(20, 16), 9 * torch.randn(2000, 16)
    assert_nearest(0.1, query, refs, 10)
    # more neighbours within rounding than are looked at twice
    refs = torch.randn(1, 64) / 8 + 1e-5 * torch.randn(2000, 64)
    assert_nearest(0.1, refs[:20], refs, 10)


def test_is_exact_where_curvature_is_strong(with_faiss):
    # cosh A is beyond float32
    e = torch.nn.functional.normalize(torch.randn(400, 4)) * torch.linspace(50, 60, 400)[:, None]
    knn = PoincareKNN(PoincareDistance(1.0, clip_radius=70.0))
    distances, indices = knn(e[:20], 5, e[20:])
    exact = exact_distances(1.0, e[:20], e[20:], clip=70.0).sort(1)
    assert torch.equal(indices, exact.indices[:, :5])
    torch.testing.assert_close(distances, exact.values[:, :5].float(), rtol=1e-6, atol=0)


def test_is_exact_under_autocast_and_any_precision_of_products(with_faiss):
    e = embeddings("tight", 2000, 64)
    expected = PoincareKNN()(e[:100], 10, e[100:])
    before = torch.get_float32_matmul_precision()
    try:
        torch.set_float32_matmul_precision("medium")
        with torch.autocast("cpu", dtype=torch.bfloat16):
            found = PoincareKNN()(e[:100], 10, e[100:])
    finally:
        torch.set_float32_matmul_precision(before)
    assert torch.equal(found[1], expected[1])
    assert torch.equal(found[0], expected[0])


def test_is_exact_after_references_far_larger_than_the_first(with_faiss):
    small, large = 1e-18 * torch.randn(200, 8), torch.randn(200, 8)
    knn = PoincareKNN(reset_before=False, reset_after=False)
    knn.train(small)
    knn(small[:3], 5)
    knn.add(large)
    refs = torch.cat([small, large])
    for query in (small[:20], large[:20]):
        exact = exact_distances(0.1, query, refs)
        found = exact.gather(1, knn(query, 5)[1])
        # from afar the first ones are all in one place
        torch.testing.assert_close(found, exact.sort(1).values[:, :5], rtol=1e-13, atol=0)


@pytest.mark.parametrize("norm", [1e-20, 1e-6, 1.0])
@pytest.mark.parametrize("c", [1e-8, 0.1])
def test_an_index_of_points_of_the_ball_works_at_every_scale(c, norm):
    e = norm * embeddings("clusters", 3000, 16) / 2.3
    query, refs = e[:200], e[200:]
    knn = PoincareKNN(PoincareDistance(c), index_init_fn=hnsw)
    expected = exact_distances(c, query, refs).argsort(1)[:, :10]
    recall = (knn(query, 10, refs)[1][:, :, None] == expected[:, None]).any(2).float().mean()
    assert recall > 0.9


def test_k_of_zero_returns_no_neighbours(with_faiss):
    query, refs = torch.randn(5, 4, dtype=torch.float64), torch.randn(30, 4)
    for found, dtype in zip(PoincareKNN()(query, 0, refs), (query.dtype, torch.long), strict=True):
        assert found.shape == (5, 0)
        assert found.dtype == dtype
    # the one reference is the query itself
    assert PoincareKNN()(query[:1], 0, query[:1], True)[1].shape == (1, 0)


def test_a_tester_accepts_classes_with_one_sample(with_faiss):
    data = torch.utils.data.TensorDataset(torch.randn(12, 4), torch.arange(12))

    def accuracies(knn):
        calculator = AccuracyCalculator(
            include=("precision_at_1", "r_precision", "mean_average_precision_at_r"),
            k="max_bin_count",
            knn_func=knn,
        )
        tester = GlobalEmbeddingSpaceTester(
            dataloader_num_workers=0, accuracy_calculator=calculator, normalize_embeddings=False
        )
        return tester.test({"test": data}, 0, torch.nn.Identity())["test"]

    ours, theirs = accuracies(PoincareKNN()), accuracies(FaissKNN())
    assert ours.keys() == theirs.keys()
    for name, value in theirs.items():
        assert ours[name] == pytest.approx(value, nan_ok=True)
    assert math.isnan(ours["precision_at_1_level0"])  # no class can be found again


@pytest.mark.parametrize("half", [torch.float16, torch.bfloat16])
def test_half_precision_comes_back_as_it_went_in(half):
    e = torch.randn(20, 4).to(half)
    distances, indices = PoincareKNN()(e, 3, e)
    assert distances.dtype == half
    assert torch.equal(indices, PoincareKNN()(e.float(), 3, e.float())[1])


def as_stored(kind: str, e: torch.Tensor, folder: Path) -> torch.Tensor | np.memmap:
    """Rows in half precision, or in a file that may only be read."""
    if kind in ("float16", "bfloat16"):
        return e.to(getattr(torch, kind))
    path = folder / "rows.npy"
    np.save(path, e.numpy().astype(kind.removesuffix(" file")))
    return np.load(path, mmap_mode="r")


STORED = ["float16", "bfloat16", "float16 file", "float32 file"]


@pytest.mark.parametrize("kind", STORED)
@pytest.mark.parametrize("data", ["radii", "tight"])  # the tight ones need a second search
def test_rows_in_half_precision_or_in_a_file_are_found_as_in_float32(
    kind, data, tmp_path, monkeypatch
):
    monkeypatch.setattr(nearest_candidates, "_BLOCK_ROWS", 300)
    stored = as_stored(kind, embeddings(data, 2000, 32), tmp_path)
    plain = torch.as_tensor(np.array(stored) if isinstance(stored, np.ndarray) else stored).float()
    for k, leave_out in ((5, False), (5, True), (len(plain) - 1, True)):
        expected = PoincareKNN()(plain[:50], k, plain, leave_out)
        found = PoincareKNN()(plain[:50], k, stored, leave_out)
        assert torch.equal(found[1], expected[1])
        assert torch.equal(found[0], expected[0])
        query = stored[:50]
        distances, indices = PoincareKNN()(query, k, stored, leave_out)
        assert str(distances.dtype) == f"torch.{kind.removesuffix(' file')}"
        assert torch.equal(indices, expected[1])


@pytest.mark.parametrize("kind", STORED)
def test_no_float32_copy_of_all_rows_is_made(kind, tmp_path, monkeypatch):
    monkeypatch.setattr(nearest_candidates, "_BLOCK_ROWS", 256)
    monkeypatch.setattr(row_blocks, "_ELEMENTS", 1 << 14)
    rows = embeddings("radii", 4000, 256)
    stored = as_stored(kind, rows, tmp_path)
    knn = PoincareKNN(reset_before=False, reset_after=False)
    knn.train(rows[:2])
    knn.train(stored)
    assert knn.references is not None
    address = stored.ctypes.data if isinstance(stored, np.ndarray) else stored.data_ptr()
    assert knn.references.data_ptr() == address
    peak = peak_bytes(lambda: knn(rows[:5], 3), torch.device("cpu"))
    assert 0 < peak < rows.nbytes / 2
    assert knn.index is None
    # (it is made of rows in float32, where faiss is there)
    knn.train(rows)
    knn(rows[:5], 3)
    assert knn.index.ntotal == len(rows)


def test_half_and_whole_rows_can_be_added_to_each_other():
    whole = embeddings("radii", 300, 8)
    half = whole[:100].half()
    for first, then in ((half, whole[100:]), (whole[100:], half), (half, half.float())):
        knn = PoincareKNN(reset_before=False, reset_after=False)
        knn.add(first)
        knn(whole[:5], 3)
        knn.add(then)
        rows = torch.cat([first.float(), then.float()])
        assert torch.equal(knn(whole[:5], 3)[1], PoincareKNN()(whole[:5], 3, rows)[1])
        assert knn.index is not None


def test_rows_in_half_precision_are_normalised_in_float32():
    e = torch.randn(300, 8).half()
    knn = PoincareKNN(PoincareDistance(normalize_embeddings=True))
    expected = knn(e[:20].float(), 5, e.float())
    found = knn(e[:20].float(), 5, e)
    assert torch.equal(found[1], expected[1])
    assert torch.equal(found[0], expected[0])


def test_rows_in_half_precision_and_files_that_are_wrong_are_refused(tmp_path):
    rows = torch.randn(40, 4).half()
    # a sum in float16 would overflow
    PoincareKNN()(rows[:2], 1, torch.full((40, 4), 6e4).half())
    rows[7, 1] = torch.inf
    path = tmp_path / "rows.npy"
    np.save(path, rows.numpy())
    for bad in (rows, np.load(path, mmap_mode="r")):
        with pytest.raises(ValueError, match="reference must be finite, got nan or inf in 1 of 40"):
            PoincareKNN()(rows[:2], 1, bad)


def test_references_in_half_precision_are_saved_as_they_are(tmp_path):
    refs = torch.randn(30, 4).half()
    knn, other = (PoincareKNN(reset_before=False, reset_after=False) for _ in range(2))
    knn.train(refs)
    knn.save(tmp_path / "refs.pt")
    other.load(tmp_path / "refs.pt")
    assert torch.equal(other.references, refs)
    assert torch.equal(other(refs[:5], 3)[1], knn(refs[:5], 3)[1])
    assert other.index is None


def test_references_can_be_added_saved_and_loaded(tmp_path, with_faiss):
    query, refs = torch.randn(5, 4), torch.randn(30, 4)
    knn = PoincareKNN(reset_before=False, reset_after=False)
    knn.train(torch.randn(3, 4))
    knn.train(refs[:10])
    knn(query, 3)
    knn.add(refs[10:])
    expected = PoincareKNN()(query, 6, refs)
    for ours, theirs in zip(knn(query, 6), expected, strict=True):
        assert torch.equal(ours, theirs)
    knn.save(tmp_path / "refs.pt")
    other = PoincareKNN(reset_before=False)
    other.load(tmp_path / "refs.pt")
    assert torch.equal(other(query, 6)[1], expected[1])
    with pytest.raises(ValueError, match="reference must be given"):
        other(query, 6)  # reset after the search
    with pytest.raises(ValueError, match="references must be added before they are saved"):
        other.save(tmp_path / "none.pt")


def hnsw(d: int) -> faiss.Index:
    index = faiss.IndexHNSWFlat(d, 32)
    index.hnsw.efSearch = 64
    return index


def ivf(d: int) -> faiss.Index:
    index = faiss.index_factory(d, "IVF16,Flat")
    index.nprobe = 8
    return index


def ivf_products(d: int) -> faiss.Index:
    index = faiss.index_factory(d, "IVF16,Flat", faiss.METRIC_INNER_PRODUCT)
    index.nprobe = 16  # all of it
    return index


INDICES = {"HNSW": hnsw, "IVF": ivf, "IVF of products": ivf_products}


@pytest.mark.parametrize("kind", INDICES)
def test_an_approximate_index_finds_most_neighbours(kind, tmp_path):
    e = embeddings("clusters", 3000, 16)
    query, refs = e[:200], e[200:]
    options = {"index_init_fn": INDICES[kind], "reset_before": False, "reset_after": False}
    knn = PoincareKNN(**options)
    knn.train(refs)
    distances, indices = knn(query, 10)
    expected = brute_force(0.1, query, refs, 10)
    recall = (indices[:, :, None] == expected[:, None]).any(2).float().mean()
    assert recall > 0.9
    assert (distances.diff(dim=1) >= 0).all()
    knn.save(tmp_path / "index.pt")
    other = PoincareKNN(**options)
    other.load(tmp_path / "index.pt")
    assert torch.equal(other(query, 10)[1], indices)
    assert type(other.index) is not faiss.IndexFlatIP


def test_curvature_is_read_at_every_search():
    distance = PoincareDistance(0.1, learn_curvature=True)
    query, refs = torch.randn(5, 4), torch.randn(60, 4)
    knn = PoincareKNN(distance, rerank=0, reset_before=False, reset_after=False)
    knn.train(refs)
    before = knn(query, 6)[0]
    with torch.no_grad():
        distance.log_curvature += 3
    after, indices = knn(query, 6)
    expected = distance(query, refs).sort(1)
    assert not torch.allclose(before, after)
    torch.testing.assert_close(after, expected.values[:, :6].detach(), rtol=1e-5, atol=0)
    assert torch.equal(indices, expected.indices[:, :6])


def test_evaluates_by_the_radius_where_normalisation_destroys_it():
    # classes differ in their distance to the origin only
    labels = torch.arange(3).repeat_interleave(30)
    angle = torch.linspace(0, 6, 30).repeat(3)
    radius = torch.tensor([0.1, 1.0, 2.2])[labels]
    e = torch.stack([angle.cos() * radius, angle.sin() * radius], 1)
    include = ("precision_at_1",)
    calculator = AccuracyCalculator(include=include, knn_func=PoincareKNN())
    assert calculator.get_accuracy(e, labels)["precision_at_1"] == 1
    normalised = torch.nn.functional.normalize(e)
    with pytest.warns(UserWarning, match="all embeddings have norm 1"):
        accuracy = calculator.get_accuracy(normalised, labels)
    assert accuracy["precision_at_1"] < 0.7


def test_a_tester_that_normalises_causes_a_warning():
    data = torch.utils.data.TensorDataset(torch.randn(40, 4), torch.arange(40) % 4)
    calculator = AccuracyCalculator(include=("precision_at_1",), knn_func=PoincareKNN())
    trunk = torch.nn.Identity()
    options = {"dataloader_num_workers": 0, "accuracy_calculator": calculator, "batch_size": 40}
    tester = GlobalEmbeddingSpaceTester(**options)
    with pytest.warns(UserWarning, match="normalize_embeddings=False"):
        tester.test({"test": data}, 0, trunk)
    tester = GlobalEmbeddingSpaceTester(**options, normalize_embeddings=False)
    accuracies = tester.test({"test": data}, 0, trunk)["test"]
    expected = calculator.get_accuracy(*data.tensors)["precision_at_1"]
    assert accuracies["precision_at_1_level0"] == pytest.approx(expected)
    assert not math.isnan(expected)


def test_bad_arguments_are_refused(monkeypatch):
    with pytest.raises(
        TypeError, match="PoincareDistance or a LorentzSimilarity, got CosineSimilarity"
    ):
        PoincareKNN(CosineSimilarity())
    with pytest.raises(ValueError, match="rerank must be at least 0, got -1"):
        PoincareKNN(rerank=-1)
    knn, refs = PoincareKNN(), torch.randn(5, 2)
    for k, message in ((5, "k must be at most 4, .* got 5"), (-1, "k must be at least 0, got -1")):
        with pytest.raises(ValueError, match=message):
            knn(refs, k, refs, ref_includes_query=True)
    with pytest.raises(ValueError, match="must include the 5 queries"):
        knn(refs, 1, refs[:3], ref_includes_query=True)
    with pytest.raises(ValueError, match=r"reference must be of shape \(N, 2\), got \(5, 3\)"):
        knn(refs, 1, torch.randn(5, 3))
    with pytest.raises(TypeError, match="must be of a floating point dtype, got torch.int64"):
        knn(torch.arange(6).reshape(3, 2), 1, refs)
    for bad in (torch.nan, torch.inf):
        rows = torch.tensor([[0.0, bad], [0.0, 1.0]])
        with pytest.raises(ValueError, match="query must be finite, got nan or inf in 1 of 2 rows"):
            knn(rows, 1, refs)
        with pytest.raises(ValueError, match="reference must be finite, got nan or inf in 1 of 2"):
            knn(refs, 1, rows)
    with pytest.raises(ValueError, match="must make an index for inner products or L2, got"):
        PoincareKNN(index_init_fn=lambda d: faiss.IndexFlat(d, faiss.METRIC_L1))(refs, 1, refs)
    few = torch.randn(200, 2)
    with pytest.raises(ValueError, match="the index must find 150 neighbours"):
        PoincareKNN(
            index_init_fn=lambda d: faiss.index_factory(d, "IVF4,Flat", faiss.METRIC_INNER_PRODUCT)
        )(few, 150, few)
    monkeypatch.setattr(poincare_knn, "faiss", None)
    with pytest.raises(ValueError, match="must be None without faiss, got <function"):
        PoincareKNN(index_init_fn=lambda d: None)


def test_a_refused_call_changes_nothing():
    knn = PoincareKNN(reset_before=False, reset_after=False)
    refs = torch.randn(5, 2)
    knn.train(refs)
    for call in (
        lambda: knn(refs, 9, refs[:1]),
        lambda: knn(torch.randn(2, 3), 1),
        lambda: knn.add(torch.randn(2, 3)),
        lambda: knn.train(torch.randn(2)),
    ):
        with pytest.raises(ValueError, match="must be"):
            call()
        assert knn.references is not None
        assert torch.equal(knn.references, refs)
