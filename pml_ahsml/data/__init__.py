"""Data sets and batches with sample indices and two views; label noise for experiments."""

from .batch_getter import BatchGetter
from .indexed_dataset import IndexedDataset
from .label_noise import inject_label_noise
from .noise_list import NoiseList, read_noise_list
from .subset_batch_miner import SubsetBatchMiner
from .two_view_dataset import TwoViewDataset

__all__ = [
    "BatchGetter",
    "IndexedDataset",
    "NoiseList",
    "SubsetBatchMiner",
    "TwoViewDataset",
    "inject_label_noise",
    "read_noise_list",
]
