"""Mining by class-wise margins: classes that are alike get others than classes that are not.

Run: python examples/hierarchical_mining.py
"""

import numpy as np
import torch
from pytorch_metric_learning.losses import ContrastiveLoss
from pytorch_metric_learning.samplers import MPerClassSampler
from pytorch_metric_learning.utils import common_functions as c_f
from sklearn.datasets import load_digits

from pml_ahsml import HierarchicalSimilarityMiner, PoincareDistance
from pml_ahsml.inference import accuracy_calculator

STEPS, BATCH_SIZE = 150, 60
digits = load_digits()
images = torch.tensor(digits.data / 16, dtype=torch.float32)
labels = torch.tensor(digits.target)
train, test = slice(0, 1200), slice(1200, None)
distance = PoincareDistance()
calculator = accuracy_calculator(
    distance, include=("precision_at_1", "mean_average_precision_at_r"), k="max_bin_count"
)


def train_and_test(miner):
    torch.manual_seed(0)
    c_f.NUMPY_RANDOM = np.random.default_rng(0)  # what MPerClassSampler draws from
    net = torch.nn.Sequential(torch.nn.Linear(64, 256), torch.nn.ReLU(), torch.nn.Linear(256, 64))
    optimizer = torch.optim.AdamW(net.parameters(), lr=1e-3)
    loss = ContrastiveLoss(pos_margin=1, neg_margin=6, distance=distance)
    sampler = MPerClassSampler(labels[train], m=6, length_before_new_iter=STEPS * BATCH_SIZE)
    used = 0
    for rows in torch.tensor(list(sampler)).split(BATCH_SIZE):
        optimizer.zero_grad()
        embeddings = net(images[train][rows])
        # in a PML trainer: mining_funcs={"tuple_miner": miner}
        pairs = None if miner is None else miner(embeddings, labels[train][rows])
        used += BATCH_SIZE * (BATCH_SIZE - 1) if pairs is None else len(pairs[0]) + len(pairs[2])
        loss(embeddings, labels[train][rows], pairs).backward()
        optimizer.step()
    with torch.no_grad():
        accuracy = calculator.get_accuracy(net(images[test]), labels[test])
    return accuracy, used / (STEPS * BATCH_SIZE * (BATCH_SIZE - 1))


for name, miner in (
    ("all pairs", None),
    ("one margin for all", HierarchicalSimilarityMiner(distance, span=0.0)),
    ("class-wise margins", HierarchicalSimilarityMiner(distance)),
):
    accuracy, share = train_and_test(miner)
    print(
        f"{name:18}: MAP@R {accuracy['mean_average_precision_at_r']:.3f}, "
        f"precision@1 {accuracy['precision_at_1']:.3f}, {share:.1%} of the pairs used"
    )
