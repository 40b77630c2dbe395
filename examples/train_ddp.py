"""Two processes that share one model and one judgement of the labels: DDP on the CPU.

Run: torchrun --standalone --nproc-per-node 2 examples/train_ddp.py
"""

import torch.distributed as dist
from digits import embed, fit, images, make_network, truth, wrong_labels
from pytorch_metric_learning.losses import MultiSimilarityLoss
from pytorch_metric_learning.utils.distributed import DistributedLossWrapper
from sklearn.metrics import roc_auc_score
from torch.nn.parallel import DistributedDataParallel

from pml_ahsml import AdaptiveNoiseAwareLoss

dist.init_process_group("gloo")  # with GPUs "nccl", and everything on the device of the rank
rank, world_size = dist.get_rank(), dist.get_world_size()
labels, is_noisy = wrong_labels(truth, 0.4)
net = make_network()
model = DistributedDataParallel(net)

# PML's wrapper gathers the embeddings of all ranks, so pairs are formed across ranks and ours sees
# the whole batch. Without PML's wrapper, each rank compares only its own samples, and ours needs
# sync=True.
ours = AdaptiveNoiseAwareLoss(MultiSimilarityLoss(), num_classes=10, embedding_size=64)
loss = DistributedLossWrapper(ours)
# each rank draws its own batches
fit(model, loss, images, labels, per_class=6, batch_size=60, steps=150, seed=rank)

rates = [None] * world_size
dist.all_gather_object(rates, ours.noise_rate)
dist.barrier()  # no rank may leave while others still communicate with it

# All ranks have the same statistics, so any of them may judge or save. Here all of them judge: a
# rank that ends right after communicating may be aborted, because gloo's threads still run.
trust = ours.trust(embed(net, images), labels)
if rank == 0:
    print(f"noise rate on {world_size} ranks: {rates}, true: {is_noisy.float().mean():.3f}")
    print(f"AUROC of trust: {roc_auc_score(~is_noisy, trust):.3f}")
dist.destroy_process_group()
