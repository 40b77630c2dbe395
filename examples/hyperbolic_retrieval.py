"""Retrieval in hyperbolic space: train, test, search and match with one Poincaré distance.

Run: python examples/hyperbolic_retrieval.py
"""

import torch
from digits import fit, images, make_network, truth
from digits import test as queries
from digits import train as gallery
from pytorch_metric_learning.losses import TripletMarginLoss
from pytorch_metric_learning.testers import GlobalEmbeddingSpaceTester
from torch.utils.data import TensorDataset

from pml_ahsml import PoincareDistance
from pml_ahsml.inference import accuracy_calculator, inference_model

# Use one distance everywhere. Distances reach 4 · clip_radius = 9.2, so the margin is 2, not .05.
distance = PoincareDistance()
net = make_network(32)
loss = TripletMarginLoss(margin=2, distance=distance)
fit(net, loss, images[gallery], truth[gallery], per_class=8, batch_size=80, steps=120)

# 1. Test. PML's default, normalize_embeddings=True, would discard the norm.
tester = GlobalEmbeddingSpaceTester(
    normalize_embeddings=False,
    dataloader_num_workers=0,
    accuracy_calculator=accuracy_calculator(
        distance, include=("precision_at_1", "mean_average_precision_at_r"), k="max_bin_count"
    ),
)
data = {
    "gallery": TensorDataset(images[gallery], truth[gallery]),
    "queries": TensorDataset(images[queries], truth[queries]),
}
found = tester.test(data, 1, net, splits_to_eval=[("queries", ["gallery"])])["queries"]
print(f"precision@1 {found['precision_at_1_level0']:.3f}")
print(f"MAP@R {found['mean_average_precision_at_r_level0']:.3f}")

# 2. Search: the five nearest images of the gallery, exactly, with faiss if it is installed.
model = inference_model(net, distance, threshold=3.0)
model.train_knn(images[gallery])
distances, rows = model.get_nearest_neighbors(images[queries], k=5)
for label, row, near in zip(truth[queries][:3], rows, distances, strict=False):
    print(f"a {label}: {truth[gallery][row].tolist()} at {near.numpy().round(2)}")

# 3. Match: pairs closer than the threshold.
matches = torch.as_tensor(model.get_matches(images[queries], images[gallery]))
same = truth[queries][:, None] == truth[gallery]
precision, recall = (float(same[matches].float().mean()), float(matches[same].float().mean()))
print(f"matches closer than 3: precision {precision:.3f}, recall {recall:.3f}")
