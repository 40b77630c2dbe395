import numpy as np
import pytest
import torch
from matplotlib import pyplot as plt
from matplotlib.figure import Figure
from pytorch_metric_learning.testers import GlobalEmbeddingSpaceTester

from pml_ahsml import PoincareDistance
from pml_ahsml.inference import accuracy_calculator
from pml_ahsml.visualization import DiskProjection, visualizer_hook


def make_tester(folder, **options):
    distance = PoincareDistance(0.4)
    return GlobalEmbeddingSpaceTester(
        **{"normalize_embeddings": False, "visualizer": DiskProjection(distance), **options},
        dataloader_num_workers=0,
        accuracy_calculator=accuracy_calculator(distance, include=("precision_at_1",), k=1),
        visualizer_hook=visualizer_hook(folder, dpi=60),
    )


def data(num_levels: int = 1) -> torch.utils.data.TensorDataset:
    labels = torch.stack([torch.arange(30) // 3 ** (1 + level) for level in range(num_levels)], 1)
    return torch.utils.data.TensorDataset(0.5 * torch.randn(30, 6), labels)


def test_a_tester_writes_a_picture_of_each_split_level_and_epoch(tmp_path):
    # a block of a page that ran before in this process may have left some
    before = plt.get_fignums()
    folder = tmp_path / "new" / "pictures"
    tester = make_tester(folder, label_hierarchy_level="all")
    splits = {"train": data(2), "val": data(2)}
    for epoch in (1, 2):
        tester.test(splits, epoch, torch.nn.Identity())
    assert {path.name for path in folder.iterdir()} == {
        f"{split}_DiskProjection_level{level}_{epoch}.png"
        for split in splits
        for level in (0, 1)
        for epoch in (1, 2)
    }
    pixels = plt.imread(folder / "val_DiskProjection_level1_2.png")
    assert pixels.shape[:2] == (390, 510)
    assert len(np.unique(pixels.reshape(-1, 4), axis=0)) > 20  # something is on it
    assert plt.get_fignums() == before


def test_a_tester_that_normalises_causes_a_warning(tmp_path):
    tester = make_tester(tmp_path, normalize_embeddings=True)
    with pytest.warns(UserWarning, match="give the tester or InferenceModel normalize_embeddings"):
        tester.test({"val": data()}, 1, torch.nn.Identity())


def test_the_disk_is_that_of_the_distance(tmp_path, monkeypatch):
    drawn = []
    monkeypatch.setattr(Figure, "savefig", lambda figure, *_, **__: drawn.append(figure.axes[0]))
    projection = DiskProjection(PoincareDistance(0.4, clip_radius=1.0))
    flat = projection.fit_transform(torch.randn(40, 6) + 0.1)
    visualizer_hook(tmp_path)(projection, flat, np.arange(40) % 3, "val", "key", 7)
    assert drawn[0].get_xlim()[1] == pytest.approx(1.12 * np.tanh(0.4**0.5))
    assert drawn[0].get_title().startswith("val, epoch 7: 40 samples of 3 classes, ")
    assert drawn[0].get_title().endswith(f"at the clip radius\n{projection.caption}")


@pytest.mark.parametrize("split", ["../val", "val/clean", "val\\clean", "/val", "val\0"])
def test_a_split_whose_name_leads_out_of_the_folder_is_refused(tmp_path, split):
    folder = tmp_path / "pictures"
    hook = visualizer_hook(folder)
    with pytest.raises(ValueError, match="split_name must be part of a file name"):
        hook(DiskProjection(), torch.randn(9, 3), torch.arange(9) % 3, split, "key", 1)
    assert not any(path.is_file() for path in tmp_path.rglob("*"))


def test_the_name_of_a_split_is_shown_as_it_is(tmp_path, monkeypatch):
    drawn = []
    monkeypatch.setattr(Figure, "savefig", lambda figure, *_, **__: drawn.append(figure))
    hook = visualizer_hook(tmp_path)
    hook(DiskProjection(), torch.randn(9, 3), torch.arange(9) % 3, "$x_{$", "key", 1)
    drawn[0].canvas.draw()  # mathematics that is none ends the drawing
    assert drawn[0].axes[0].get_title().startswith("$x_{$, epoch 1")


def test_dpi_is_a_positive_number(tmp_path):
    with pytest.raises(ValueError, match="dpi must be positive and finite, got 0"):
        visualizer_hook(tmp_path, dpi=0)


def test_another_visualizer_is_refused(tmp_path):
    class Flat:
        def fit_transform(self, embeddings):
            return embeddings[:, :2]

    tester = make_tester(tmp_path, visualizer=Flat())
    with pytest.raises(TypeError, match="visualizer must be a DiskProjection, got Flat"):
        tester.test({"val": data()}, 1, torch.nn.Identity())
