import io
import re

import faiss
import pytest
import torch

from pml_ahsml import PoincareDistance, PoincareKNN
from pml_ahsml.inference import knn_file

M, D = 40, 4


def hnsw(d: int) -> faiss.Index:
    return faiss.IndexHNSWFlat(d, 8)


def make_knn(**kwargs) -> PoincareKNN:
    options = {"index_init_fn": hnsw, "reset_before": False, "reset_after": False}
    return PoincareKNN(**options | kwargs)


@pytest.fixture
def path(tmp_path):
    """A file with references and an index."""
    knn = make_knn()
    knn.train(torch.randn(M, D))
    knn.save(tmp_path / "saved.pt")
    return tmp_path / "saved.pt"


def assert_refused(path, message: str) -> None:
    """Loading fails with a message that names the file, and changes nothing."""
    knn = make_knn()
    refs, query = torch.randn(20, 3), torch.randn(5, 3)
    knn.train(refs)
    expected, index = knn(query, 4), knn.index
    with pytest.raises(ValueError, match=message) as caught:
        knn.load(path)
    assert str(path) in str(caught.value)
    assert knn.index is index
    assert torch.equal(knn.references, refs)
    for ours, before in zip(knn(query, 4), expected, strict=True):
        assert torch.equal(ours, before)


def test_what_is_saved_is_loaded(path):
    references, built = knn_file.read(path)
    assert references.shape == (M, D)
    assert built is not None
    assert built.geometry == (0.1, 2.3, False)
    assert built.scale > 0
    assert (built.index.ntotal, built.index.d) == (M, D + 1)
    assert type(built.index) is faiss.IndexHNSWFlat
    knn = make_knn()
    knn.load(path)
    assert type(knn.index) is faiss.IndexHNSWFlat
    expected = PoincareKNN()(references[:5], 3, references)[1]
    assert torch.equal(knn(references[:5], 3)[1], expected)


def test_an_index_of_other_curvature_or_of_an_older_version_is_built_anew(path):
    state = torch.load(path)
    references = state["references"]
    other = make_knn(distance=PoincareDistance(1.0))
    other.load(path)
    loaded = other.index
    expected = PoincareKNN(other.distance)(references[:5], 3, references)
    assert torch.equal(other(references[:5], 3)[1], expected[1])
    assert other.index is not loaded
    # of older coordinates
    torch.save({name: state[name] for name in ("references", "index", "geometry")}, path)
    old = make_knn()
    old.load(path)
    assert old.index is None
    expected = PoincareKNN()(references[:5], 3, references)
    assert torch.equal(old(references[:5], 3)[1], expected[1])


def test_references_are_loaded_without_faiss(path, monkeypatch):
    monkeypatch.setattr(knn_file, "faiss", None)
    references, built = knn_file.read(path)
    assert references.shape == (M, D)
    assert built is None


def index_of(d: int, n: int, metric: int = faiss.METRIC_L2) -> dict:
    index = faiss.IndexHNSWFlat(d, 8, metric)
    index.add(torch.randn(n, d).numpy())
    return entries_of(faiss.serialize_index(index))


def entries_of(content) -> dict:
    content = torch.as_tensor(content)
    return {"index": content, "checksum": knn_file.zlib.crc32(content.numpy())}


def untrained() -> dict:
    return entries_of(faiss.serialize_index(faiss.index_factory(D + 1, "IVF4,Flat")))


