"""Two augmented views of every image are a positive pair, whatever the label.

Run: python examples/two_view_consistency.py
"""

import warnings

import torch
from digits import (
    embed,
    evaluate,
    images,
    make_network,
    make_sampler,
    test,
    train,
    truth,
    wrong_labels,
)
from pytorch_metric_learning.losses import ContrastiveLoss
from pytorch_metric_learning.trainers import MetricLossOnly
from torch.nn.functional import affine_grid, grid_sample
from torch.utils.data import TensorDataset

from pml_ahsml import AdaptiveNoiseAwareLoss
from pml_ahsml.data import BatchGetter, TwoViewDataset

# PML's progress bar shows the loss with its gradient attached, which makes torch warn
warnings.filterwarnings("ignore", "Converting a tensor with requires_grad=True to a scalar")
STEPS, BATCH_SIZE = 120, 60
labels, _ = wrong_labels(truth[train], 0.4)


def weak(image):
    return image + 0.05 * torch.randn_like(image)


def strong(image):
    """Move, turn and stretch the image a little."""
    change = torch.cat([0.08 * torch.randn(2, 2), 0.12 * torch.randn(2, 1)], 1)
    grid = affine_grid((torch.eye(2, 3) + change)[None], (1, 1, 8, 8), align_corners=False)
    return grid_sample(image.view(1, 1, 8, 8), grid, align_corners=False).flatten()


def train_network(dataset, num_views):
    net = make_network()
    loss = AdaptiveNoiseAwareLoss(ContrastiveLoss(), 10, 64, num_views=num_views)
    MetricLossOnly(
        models={"trunk": net},
        optimizers={"trunk_optimizer": torch.optim.AdamW(net.parameters(), lr=1e-3)},
        batch_size=BATCH_SIZE,  # images; the loss sees twice as many rows
        loss_funcs={"metric_loss": loss},
        dataset=dataset,
        data_and_label_getter=BatchGetter(),  # stacks the views
        sampler=make_sampler(labels, 6, BATCH_SIZE, STEPS),
        iterations_per_epoch=STEPS,
        dataloader_num_workers=0,
    ).train()
    return net


one_view = TensorDataset(images[train], labels)
two_views = TwoViewDataset(one_view, weak, strong)
for name, dataset, num_views in (
    ("one view", one_view, 1),
    ("two views, as samples of their label", two_views, 1),
    ("two views, as views of one image", two_views, 2),
):
    net = train_network(dataset, num_views)
    torch.manual_seed(0)
    moved = torch.stack([strong(image) for image in images[test]])
    embeddings = embed(net, images[test])
    _, still = evaluate(embeddings, truth[test])
    _, moved = evaluate(embed(net, moved), truth[test], reference=embeddings)
    print(f"{name:36}: MAP@R {still:.3f}, of moved images {moved:.3f}")
