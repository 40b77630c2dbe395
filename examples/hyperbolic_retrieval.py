"""Retrieval in hyperbolic space: train, test, then search and match by one Poincaré distance.

Run: python examples/hyperbolic_retrieval.py
"""

import numpy as np
import torch
from pytorch_metric_learning.losses import TripletMarginLoss
from pytorch_metric_learning.samplers import MPerClassSampler
from pytorch_metric_learning.testers import GlobalEmbeddingSpaceTester
from pytorch_metric_learning.utils import common_functions as c_f
from sklearn.datasets import load_digits
from torch.utils.data import TensorDataset

from pml_ahsml import PoincareDistance
from pml_ahsml.inference import accuracy_calculator, inference_model

digits = load_digits()
images = torch.tensor(digits.data / 16, dtype=torch.float32)
labels = torch.tensor(digits.target)
gallery, queries = slice(0, 1200), slice(1200, None)

torch.manual_seed(0)
c_f.NUMPY_RANDOM = np.random.default_rng(0)  # what MPerClassSampler draws from
net = torch.nn.Sequential(torch.nn.Linear(64, 256), torch.nn.ReLU(), torch.nn.Linear(256, 32))
optimizer = torch.optim.AdamW(net.parameters(), lr=1e-3)

# One distance for everything. Distances reach 4 · clip_radius = 9.2, so the margin is 2, not .05.
distance = PoincareDistance()
loss = TripletMarginLoss(margin=2, distance=distance)
sampler = MPerClassSampler(labels[gallery], m=8, length_before_new_iter=120 * 80)
for rows in torch.tensor(list(sampler)).split(80):
    optimizer.zero_grad()
    loss(net(images[gallery][rows]), labels[gallery][rows]).backward()
    optimizer.step()

# 1. Test. PML's default, normalize_embeddings=True, would throw the norm away.
tester = GlobalEmbeddingSpaceTester(
    normalize_embeddings=False,
    dataloader_num_workers=0,
    accuracy_calculator=accuracy_calculator(
        distance, include=("precision_at_1", "mean_average_precision_at_r"), k="max_bin_count"
    ),
)
data = {
    "gallery": TensorDataset(images[gallery], labels[gallery]),
    "queries": TensorDataset(images[queries], labels[queries]),
}
found = tester.test(data, 1, net, splits_to_eval=[("queries", ["gallery"])])["queries"]
print(f"precision@1 {found['precision_at_1_level0']:.3f}")
print(f"MAP@R {found['mean_average_precision_at_r_level0']:.3f}")

# 2. Search: the five nearest of the gallery, exactly, through faiss where it is installed.
model = inference_model(net, distance, threshold=3.0)
model.train_knn(images[gallery])
distances, rows = model.get_nearest_neighbors(images[queries], k=5)
for label, row, near in zip(labels[queries][:3], rows, distances, strict=False):
    print(f"a {label}: {labels[gallery][row].tolist()} at {near.numpy().round(2)}")

# 3. Match: pairs nearer than the threshold.
matches = torch.as_tensor(model.get_matches(images[queries], images[gallery]))
same = labels[queries][:, None] == labels[gallery]
precision, recall = (float(same[matches].float().mean()), float(matches[same].float().mean()))
print(f"matches nearer than 3: precision {precision:.3f}, recall {recall:.3f}")
