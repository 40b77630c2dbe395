"""Two processes, one model, one opinion of the labels: DistributedDataParallel on the CPU.

Run: torchrun --standalone --nproc-per-node 2 examples/train_ddp.py
"""

import numpy as np
import torch
import torch.distributed as dist
from pytorch_metric_learning.losses import MultiSimilarityLoss
from pytorch_metric_learning.samplers import MPerClassSampler
from pytorch_metric_learning.utils import common_functions as c_f
from pytorch_metric_learning.utils.distributed import DistributedLossWrapper
from sklearn.datasets import load_digits
from sklearn.metrics import roc_auc_score
from torch.nn.parallel import DistributedDataParallel

from pml_ahsml import AdaptiveNoiseAwareLoss, inject_label_noise

dist.init_process_group("gloo")  # "nccl" with GPUs, and .to(device) below
rank, world_size = dist.get_rank(), dist.get_world_size()

digits = load_digits()
images = torch.tensor(digits.data / 16, dtype=torch.float32)
truth = torch.tensor(digits.target)
labels, is_noisy = inject_label_noise(truth, 0.4, generator=torch.Generator().manual_seed(0))

torch.manual_seed(0)  # DistributedDataParallel starts all ranks from the weights of rank 0
net = torch.nn.Sequential(torch.nn.Linear(64, 256), torch.nn.ReLU(), torch.nn.Linear(256, 64))
model = DistributedDataParallel(net)
optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)

# PML's wrapper gathers the embeddings of all ranks, so pairs are formed across them and ours sees
# the whole batch. Without it, each rank compares its own samples only: give ours sync=True then.
ours = AdaptiveNoiseAwareLoss(MultiSimilarityLoss(), num_classes=10, embedding_size=64)
loss = DistributedLossWrapper(ours)

c_f.NUMPY_RANDOM = np.random.default_rng(rank)  # each rank draws batches of its own
sampler = MPerClassSampler(labels, m=6, length_before_new_iter=150 * 60)
for rows in torch.tensor(list(sampler)).split(60):
    optimizer.zero_grad()
    loss(model(images[rows]), labels[rows]).backward()
    optimizer.step()

rates = [None] * world_size
dist.all_gather_object(rates, ours.noise_rate)
dist.barrier()  # no rank leaves while another still talks to it

# All ranks have come to the same statistics, so any of them may judge or save. Here all do: a rank
# that ends right after it has talked to others may be aborted, as gloo's threads still hold on.
with torch.no_grad():
    trust = ours.trust(net(images), labels)
if rank == 0:
    print(f"noise rate on {world_size} ranks: {rates}, true: {is_noisy.float().mean():.3f}")
    print(f"AUROC of trust: {roc_auc_score(~is_noisy, trust):.3f}")
dist.destroy_process_group()
