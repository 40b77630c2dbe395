"""Half of the labels of 150 intents made wrong, by the protocol of the noise benchmark."""

import numpy as np
import pytest
import torch
from pytorch_metric_learning.distances import CosineSimilarity
from pytorch_metric_learning.losses import MultiSimilarityLoss
from pytorch_metric_learning.samplers import MPerClassSampler
from pytorch_metric_learning.utils import common_functions as c_f
from pytorch_metric_learning.utils.accuracy_calculator import AccuracyCalculator
from pytorch_metric_learning.utils.inference import CustomKNN

from pml_ahsml import AdaptiveNoiseAwareLoss, inject_label_noise

K, EPOCHS, BATCH = 150, 6, 128


@pytest.fixture(scope="module")
def clinc(data_dir):
    stored = np.load(data_dir / "clinc150_minilm.npz")
    embeddings = torch.tensor(stored["emb"], dtype=torch.float32)
    labels = torch.tensor(stored["labels"], dtype=torch.long)
    test = torch.tensor(stored["split"] == "test")
    return embeddings[~test], labels[~test], embeddings[test], labels[test]


def train_and_test(loss, features, labels, test_features, test_labels) -> float:
    torch.manual_seed(0)
    c_f.NUMPY_RANDOM = np.random.default_rng(0)  # what MPerClassSampler draws from
    net = torch.nn.Sequential(torch.nn.Linear(384, 512), torch.nn.ReLU(), torch.nn.Linear(512, 128))
    optimizer = torch.optim.AdamW(net.parameters(), lr=1e-3, weight_decay=1e-4)
    steps = len(features) // BATCH
    sampler = MPerClassSampler(labels, 4, length_before_new_iter=steps * BATCH)
    noise = 0.02 * features.std()
    for _ in range(EPOCHS):
        for rows in torch.tensor(list(sampler)).split(BATCH):
            batch = features[rows] + noise * torch.randn(len(rows), 384)
            embeddings = net(torch.nn.functional.dropout(batch, 0.1))
            optimizer.zero_grad()
            loss(embeddings, labels[rows]).backward()
            optimizer.step()
    calculator = AccuracyCalculator(
        include=("mean_average_precision_at_r",),
        k="max_bin_count",
        knn_func=CustomKNN(CosineSimilarity()),
    )
    with torch.no_grad():
        accuracy = calculator.get_accuracy(net(test_features), test_labels)
    return accuracy["mean_average_precision_at_r"]


@pytest.mark.soak
def test_half_wrong_labels_cost_little_when_wrapped(clinc):
    features, truth, test_features, test_labels = clinc
    noisy, is_noisy = inject_label_noise(truth, 0.5, generator=torch.Generator().manual_seed(0))
    plain = train_and_test(MultiSimilarityLoss(), features, noisy, test_features, test_labels)
    wrapper = AdaptiveNoiseAwareLoss(MultiSimilarityLoss(), K, 128)
    wrapped = train_and_test(wrapper, features, noisy, test_features, test_labels)
    print(f"MAP@R: plain {plain:.3f}, wrapped {wrapped:.3f}; noise rate {wrapper.noise_rate:.3f}")
    assert plain == pytest.approx(0.49, abs=0.03)
    assert wrapped >= 0.82
    assert wrapper.noise_rate == pytest.approx(float(is_noisy.float().mean()), abs=0.04)
