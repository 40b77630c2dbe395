# %% [markdown]
# # Wrap a loss
#
# Digits with 40 % wrong labels: a loss of pytorch-metric-learning as it is, then wrapped. It takes
# about a minute on two cores.

# %%
# %pip install -q pml_ahsml[plot]

# %%
import numpy as np
import torch
from pytorch_metric_learning.distances import CosineSimilarity
from pytorch_metric_learning.losses import MultiSimilarityLoss
from pytorch_metric_learning.samplers import MPerClassSampler
from pytorch_metric_learning.utils import common_functions as c_f
from pytorch_metric_learning.utils.accuracy_calculator import AccuracyCalculator
from pytorch_metric_learning.utils.inference import CustomKNN
from sklearn.datasets import load_digits
from sklearn.metrics import roc_auc_score

from pml_ahsml import AdaptiveNoiseAwareLoss, inject_label_noise
from pml_ahsml.visualization import plot_noise_history, plot_trust_histogram

digits = load_digits()
images = torch.tensor(digits.data / 16, dtype=torch.float32)
truth = torch.tensor(digits.target)
train, test = slice(0, 1200), slice(1200, None)

# %% [markdown]
# ## Make labels wrong
#
# 40 % of the training labels become another digit, any of the nine.

# %%
noisy, is_noisy = inject_label_noise(truth[train], 0.4, generator=torch.Generator().manual_seed(0))
print(f"{is_noisy.float().mean():.0%} of {len(noisy)} labels are wrong")

# %% [markdown]
# ## Train, plain and wrapped
#
# The loop is the same. `collect_stats=True` makes the wrapper record what it thinks of each batch.


# %%
def fit(loss, steps=250):
    """Train a small network with a loss; return it and what the loss recorded."""
    torch.manual_seed(0)
    c_f.NUMPY_RANDOM = np.random.default_rng(0)  # what MPerClassSampler draws from
    net = torch.nn.Sequential(torch.nn.Linear(64, 256), torch.nn.ReLU(), torch.nn.Linear(256, 64))
    optimizer = torch.optim.AdamW(net.parameters(), lr=1e-3)
    sampler = MPerClassSampler(noisy, m=12, length_before_new_iter=120 * steps)
    history = {"stat_noise_rate": [], "stat_share_trusted": [], "stat_share_relabelled": []}
    for rows in torch.tensor(list(sampler)).split(120):
        optimizer.zero_grad()
        loss(net(images[train][rows]), noisy[rows]).backward()
        optimizer.step()
        for name, values in history.items():
            values.append(getattr(loss, name, 0.0))
    return net.eval(), history


def map_at_r(net):
    """MAP@R on right test labels."""
    calculator = AccuracyCalculator(
        include=("mean_average_precision_at_r",),
        k="max_bin_count",
        knn_func=CustomKNN(CosineSimilarity()),
    )
    with torch.no_grad():
        accuracy = calculator.get_accuracy(net(images[test]), truth[test])
    return accuracy["mean_average_precision_at_r"]


plain_net, _ = fit(MultiSimilarityLoss())
loss = AdaptiveNoiseAwareLoss(
    MultiSimilarityLoss(), num_classes=10, embedding_size=64, collect_stats=True
)
net, history = fit(loss)
scores = {"plain": map_at_r(plain_net), "wrapped": map_at_r(net)}
print({name: round(score, 3) for name, score in scores.items()})

# %% [markdown]
# ## What it found out
#
# Nobody told it how many labels are wrong. The share trusted ends near 1 − noise rate.

# %%
plot_noise_history(history, true_rate=float(is_noisy.float().mean()))

# %%
with torch.no_grad():
    trust = loss.trust(net(images[train]), noisy)
auroc = roc_auc_score(~is_noisy, trust)
plot_trust_histogram(trust, is_noisy)
