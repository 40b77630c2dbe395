"""Miners for pytorch-metric-learning trainers."""

from .hierarchical_similarity_miner import HierarchicalSimilarityMiner

__all__ = ["HierarchicalSimilarityMiner"]
