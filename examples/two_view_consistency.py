"""Two augmented views of every image, which belong together whatever the label says.

Run: python examples/two_view_consistency.py
"""

import warnings

import numpy as np
import torch
from pytorch_metric_learning.distances import CosineSimilarity
from pytorch_metric_learning.losses import ContrastiveLoss
from pytorch_metric_learning.samplers import MPerClassSampler
from pytorch_metric_learning.trainers import MetricLossOnly
from pytorch_metric_learning.utils import common_functions as c_f
from pytorch_metric_learning.utils.accuracy_calculator import AccuracyCalculator
from pytorch_metric_learning.utils.inference import CustomKNN
from sklearn.datasets import load_digits
from torch.nn.functional import affine_grid, grid_sample
from torch.utils.data import TensorDataset

from pml_ahsml import AdaptiveNoiseAwareLoss, inject_label_noise
from pml_ahsml.data import BatchGetter, TwoViewDataset

# PML's progress bar shows the loss with its gradient attached, of which torch warns
warnings.filterwarnings("ignore", "Converting a tensor with requires_grad=True to a scalar")
STEPS, BATCH_SIZE = 120, 60
digits = load_digits()
images = torch.tensor(digits.data / 16, dtype=torch.float32)
truth = torch.tensor(digits.target)
train, test = slice(0, 1200), slice(1200, None)
labels, _ = inject_label_noise(truth[train], 0.4, generator=torch.Generator().manual_seed(0))
calculator = AccuracyCalculator(
    include=("mean_average_precision_at_r",), knn_func=CustomKNN(CosineSimilarity())
)


def weak(image):
    return image + 0.05 * torch.randn_like(image)


def strong(image):
    """Moved, turned and stretched a little."""
    change = torch.cat([0.08 * torch.randn(2, 2), 0.12 * torch.randn(2, 1)], 1)
    grid = affine_grid((torch.eye(2, 3) + change)[None], (1, 1, 8, 8), align_corners=False)
    return grid_sample(image.view(1, 1, 8, 8), grid, align_corners=False).flatten()


def train_and_test(dataset, num_views):
    torch.manual_seed(0)
    c_f.NUMPY_RANDOM = np.random.default_rng(0)  # what MPerClassSampler draws from
    net = torch.nn.Sequential(torch.nn.Linear(64, 256), torch.nn.ReLU(), torch.nn.Linear(256, 64))
    loss = AdaptiveNoiseAwareLoss(ContrastiveLoss(), 10, 64, num_views=num_views)
    MetricLossOnly(
        models={"trunk": net},
        optimizers={"trunk_optimizer": torch.optim.AdamW(net.parameters(), lr=1e-3)},
        batch_size=BATCH_SIZE,  # images; the loss sees twice as many rows
        loss_funcs={"metric_loss": loss},
        dataset=dataset,
        data_and_label_getter=BatchGetter(),  # stacks the views
        sampler=MPerClassSampler(labels, m=6, length_before_new_iter=STEPS * BATCH_SIZE),
        iterations_per_epoch=STEPS,
        dataloader_num_workers=0,
    ).train()
    torch.manual_seed(0)
    moved = torch.stack([strong(image) for image in images[test]])
    with torch.no_grad():
        e, e_moved = net(images[test]), net(moved)
    found = [calculator.get_accuracy(q, truth[test], e, truth[test], q is e) for q in (e, e_moved)]
    return [accuracy["mean_average_precision_at_r"] for accuracy in found]


one_view = TensorDataset(images[train], labels)
two_views = TwoViewDataset(one_view, weak, strong)
for name, dataset, num_views in (
    ("one view", one_view, 1),
    ("two views, as samples of their label", two_views, 1),
    ("two views, as views of one image", two_views, 2),
):
    still, moved = train_and_test(dataset, num_views)
    print(f"{name:36}: MAP@R {still:.3f}, of moved images {moved:.3f}")
