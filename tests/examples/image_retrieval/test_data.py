import pytest
import torch
from image_retrieval.data import ImageDataset, load
from image_retrieval.settings import Settings
from PIL import Image


def test_the_first_half_of_the_classes_trains_and_the_others_test(options):
    train, test = load(Settings(**options))
    assert {path.split("/")[-2] for path in train.paths} == {f"class_{k:02}" for k in range(4)}
    assert {path.split("/")[-2] for path in test.paths} == {f"class_{k:02}" for k in range(4, 8)}
    assert train.num_classes == test.num_classes == 4
    for path, label in zip(train.paths, train.labels.tolist(), strict=True):
        assert path.split("/")[-2] == f"class_{label:02}"
    assert not train.is_noisy.any()


@pytest.mark.parametrize("kind", ["symmetric", "small_cluster", "open_set"])
def test_noise_has_its_rate_and_depends_on_the_seed(options, kind):
    noisy, test = load(Settings(**options | {"noise_rate": 0.25, "noise_kind": kind}))
    clean, _ = load(Settings(**options))
    assert int(noisy.is_noisy.sum()) == 8
    assert sorted(noisy.labels.unique().tolist()) == list(range(noisy.num_classes))
    if kind == "symmetric":
        assert torch.equal(noisy.labels != clean.labels, noisy.is_noisy)
    again, _ = load(Settings(**options | {"noise_rate": 0.25, "noise_kind": kind}))
    other, _ = load(Settings(**options | {"noise_rate": 0.25, "noise_kind": kind, "seed": 1}))
    assert torch.equal(again.labels, noisy.labels)
    assert not torch.equal(other.is_noisy, noisy.is_noisy)
    assert test.is_noisy is None


def test_labels_of_a_published_list(options, tmp_path):
    lines = [f"/elsewhere/class_{k:02}/{i}.png,{10 * k}\n" for k in range(4) for i in range(8)]
    lines[3] = "/elsewhere/class_00/3.png,30\n"
    (tmp_path / "noised.csv").write_text("".join(reversed(lines)))
    (tmp_path / "cleaned.csv").write_text("".join(lines[:3] + lines[4:]))
    given = {
        "noise_list": str(tmp_path / "noised.csv"),
        "clean_list": str(tmp_path / "cleaned.csv"),
    }
    train, _ = load(Settings(**options | given))
    expected = torch.arange(4).repeat_interleave(8)
    expected[3] = 3
    assert torch.equal(train.labels, expected)
    assert train.is_noisy.nonzero().flatten().tolist() == [3]


def test_a_folder_must_have_classes(options, tmp_path):
    with pytest.raises(ValueError, match="root must be a folder, got"):
        load(Settings(**options | {"root": str(tmp_path / "nowhere")}))
    with pytest.raises(ValueError, match="at least 4 sub-folders with images.*got 0"):
        load(Settings(**options | {"root": str(tmp_path)}))


def test_cub_by_its_published_layout(options, tmp_path):
    folder = tmp_path / "CUB_200_2011"
    files = {}
    for k in (1, 2, 100, 101, 102, 200):
        (folder / f"images/{k:03}.bird").mkdir(parents=True)
        for i in range(2):
            name = f"{k:03}.bird/{i}.jpg"
            Image.new("L", (8, 8)).save(folder / "images" / name)
            files[name] = k
    numbered = list(enumerate(files.items(), 1))
    (folder / "images.txt").write_text("".join(f"{n} {name}\n" for n, (name, _) in numbered))
    (folder / "image_class_labels.txt").write_text("".join(f"{n} {k}\n" for n, (_, k) in numbered))
    train, test = load(Settings(**options | {"data": "cub", "root": str(tmp_path)}))
    assert train.labels.tolist() == test.labels.tolist() == [0, 0, 1, 1, 2, 2]
    assert "/100.bird/" in train.paths[-1]
    assert "/101.bird/" in test.paths[0]
    image, label = ImageDataset(train.paths, train.labels)[2]
    assert (image.mode, label) == ("RGB", 1)  # the file is grey