# Wrong entries, and the message of each.
MUTATIONS = {
    "references of no dimension": ({"references": torch.ones(3)}, "shape (M, D), got (3,)"),
    "references of three": ({"references": torch.ones(3, 2, 2)}, "shape (M, D), got (3, 2, 2)"),
    "integers": ({"references": torch.ones(M, D).long()}, "float32 or float64, got torch.int64"),
    "complex": ({"references": torch.ones(M, D) * 1j}, "float32 or float64, got torch.complex64"),
    "nan": ({"references": torch.full((M, D), torch.nan)}, "finite, got nan or inf"),
    "sparse": ({"references": torch.ones(M, D).to_sparse()}, "dense and have data"),
    "meta": ({"references": torch.ones(M, D, device="meta")}, "dense and have data"),
    "list": ({"references": [[1.0]]}, "references of {} must be a tensor, got list"),
    "fewer references": ({"references": torch.ones(M - 1, D)}, "39 points with 5 dimensions"),
    "wider references": ({"references": torch.ones(M, D + 1)}, "40 points with 6 dimensions"),
    "no index": ({"index": None}, "index of {} must be a tensor, got NoneType"),
    "floats for bytes": ({"index": torch.ones(9)}, "a row of bytes (uint8), got torch.float32"),
    "table of bytes": ({"index": torch.ones(3, 3).byte()}, "a row of bytes (uint8)"),
    "wrong sum": ({"checksum": 7}, "checksum of {} must be that of the index, got 7"),
    "sum in words": ({"checksum": "x"}, "checksum of {} must be that of the index, got 'x'"),
    "no bytes": (entries_of(torch.zeros(0).byte()), "an index that faiss can read"),
    "random bytes": (entries_of(torch.arange(200).byte()), "an index that faiss can read"),
    "other size": (lambda: index_of(D + 1, 3), "with 5 dimensions, as the references, got 3 with"),
    "other width": (lambda: index_of(D + 2, M), "as the references, got 40 with 6"),
    "L1": (lambda: index_of(D + 1, M, faiss.METRIC_L1), "for inner products or L2, got metric"),
    "not trained": (untrained, "with 5 dimensions, as the references, got 0 with 5"),
    "two numbers": ({"geometry": (0.1, 2.3)}, "geometry of {} must be curvature and clip radius"),
    "number": ({"geometry": 0.1}, "geometry of {} must be"),
    "text": ({"geometry": ("0.1", 2.3, False)}, "geometry of {} must be"),
    "curvature of 0": ({"geometry": (0.0, 2.3, False)}, "geometry of {} must be"),
    "endless": ({"geometry": (0.1, float("inf"), False)}, "geometry of {} must be"),
    "integer for a bool": ({"geometry": (0.1, 2.3, 0)}, "geometry of {} must be"),
    "no scale": ({"scale": None}, "scale of {} must be a positive, finite float, got None"),
    "scale of nan": ({"scale": float("nan")}, "scale of {} must be a positive, finite float"),
    "another entry": ({"labels": torch.ones(2)}, "entries of {} must be"),
    "number for a name": ({3: 4}, "entries of {} must be"),
}


@pytest.mark.parametrize("kind", MUTATIONS)
def test_wrong_entries_are_refused(kind, path):
    change, message = MUTATIONS[kind]
    torch.save(torch.load(path) | (change() if callable(change) else change), path)
    assert_refused(path, re.escape(message.format(path)))


@pytest.mark.parametrize("name", ["references", "index", "geometry", "scale", "checksum"])
def test_missing_entries_are_refused(name, path):
    state = torch.load(path)
    del state[name]
    torch.save(state, path)
    assert_refused(path, "entries of .* must be")


@pytest.mark.parametrize("content", [[], 3, "text", torch.ones(3), {}, {"a": 1}])
def test_other_things_that_torch_saves_are_refused(content, path):
    torch.save(content, path)
    assert_refused(path, "must be")


def test_an_untrained_index_is_refused(path):
    # nothing in it is what an index of no references has, too
    torch.save(torch.load(path) | untrained() | {"references": torch.ones(0, D)}, path)
    assert_refused(path, "index of .* must be trained, got an untrained one")


def test_damaged_files_are_refused(path, generator):
    whole = path.read_bytes()
    for length in torch.randint(0, len(whole) - 1, (40,), generator=generator).tolist():
        path.write_bytes(whole[:length])
        assert_refused(path, "must be")
    for _ in range(20):
        noise = torch.randint(0, 256, (len(whole),), generator=generator, dtype=torch.uint8)
        path.write_bytes(noise.numpy().tobytes())
        assert_refused(path, "must be written by PoincareKNN.save")
    state = torch.load(io.BytesIO(whole))
    refused = 0
    for position in torch.randint(0, len(whole), (300,), generator=generator).tolist():
        damaged = bytearray(whole)
        damaged[position] ^= 1 << int(torch.randint(0, 8, (), generator=generator))
        path.write_bytes(damaged)
        try:
            references, built = knn_file.read(path)
        except ValueError:
            refused += 1
        else:
            # the damage is in what means nothing: padding, or a date
            assert torch.equal(references, state["references"])
            assert built is not None
            content = torch.from_numpy(faiss.serialize_index(built.index))
            assert torch.equal(content, state["index"])
            assert built[1:] == (state["geometry"], state["scale"])
    assert refused > 100


def test_wrong_bytes_of_an_index_never_reach_faiss(path, generator):
    state = torch.load(path)
    content = state["index"]
    for position in torch.randint(0, len(content), (30,), generator=generator).tolist():
        wrong = content.clone()
        wrong[position] += 1
        torch.save(state | {"index": wrong}, path)
        assert_refused(path, "checksum of .* must be that of the index")


def test_a_file_that_cannot_be_opened_is_an_oserror(tmp_path):
    with pytest.raises(FileNotFoundError):
        make_knn().load(tmp_path / "none.pt")
    with pytest.raises(IsADirectoryError):
        make_knn().load(tmp_path)
